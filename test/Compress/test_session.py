# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The session: observed tensors, parameters, passes by text, statistics, errors."""
import numpy as np
import onnx
import pytest
import tamis
from onnx import helper, numpy_helper
from support import models
from tamis import options
from tamis.compression.session import Session


@pytest.fixture
def session():
    return Session(models.linear())


def test_sources(tmp_path):
    made = models.linear()
    path = models.save(made, tmp_path / "m.onnx")
    names = [[o["tensor"] for o in Session(source).observed()] for source in (made, path, made.SerializeToString())]
    assert names[0] == names[1] == names[2] and set(names[0]) == {"x", "w", "b", "h", "y"}
    text = Session(made).text()
    with pytest.raises(tamis.Error, match="cannot read the model"):
        Session(str(tmp_path / "none.onnx"))
    with pytest.raises(tamis.Error):
        Session(b"nothing")
    assert 'tamis.observe parameter' in text and 'tensor "w"' in text


def test_observed(session):
    by_name = {o["tensor"]: o for o in session.observed()}
    assert by_name["w"] == {"tensor": "w", "parameter": True, "shape": (8, 4), "element": "f32", "collect": [], "axis": None,
                            "has_statistics": False, "statistics": [], "scheme": None}
    assert by_name["x"]["shape"] == (-1, 8) and not by_name["h"]["parameter"]
    bound = Session(models.linear(), options.make(input_dims={"batch": 3}))
    assert {o["tensor"]: o["shape"] for o in bound.observed()}["y"] == (3, 4)


def test_parameters(session):
    made = models.linear()
    for tensor in made.graph.initializer:
        np.testing.assert_array_equal(session.parameter(tensor.name), numpy_helper.to_array(tensor))
    for name, message in (("h", "tensor 'h' is not a parameter"), ("z", "the model has no float tensor 'z'")):
        with pytest.raises(tamis.Error, match=message):
            session.parameter(name)


def test_half_precision_parameters():
    weights = np.arange(200, dtype=np.float16).reshape(4, 50)
    made = models.model([helper.make_node("MatMul", ["x", "w"], ["y"], name="mm")],
                        [models.info("x", [1, 4], onnx.TensorProto.FLOAT16)], [models.info("y", [1, 50], onnx.TensorProto.FLOAT16)],
                        [models.const("w", weights)])
    array = Session(made).parameter("w")
    assert array.dtype == np.float16
    np.testing.assert_array_equal(array, weights)


def test_collect_and_statistics(session):
    session.collect("x", ["minmax", "channel_absmax"], axis=1)
    x = next(o for o in session.observed() if o["tensor"] == "x")
    assert x["collect"] == ["minmax", "channel_absmax"] and x["axis"] == 1
    given = {"minmax": np.array([-1, 2], np.float32), "channel_absmax": np.arange(8, dtype=np.float32),
             "histogram": np.full(1 << 15, 7)}
    session.set_statistics("x", given)
    found = session.statistics("x")
    assert set(found) == set(given)
    for kind, array in given.items():
        np.testing.assert_array_equal(found[kind], array)
    session.collect("x", [])
    assert next(o for o in session.observed() if o["tensor"] == "x")["collect"] == []


@pytest.mark.parametrize("kind, array, message", [
    ("mode", np.zeros(2, np.float32), "tensor 'x': unknown statistic 'mode'"),
    ("minmax", np.zeros(2), r"tensor 'x': a statistic 'minmax' cannot be of float64 elements and shape \[2\]"),
    ("minmax", np.zeros(3, np.float32), r"'minmax' cannot be of float32 elements and shape \[3\]"),
    ("histogram", np.zeros(9, np.int64), r"'histogram' cannot be of int64 elements and shape \[9\]"),
    ("channel_moments", np.zeros((2, 8), np.float32), r"'channel_moments' cannot be of float32 elements and shape \[2, 8\]"),
])
def test_statistics_that_are_none(session, kind, array, message):
    with pytest.raises(tamis.Error, match=message):
        session.set_statistics("x", {kind: array})


def test_axis_outside_the_rank(session):
    with pytest.raises(tamis.Error, match="axis 2 is outside the rank 2"):
        session.collect("x", ["channel_absmax"], axis=2)


def test_pipelines(session):
    session.run("canonicalize,cse")
    assert len(session.observed()) == 5
    session.run("tamis-drop-observations")
    assert session.observed() == []
    with pytest.raises(tamis.Error, match="'no-such-pass' does not refer to a registered pass"):
        session.run("no-such-pass")


def test_delta_of_nothing(session):
    delta = session.delta()
    assert delta["parameters"] == delta["weights"] == delta["tensors"] == {} and delta["report"] == []


def test_instrument(session, tmp_path):
    with pytest.raises(tamis.Error, match="no observation has anything to collect"):
        session.instrument(tmp_path / "a.so")
    session.collect("h", ["minmax"])
    session.collect("y", ["minmax"])
    before = session.parameter("w").copy()
    session.instrument(tmp_path / "a.so", options.make(input_dims={"batch": 3}))
    model = tamis.load(tmp_path / "a.so")
    assert [(o.name, o.shape) for o in model.get_outputs()] == [("h//minmax", (2,)), ("y//minmax", (2,))]
    assert model.get_inputs()[0].shape == (3, 8)
    x = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    y = models.linear_result(models.linear(), x)
    np.testing.assert_allclose(model(x)[1], [y.min(), y.max()], rtol=1e-5)
    # The session goes on as if nothing had been.
    np.testing.assert_array_equal(session.parameter("w"), before)
    assert len(session.observed()) == 5
