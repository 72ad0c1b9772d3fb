# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What quantization selects is computed in integers: every form of layer, and the same answers as ONNX Runtime."""
import numpy as np
import onnxruntime as ort
import pytest
import tamis
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node


def make(nodes, shapes, x, y):
    """A model from its nodes and the shapes of its initializers."""
    rng = np.random.default_rng(0)
    arrays = {name: (rng.random(shape) + 0.5 if name == "var" else rng.standard_normal(shape) * 0.3) for name, shape in shapes.items()}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
                              [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CASES = {
    "gemm, transposed weights": make(
        [node("Gemm", ["x", "w", "b"], ["p"], "f1", transB=1), node("Relu", ["p"], ["r"], "r"), node("Gemm", ["r", "v"], ["y"], "f2", transB=1)],
        {"w": (8, 16), "b": (8,), "v": (4, 8)}, [3, 16], [3, 4]),
    "gemm, factors": make([node("Gemm", ["x", "w", "b"], ["p"], "f1", alpha=0.5, beta=2.0), node("Gemm", ["p", "v"], ["y"], "f2")],
                          {"w": (16, 8), "b": (8,), "v": (8, 4)}, [3, 16], [3, 4]),
    "grouped and depthwise": make(
        [node("Conv", ["x", "w", "b"], ["p"], "c1", group=2, pads=[1] * 4), node("Relu", ["p"], ["r"], "r"),
         node("Conv", ["r", "v", "c"], ["y"], "c2", group=8, pads=[1] * 4)],
        {"w": (8, 2, 3, 3), "b": (8,), "v": (8, 1, 3, 3), "c": (8,)}, [1, 4, 6, 6], [1, 8, 6, 6]),
    "channel multiplier": make(
        [node("Conv", ["x", "w", "b"], ["p"], "c1", group=4, pads=[1] * 4), node("Relu", ["p"], ["r"], "r"), node("Conv", ["r", "v", "c"], ["y"], "c2")],
        {"w": (8, 1, 3, 3), "b": (8,), "v": (8, 8, 1, 1), "c": (8,)}, [1, 4, 6, 6], [1, 8, 6, 6]),
    "batch normalization": make(
        [node("Conv", ["x", "w"], ["p"], "c1"), node("BatchNormalization", ["p", "s", "b", "m", "var"], ["q"], "bn"), node("Relu", ["q"], ["r"], "r"),
         node("Conv", ["r", "v", "c"], ["y"], "c2")],
        {"w": (8, 4, 3, 3), "s": (8,), "b": (8,), "m": (8,), "var": (8,), "v": (8, 8, 1, 1), "c": (8,)}, [1, 4, 6, 6], [1, 8, 4, 4]),
    "one dimension": make(
        [node("Conv", ["x", "w", "b"], ["p"], "c1", strides=[2]), node("LeakyRelu", ["p"], ["r"], "r"), node("Conv", ["r", "v"], ["y"], "c2")],
        {"w": (8, 4, 3), "b": (8,), "v": (8, 8, 1)}, [1, 4, 17], [1, 8, 8]),
    "weights behind a transpose": make(
        [node("Transpose", ["w"], ["t"], "t"), node("MatMul", ["x", "t"], ["p"], "m1"), node("Add", ["p", "b"], ["q"], "a"),
         node("Relu", ["q"], ["r"], "r"), node("MatMul", ["r", "v"], ["y"], "m2")],
        {"w": (8, 16), "b": (8,), "v": (8, 4)}, [2, 5, 16], [2, 5, 4]),
    "concatenation and average": make(
        [node("Conv", ["x", "w"], ["p"], "c1"), node("Conv", ["x", "u"], ["q"], "c2"), node("Concat", ["p", "q"], ["c"], "cc", axis=1),
         node("Relu", ["c"], ["r"], "r"), node("GlobalAveragePool", ["r"], ["g"], "gap"), node("Conv", ["g", "v"], ["y"], "c3")],
        {"w": (8, 4, 3, 3), "u": (8, 4, 3, 3), "v": (8, 16, 1, 1)}, [1, 4, 6, 6], [1, 8, 1, 1]),
    "residual and max-pool": make(
        [node("Conv", ["x", "w"], ["p"], "c1", pads=[1] * 4), node("Conv", ["p", "u"], ["q"], "c2", pads=[1] * 4), node("Add", ["p", "q"], ["s"], "a"),
         node("Relu", ["s"], ["r"], "r"), node("MaxPool", ["r"], ["m"], "mp", kernel_shape=[2, 2]), node("Conv", ["m", "v"], ["y"], "c3")],
        {"w": (4, 4, 3, 3), "u": (4, 4, 3, 3), "v": (8, 4, 1, 1)}, [1, 4, 6, 6], [1, 8, 5, 5]),
    "split": make(
        [node("MatMul", ["x", "w"], ["p"], "m1"), node("Split", ["p"], ["l", "r"], "s", axis=1), node("MatMul", ["l", "v"], ["a"], "m2"),
         node("MatMul", ["r", "u"], ["b"], "m3"), node("Add", ["a", "b"], ["y"], "a")],
        {"w": (16, 8), "v": (4, 4), "u": (4, 4)}, [3, 16], [3, 4]),
    "shared weights": make([node("MatMul", ["x", "w"], ["p"], "m1"), node("Relu", ["p"], ["r"], "r"), node("MatMul", ["r", "w"], ["y"], "m2")],
                           {"w": (8, 8)}, [3, 8], [3, 8]),
}


def run(model, feeds):
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), settings)
    return np.stack([session.run(None, feed)[0] for feed in feeds])


