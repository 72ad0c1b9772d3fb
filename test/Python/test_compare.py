# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The correctness rule."""
import types

import numpy as np
import pytest
from tamis import reference, verification
from tamis.compare import compare, difference, model_class, scale_of
from tamis.errors import Error

WANT = np.array([0, 5, 10], np.float32)


def test_error_is_a_share_of_the_range():
    assert difference(WANT + 0.1, WANT) < 0.0101
    assert compare("y", WANT + 0.0009, WANT).agrees
    assert not compare("y", WANT + 0.0011, WANT).agrees


def test_class_sets_the_bound():
    assert compare("y", WANT + 0.09, WANT, kind="fp16").agrees and not compare("y", WANT + 0.09, WANT).agrees
    assert compare("y", WANT + 0.19, WANT, kind="quantized").agrees


def test_reference_that_differs_from_itself_widens_the_bound():
    assert compare("y", WANT + 0.03, WANT, WANT + 0.01).agrees
    assert not compare("y", WANT + 0.05, WANT, WANT + 0.01).agrees


def test_quantized_model_beside_a_tie_may_round_to_either_side(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    parameters = [onnx.numpy_helper.from_array(v, n) for n, v in (("s", np.float32(1)), ("z", np.int8(0)))]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [3])],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])], parameters)
    path = str(tmp_path / "tie.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)

    def judge(x, *result):
        return verification.judge(path, [{"x": np.float32(x)}], [[np.float32(result)]], "quantized")[0].agrees

    assert judge([0.5, 1, 8], 0, 1, 8) and judge([0.5, 1, 8], 1, 1, 8)
    assert not judge([0.5, 1, 8], 2, 1, 8), "further than the reference itself moves"
    assert not judge([0.6, 1, 8], 0, 1, 8), "not beside a tie"


def test_not_finite_values_have_to_be_the_same():
    want = np.array([np.nan, np.inf, 1], np.float32)
    assert compare("y", want.copy(), want).agrees
    assert not compare("y", np.array([np.nan, -np.inf, 1], np.float32), want).agrees
    assert not compare("y", np.array([np.nan, np.inf, np.nan], np.float32), want).agrees
    assert not compare("y", np.array([0, np.inf, 1], np.float32), want).agrees


def test_integers_are_equal():
    want = np.array([1, 100000], np.int64)
    assert compare("y", want.copy(), want).agrees and not compare("y", want + 1, want).agrees
    assert compare("y", np.array([True]), np.array([True])).agrees and not compare("y", np.array([False]), np.array([True])).agrees


def test_shape_and_dtype_count():
    assert "expected" in compare("y", WANT[None], WANT).problem
    assert "expected" in compare("y", WANT.astype(np.float64), WANT).problem


def test_classifier_compares_the_winning_class():
    want = np.array([[0, 1, 1 + 1e-5]], np.float32)
    got = np.array([[0, 1 + 2e-5, 1]], np.float32)
    assert compare("y", got, want).agrees
    assert "class 1 instead of 2" in compare("y", got, want, classifier=True).problem
    tie = np.array([[0, 1, 1]], np.float32)
    assert compare("y", got, tie, classifier=True).agrees


def test_one_value_has_no_range():
    assert compare("y", np.array([1000.05], np.float32), np.array([1000], np.float32)).agrees
    assert not compare("y", np.array([1001], np.float32), np.array([1000], np.float32)).agrees


def test_model_class():
    assert model_class({"Conv"}, {"float32"}) == "float"
    assert model_class({"Conv"}, {"float16"}) == "fp16"
    assert model_class({"Conv", "QLinearAdd"}, {"float32"}) == "quantized"


def test_range_of_several_calls():
    calls = [np.array([v], np.float32) for v in (0.0, 0.5, 1.0)]
    assert scale_of(calls) == 1.0
    assert compare("y", np.array([5e-5], np.float32), calls[0], scale=scale_of(calls)).agrees
    assert not compare("y", np.array([5e-5], np.float32), calls[0]).agrees


@pytest.mark.parametrize("saturates, refuses", [(False, False), (True, False), (True, True)])
def test_only_a_reference_that_saturates_does_not_widen_the_bound(saturates, refuses, monkeypatch):
    """The optimised graph of a quantized model is three off; a result that is two off agrees only where that counts."""
    def session(path, optimised=False, precise=False):
        assert precise == (optimised and saturates)
        if precise and refuses:
            raise Error("onnxruntime refuses the model")
        return types.SimpleNamespace(off=3 * optimised, get_outputs=lambda: [types.SimpleNamespace(name="y")])

    monkeypatch.setattr(reference, "saturates", lambda: saturates)
    monkeypatch.setattr(reference, "session", session)
    monkeypatch.setattr(reference, "run", lambda graph, feed: [WANT + graph.off])
    result, = verification.judge("m.onnx", [{}], [[WANT + 2]], "quantized")
    assert result.agrees == (not refuses)
