# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One model for several machines, thread counts and sizes: always the same answers."""
import numpy as np
import onnx
import pytest
import tamis
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(7)


def has(feature):
    with open("/proc/cpuinfo", encoding="utf8") as file:
        return f" {feature} " in file.read().replace("\n", " ")


def convolution(quantized=False):
    """Conv 3x3 16->40, Relu, Conv 1x1 40->24 on 1x16x18x18; QLinear in integers."""
    w1 = RNG.standard_normal((40, 16, 3, 3)).astype(np.float32) * 0.1
    w2 = RNG.standard_normal((24, 40, 1, 1)).astype(np.float32) * 0.1
    if not quantized:
        nodes = [helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["a"], ["b"]),
                 helper.make_node("Conv", ["b", "w2"], ["y"])]
        constants, kind = {"w1": w1, "w2": w2}, TensorProto.FLOAT
    else:
        names = ["sx", "zx", "w1", "sw", "zw", "sa", "za"]
        nodes = [helper.make_node("QLinearConv", ["x", *names], ["a"], pads=[1, 1, 1, 1]),
                 helper.make_node("QLinearConv", ["a", "sa", "za", "w2", "sw", "zw", "sy", "zy"], ["y"])]
        constants = {"w1": (w1 * 400).clip(-127, 127).astype(np.int8), "w2": (w2 * 400).clip(-127, 127).astype(np.int8),
                     "sx": np.float32(0.02), "zx": np.uint8(117), "sw": np.float32(0.0025), "zw": np.int8(0),
                     "sa": np.float32(0.03), "za": np.uint8(128), "sy": np.float32(0.02), "zy": np.uint8(120)}
        kind = TensorProto.UINT8
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, [1, 16, 18, 18])],
                              [helper.make_tensor_value_info("y", kind, [1, 24, 18, 18])],
                              [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def feed(quantized):
    return RNG.integers(0, 256, (1, 16, 18, 18)).astype(np.uint8) if quantized else RNG.standard_normal((1, 16, 18, 18)).astype(np.float32)


def run(model, x, **options):
    return tamis.compile(model, cache="off", **options)(x)


@pytest.mark.parametrize("quantized", [False, True])
def test_variants_agree(quantized):
    """Integers bit for bit, floats closely, on every machine this one can play."""
    model, x = convolution(quantized), feed(quantized)
    reference = run(model, x, target="x86-64")
    machines = [("x86-64-v3", "avx2"), ("x86-64-v4", "avx512f"), ("x86-64-v4,avx512vnni", "avx512_vnni"),
                ("x86-64-v3,x86-64-v4,amx", "avx2")]
    for target, feature in machines:
        if not has(feature):
            continue
        y = run(model, x, target=target)
        if quantized:
            np.testing.assert_array_equal(y, reference)
        else:
            np.testing.assert_allclose(y, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(has("amx_int8"), reason="this processor has AMX")
def test_missing_feature_is_an_error():
    with pytest.raises(tamis.Error, match="lacks the feature 'amx"):
        run(convolution(True), feed(True), target="amx")


@pytest.mark.parametrize("quantized", [False, True])
def test_threads_do_not_change_the_result(quantized):
    model, x = convolution(quantized), feed(quantized)
    np.testing.assert_array_equal(run(model, x, threads=1), run(model, x, threads=2))


def test_one_library_serves_a_range():
    """softmax(x xT) x for batch 1..8 and length 1..512, one compilation."""
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), helper.make_node("MatMul", ["x", "t"], ["s"]),
             helper.make_node("Softmax", ["s"], ["p"], axis=-1), helper.make_node("MatMul", ["p", "x"], ["y"])]
    shape = ["batch", "seq", 24]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)])
    model = tamis.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), cache="off",
                          input_dims={"batch": "1:8", "seq": "1:512"})
    for batch, length in [(1, 1), (1, 2), (3, 3), (1, 127), (8, 128), (2, 129), (1, 512)]:
        x = RNG.standard_normal((batch, length, 24)).astype(np.float32) * 0.3
        s = x @ x.transpose(0, 2, 1)
        p = np.exp(s - s.max(-1, keepdims=True))
        np.testing.assert_allclose(model(x), p / p.sum(-1, keepdims=True) @ x, rtol=2e-4, atol=1e-5)
    with pytest.raises(tamis.Error, match="513"):
        model(np.zeros((1, 513, 24), np.float32))