def noise(got, want):
    return 10 * np.log10(np.square(want).sum() / max(np.square(got - want).sum(), 1e-30))


@pytest.mark.parametrize("settings", [{}, {"weights": "uint8", "activations": "int8"}, {"corrections": ("bias", "smooth", "gptq", "equalization")}],
                         ids=["default", "asymmetric", "corrected"])
@pytest.mark.parametrize("name", CASES)
def test_every_contraction_is_integer(name, settings):
    model = CASES[name]
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(1)
    feeds = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(4)]
    quantized = tamis.quantize(model, feeds, **settings)
    want = run(quantized, feeds)
    assert noise(want, run(model, feeds)) > 33
    compiled = tamis.compile(quantized, require_integer=True)
    got = np.stack([compiled.run(None, feed)[0] for feed in feeds])
    assert noise(got, want) > 50  # the same integers, but for a sum that ends between two of them


def test_single_layers_read_wider_integers():
    model = CASES["residual and max-pool"]
    rng = np.random.default_rng(1)
    feeds = [{"x": rng.standard_normal([1, 4, 6, 6]).astype(np.float32)} for _ in range(4)]
    report, overrides = [], {"c1": {"weights": "uint8"}, "c3": {"activations": "int16"}}
    quantized = tamis.quantize(model, feeds, overrides=overrides, report=report)
    types = {t.name.removesuffix("_zero_point"): t.data_type for t in quantized.graph.initializer if t.name.endswith("_zero_point")}
    # The sum that c3 reads through its max-pool, with its operands; c2 reads one of them.
    assert types.items() >= {"x": TensorProto.UINT8, "w": TensorProto.UINT8, "p": TensorProto.INT16, "q": TensorProto.INT16,
                             "r": TensorProto.INT16}.items()
    assert not [entry for entry in report if entry["decision"] == "float"]
    want = run(quantized, feeds)
    assert noise(want, run(model, feeds)) > noise(run(tamis.quantize(model, feeds), feeds), run(model, feeds)) + 1
    compiled = tamis.compile(quantized, require_integer=True)
    assert noise(np.stack([compiled.run(None, feed)[0] for feed in feeds]), want) > 50


def attention(heads=2, width=16, length=5):
    """One attention block: q, k, v, softmax(q k^T / sqrt(d)) v by head, and what puts the heads together."""
    depth = width // heads
    nodes = [node("Constant", [], ["split"], value_ints=[2, length, heads, depth]),
             node("Constant", [], ["join"], value_ints=[2, length, width]),
             node("Constant", [], ["root"], value_float=float(np.sqrt(depth)))]
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [node("MatMul", ["x", f"w{name}"], [f"{name}p"], f"{name}"), node("Add", [f"{name}p", f"b{name}"], [f"{name}b"]),
                  node("Reshape", [f"{name}b", "split"], [f"{name}s"]), node("Transpose", [f"{name}s"], [f"{name}t"], perm=order)]
    nodes += [node("MatMul", ["qt", "kt"], ["s"], "scores"), node("Div", ["s", "root"], ["d"]), node("Softmax", ["d"], ["p"], axis=-1),
              node("MatMul", ["p", "vt"], ["o"], "mix"), node("Transpose", ["o"], ["ot"], perm=[0, 2, 1, 3]),
              node("Reshape", ["ot", "join"], ["oj"]), node("MatMul", ["oj", "wo"], ["y"], "out")]
    weights = {f"w{name}": (width, width) for name in "qkvo"} | {f"b{name}": (width,) for name in "qkv"}
    return make(nodes, weights, [2, length, width], [2, length, width])


# ONNX Runtime's operators saturate unsigned times signed bytes where the processor has no VNNI, so those are tried signed.
@pytest.mark.parametrize("settings", [{}, {"activations": "int8"}, {"symmetric_activations": True},
                                      {"format": "qoperator", "activations": "int8"}], ids=["uint8", "int8", "symmetric", "operators"])
def test_attention_is_integer(settings):
    model = attention()
    rng = np.random.default_rng(1)
    feeds = [{"x": rng.standard_normal([2, 5, 16]).astype(np.float32)} for _ in range(4)]
    quantized = tamis.quantize(model, feeds, attention=True, **settings)
    want = run(quantized, feeds)
    assert noise(want, run(model, feeds)) > 30
    compiled = tamis.compile(quantized, require_integer=True)
    got = np.stack([compiled.run(None, feed)[0] for feed in feeds])
    assert noise(got, want) > 50


def test_attention_stays_float_unless_asked():
    feeds = [{"x": np.random.default_rng(1).standard_normal([2, 5, 16]).astype(np.float32)}]
    notes = []
    quantized = tamis.quantize(attention(), feeds, report=notes)
    assert {n["layer"]: n["reason"] for n in notes if n["decision"] == "float" and not n["tensor"]} == dict.fromkeys(
        ("scores", "mix"), "its second operand is not a parameter")
    with pytest.raises(tamis.Error, match="scores"):
        tamis.compile(quantized, require_integer=True)
