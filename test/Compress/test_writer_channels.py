# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Removed channels: initializers sliced, every number that counts channels rewritten, the same values as zero channels give."""
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis import reference
from tamis.compression import prepare, writer

RNG = np.random.default_rng(0)
KEPT = np.array([0, 2, 3, 6])  # of 8 channels
build = helper.make_node


def values(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def check(made, removed, shape, keep_opset=False):
    """Removing zero channels changes no result; returns the written model."""
    zeroed = onnx.ModelProto()
    zeroed.CopyFrom(made)
    for tensor in zeroed.graph.initializer:
        for axis, kept in removed["parameters"].get(tensor.name, ()):
            array = numpy_helper.to_array(tensor).copy()
            gone = [slice(None)] * array.ndim
            gone[axis] = np.setdiff1d(np.arange(array.shape[axis]), kept)
            array[tuple(gone)] = 0
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    written = writer.apply(prepare.prepare(made), {"removed": removed})
    onnx.checker.check_model(written, full_check=True)
    assert written.ByteSize() < made.ByteSize()
    x = values(*shape)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (zeroed, written))
    assert want.shape == got.shape
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(tamis.compile(written, cache="off").run(None, {"x": x})[0], want, rtol=1e-4, atol=1e-4)
    return written


def network(middle, extra=(), opset=17, result=8):
    """conv a (8 channels) -> `middle` nodes from "a" to "m" -> conv c."""
    nodes = [build("Conv", ["x", "wa", "ba"], ["a"], name="first", pads=[1] * 4), *middle, build("Conv", ["m", "wc"], ["y"], name="last")]
    return models.model(nodes, [models.info("x", [2, 3, 8, 8])], [models.info("y", None)],
                        [models.const("wa", values(8, 3, 3, 3)), models.const("ba", values(8)), models.const("wc", values(5, result, 1, 1)),
                         *extra], opset=opset)


def removed(tensors, parameters=(), last=True):
    """KEPT of axis 1 of these tensors."""
    found = {"wa": [(0, KEPT)], "ba": [(0, KEPT)], **dict(parameters)}
    return {"parameters": {**found, **({"wc": [(1, KEPT)]} if last else {})}, "tensors": {name: [(1, 4)] for name in tensors}}


def test_plain():
    written = check(network([build("Relu", ["a"], ["m"])]), removed(["a", "m"]), (2, 3, 8, 8))
    assert list(written.graph.initializer[0].dims) == [4, 3, 3, 3]


@pytest.mark.parametrize("op, shape, attributes", [("Conv", (8, 1, 3, 3), {"pads": [1] * 4}), ("ConvTranspose", (8, 1, 2, 2), {})])
def test_depthwise(op, shape, attributes):
    made = network([build(op, ["a", "wd"], ["m"], group=8, **attributes)], [models.const("wd", values(*shape))])
    written = check(made, removed(["a", "m"], {"wd": [(0, KEPT)]}), (2, 3, 8, 8))
    assert next(a.i for a in written.graph.node[1].attribute if a.name == "group") == 4


def test_two_channels_of_each_group():
    made = network([build("Conv", ["a", "wd"], ["m"], group=2)], [models.const("wd", values(8, 4, 1, 1))])
    kept = np.array([0, 2, 4, 5])
    parts = {"parameters": {"wa": [(0, kept)], "ba": [(0, kept)], "wd": [(1, np.array([0, 2]))]}, "tensors": {"a": [(1, 4)]}}
    # The groups keep different channels: each gets its own in the zeroed model only if they are the same two.
    parts["parameters"]["wa"] = parts["parameters"]["ba"] = [(0, np.array([0, 2, 4, 6]))]
    written = check(made, parts, (2, 3, 8, 8))
    assert next(a.i for a in written.graph.node[1].attribute if a.name == "group") == 2


def test_reshape_with_constants():
    middle = [build("Reshape", ["a", "flat"], ["f"]), build("Relu", ["f"], ["r"]), build("Reshape", ["r", "square"], ["m"])]
    made = network(middle, [models.const("flat", np.int64([2, 8, 64])), models.const("square", np.int64([0, 8, 8, -1]))])
    written = check(made, removed(["a", "f", "r", "m"]), (2, 3, 8, 8))
    assert all(8 != numpy_helper.to_array(t)[1] for t in written.graph.initializer if t.data_type == 7)


def test_shape_put_together_by_concat():
    middle = [build("Shape", ["a"], ["s"]), build("Gather", ["s", "zero"], ["n"]), build("Concat", ["n", "eight", "rest"], ["t"], axis=0),
              build("Reshape", ["a", "t"], ["f"]), build("Reshape", ["f", "square"], ["m"])]
    made = network(middle, [models.const("zero", np.int64([0])), models.const("eight", np.int64([8])), models.const("rest", np.int64([64])),
                            models.const("square", np.int64([2, 8, 8, 8]))])
    check(made, removed(["a", "f", "m"]), (2, 3, 8, 8))


def test_one_shape_constant_of_two_reshapes():
    """The batch of 8 keeps its size though it shares the constant."""
    nodes = [build("Conv", ["x", "wa", "ba"], ["a"]), build("Reshape", ["a", "flat"], ["f"]), build("MatMul", ["f", "h"], ["m"]),
             build("Reshape", ["x", "flat"], ["g"]), build("ReduceSum", ["g", "axes"], ["s"]), build("Add", ["m", "s"], ["y"])]
    made = models.model(nodes, [models.info("x", [2, 8, 1, 1])], [models.info("y", None)],
                        [models.const("wa", values(8, 8, 1, 1)), models.const("ba", values(8)), models.const("h", values(8, 3)),
                         models.const("flat", np.int64([2, 8])), models.const("axes", np.int64([1]))])
    check(made, {"parameters": {"wa": [(0, KEPT)], "ba": [(0, KEPT)], "h": [(0, KEPT)]}, "tensors": {"a": [(1, 4)], "f": [(1, 4)]}},
          (2, 8, 1, 1))


@pytest.mark.parametrize("opset", [11, 17])
def test_split(opset):
    nodes = [build("Split", ["a"], ["p", "q"], axis=1, split=[4, 4]) if opset < 13 else build("Split", ["a", "sizes"], ["p", "q"], axis=1),
             build("Concat", ["q", "p"], ["m"], axis=1)]
    made = network(nodes, [models.const("sizes", np.int64([4, 4]))] if opset >= 13 else [], opset=opset)
    parts = removed(["a", "m"])
    # 0, 2 and 3 are in the first half, 6 in the second; behind the concatenation it comes first.
    parts["tensors"].update(p=[(1, 3)], q=[(1, 1)])
    parts["parameters"]["wc"] = [(1, np.array([2, 4, 6, 7]))]
    check(made, parts, (2, 3, 8, 8))


@pytest.mark.parametrize("start, end, size", [(0, 4, 3), (4, 2**62, 1), (0, 2**62, 4)])
def test_slice(start, end, size):
    extra = [models.const(n, np.int64([v])) for n, v in (("start", start), ("end", end), ("axis", 1))]
    made = network([build("Slice", ["a", "start", "end", "axis"], ["m"])], extra, result=min(end, 8) - start)
    parts = removed(["a", "m"])
    parts["tensors"]["m"] = [(1, size)]
    parts["parameters"]["wc"] = [(1, KEPT[(KEPT >= start) & (KEPT < end)] - start)]
    check(made, parts, (2, 3, 8, 8))


def test_expand_and_resize_sizes():
    middle = [build("GlobalAveragePool", ["a"], ["g"]), build("Expand", ["g", "full"], ["e"]),
              build("Resize", ["e", "", "", "sizes"], ["m"])]
    made = network(middle, [models.const("full", np.int64([2, 8, 4, 4])), models.const("sizes", np.int64([2, 8, 8, 8]))])
    check(made, removed(["a", "g", "e", "m"]), (2, 3, 8, 8))


def test_attention_heads():
    """Heads 1 and 2 of four go, with their part of every projection."""
    heads, size, width = 4, 3, 12
    nodes = []
    for name in "qkv":
        nodes += [build("MatMul", ["x", f"w{name}"], [f"{name}0"]), build("Reshape", [f"{name}0", "split"], [f"{name}1"]),
                  build("Transpose", [f"{name}1"], [f"{name}2"], perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3])]
    nodes += [build("MatMul", ["q2", "k2"], ["s"]), build("Softmax", ["s"], ["p"], axis=-1), build("MatMul", ["p", "v2"], ["o"]),
              build("Transpose", ["o"], ["t"], perm=[0, 2, 1, 3]), build("Reshape", ["t", "join"], ["j"]),
              build("MatMul", ["j", "wo"], ["y"])]
    made = models.model(nodes, [models.info("x", [1, 5, width])], [models.info("y", None)],
                        [models.const(f"w{n}", values(width, width)) for n in "qkvo"]
                        + [models.const("split", np.int64([0, 0, heads, size])), models.const("join", np.int64([0, 0, width]))])
    kept = np.r_[0:3, 9:12]
    tensors = {f"{n}0": [(2, 6)] for n in "qkv"}
    tensors.update({f"{n}1": [(2, 2)] for n in "qkv"} | {f"{n}2": [(1, 2)] for n in "qkv"})
    tensors.update(s=[(1, 2)], p=[(1, 2)], o=[(1, 2)], t=[(2, 2)], j=[(2, 6)])
    parts = {"parameters": {**{f"w{n}": [(1, kept)] for n in "qkv"}, "wo": [(0, kept)]}, "tensors": tensors}
    check(made, parts, (1, 5, width))


def looped(made):
    """`made` with a Loop behind "y" of which ONNX's inference says that it does not fit, which no runtime minds."""
    def branch(scale):
        return helper.make_graph([build("Constant", [], ["k"], value_float=scale), build("Mul", ["s", "k"], ["t"])], "branch", [],
                                 [helper.make_tensor_value_info("t", 1, [])])  # in truth of rank 1
    body = helper.make_graph([build("If", ["go"], ["u"], then_branch=branch(2.0), else_branch=branch(3.0)), build("Identity", ["go"], ["on"])],
                             "body", [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, []),
                                      helper.make_tensor_value_info("s", 1, [1])],
                             [helper.make_tensor_value_info("on", 9, []), helper.make_tensor_value_info("u", 1, None)])
    made.graph.node.extend([build("ReduceSum", ["y", "all"], ["f"], keepdims=0), build("Unsqueeze", ["f", "first"], ["s0"]),
                            build("Loop", ["times", "", "s0"], ["s1"], body=body), build("Relu", ["s1"], ["z"])])
    made.graph.initializer.extend([models.const("all", np.int64([0, 1, 2, 3])), models.const("first", np.int64([0])),
                                   models.const("times", np.int64(3))])
    made.graph.output.append(helper.make_tensor_value_info("z", 1, None))
    with pytest.raises(onnx.shape_inference.InferenceError):
        onnx.shape_inference.infer_shapes(made, strict_mode=True)
    return made


def test_a_loop_that_inference_refuses_is_no_fault_of_ours():
    made = looped(network([build("Relu", ["a"], ["m"])]))
    written = writer.apply(prepare.prepare(made), {"removed": removed(["a", "m"])})
    assert written.ByteSize() < made.ByteSize()
    x = values(2, 3, 8, 8)
    want = reference.session(written.SerializeToString()).run(None, {"x": x})
    for got, expected in zip(tamis.compile(written, cache="off").run(None, {"x": x}), want):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)
    # What the removal itself breaks is told all the same.
    with pytest.raises(tamis.Error, match="fit"):
        writer.apply(prepare.prepare(made), {"removed": removed(["a"], last=False)})


def test_new_values_come_with_their_old_or_new_shape():
    made = network([build("Relu", ["a"], ["m"])])
    w = values(8, 3, 3, 3)
    for given in (w, w[KEPT]):
        written = writer.apply(prepare.prepare(made), {"parameters": {"wa": given}, "removed": removed(["a", "m"])})
        found = next(numpy_helper.to_array(t) for t in written.graph.initializer if t.name == "wa")
        np.testing.assert_array_equal(found, w[KEPT])


def test_channels_of_integer_weights():
    nodes = [build("DequantizeLinear", ["q", "s"], ["wa"], axis=0), build("Conv", ["x", "wa"], ["m"]), build("Conv", ["m", "wc"], ["y"])]
    integers, scale = RNG.integers(-128, 128, (8, 3, 1, 1)).astype(np.int8), np.abs(values(8)) + np.float32(0.1)
    made = models.model(nodes, [models.info("x", [2, 3, 4, 4])], [models.info("y", None)],
                        [models.const("q", integers), models.const("s", scale), models.const("wc", values(5, 8, 1, 1))])
    written = writer.apply(prepare.prepare(made, lift=True), {"removed": {"parameters": {"wa": [(0, KEPT)], "wc": [(1, KEPT)]},
                                                                          "tensors": {"m": [(1, 4)]}}})
    found = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    np.testing.assert_array_equal(found["wa_quantized"], integers[KEPT])
    np.testing.assert_array_equal(found["wa_scale"], scale[KEPT])


@pytest.mark.parametrize("parts, message", [
    ({"parameters": {"nobody": [(0, KEPT)]}}, "no initializer 'nobody'"), ({"parameters": {"wa": [(0, np.array([9]))]}}, "cannot keep"),
    ({"parameters": {"wa": [(0, KEPT)]}, "tensors": {"a": [(1, 4)]}}, "does not fit"),
    (removed(["a"]) | {"tensors": {"a": [(1, 4)], "m": [(1, 3)]}}, "fit")])
def test_what_does_not_fit_together_is_refused(parts, message):
    with pytest.raises(tamis.Error, match=message):
        writer.apply(prepare.prepare(network([build("Relu", ["a"], ["m"])])), {"removed": parts})


def test_slice_through_the_middle_is_refused():
    extra = [models.const(n, np.int64([v])) for n, v in (("start", 2), ("end", 6), ("axis", 1))]
    made = network([build("Slice", ["a", "start", "end", "axis"], ["m"])], extra, result=4)
    with pytest.raises(tamis.Error, match="takes a part of axis 1"):
        writer.apply(prepare.prepare(made), {"removed": removed(["a", "m"], last=False)})
