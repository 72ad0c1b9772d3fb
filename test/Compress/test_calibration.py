# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calibration: the statistics are those of onnxruntime's activations; caches resume; what goes wrong is named."""
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tamis
from onnx import helper
from support import models
from tamis import options, suite
from tamis.compression import calibration
from tamis.compression import symmetric
from tamis.compression.calibration import calibrate
from tamis.compression.session import Session

KINDS = ("minmax", "histogram", "channel_absmax", "channel_moments", "channel_magnitudes", "gram")


def net():
    """x [n, 3, s, 5] -> conv [n, 4, s, 5] -> relu -> global mean -> gemm."""
    rng = np.random.default_rng(3)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["c"], ["r"], name="relu"),
             helper.make_node("GlobalAveragePool", ["r"], ["g"], name="pool"),
             helper.make_node("Flatten", ["g"], ["f"], name="flat"),
             helper.make_node("Gemm", ["f", "v", "b"], ["y"], name="gemm")]
    return models.model(nodes, [models.info("x", ["n", 3, "s", 5])], [models.info("y", ["n", 6])],
                        [models.const("w", rng.standard_normal((4, 3, 3, 3)).astype(np.float32)),
                         models.const("v", rng.standard_normal((4, 6)).astype(np.float32)),
                         models.const("b", rng.standard_normal(6).astype(np.float32))])


def samples(count=4, sizes=(7,)):
    rng = np.random.default_rng(5)
    return [{"x": rng.standard_normal((1, 3, sizes[i % len(sizes)], 5)).astype(np.float32) * (i + 1)} for i in range(count)]


def open_session(made, collect):
    """A session that measures {tensor: (kinds, axis)}."""
    session = Session(made)
    for tensor, (kinds, axis) in collect.items():
        session.collect(tensor, kinds, axis)
    return session


def activations(made, names, feeds):
    """{name: [array per sample]} by onnxruntime."""
    made = onnx.ModelProto.FromString(made.SerializeToString())
    known = {o.name for o in made.graph.output} | {i.name for i in made.graph.input}
    made.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in known)
    peer = ort.InferenceSession(made.SerializeToString())
    wanted = [name for name in names if name not in {i.name for i in made.graph.input}]
    found = {name: [] for name in names}
    for feed in feeds:
        for name, array in zip(wanted, peer.run(wanted, feed)):
            found[name].append(array)
        for name in set(names) - set(wanted):
            found[name].append(feed[name])
    return found


def expected(arrays, kind, axis):
    arrays = [a.astype(np.float64) for a in arrays]
    columns = np.concatenate([np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1) for a in arrays], 1)
    if kind == "minmax":
        return [columns.min(), columns.max()]
    if kind == "channel_absmax":
        return np.abs(columns).max(1)
    if kind == "channel_moments":
        return [np.full(len(columns), columns.shape[1]), columns.sum(1), (columns ** 2).sum(1)]
    if kind == "channel_magnitudes":
        return [np.full(len(columns), columns.shape[1]), np.abs(columns).sum(1)]
    rows = np.concatenate([columns.T, np.ones((columns.shape[1], 1))], 1)
    return rows.T @ rows


@pytest.mark.parametrize("sizes", [(7,), (7, 7, 4)], ids=["fixed", "open"])
def test_statistics_are_those_of_onnxruntime(sizes):
    made, feeds = net(), samples(sizes=sizes)
    collect = {"x": (KINDS, 1), "r": (KINDS, 1), "f": (KINDS, 1)}
    session = open_session(made, collect)
    seen = []
    result = calibrate(session, feeds, progress=lambda *at: seen.append(at))
    assert result.samples == 4 and result.exhausted and seen == [(i + 1, 300) for i in range(4)]
    for name, arrays in activations(made, list(collect), feeds).items():
        found = result.statistics[name]
        for kind in set(KINDS) - {"histogram"}:
            array = symmetric.unpack(found[kind]) if kind == "gram" else found[kind]
            np.testing.assert_allclose(array, expected(arrays, kind, 1), rtol=1e-4, atol=1e-4, err_msg=f"{name} {kind}")
        values = np.concatenate([a.ravel() for a in arrays])
        assert found["histogram"].sum() == values.size
        if name == "x":  # the same bits go in, so the same bins come out
            np.testing.assert_array_equal(found["histogram"], np.bincount(values.view(np.uint32) >> 17, minlength=1 << 15))
    assert {o["tensor"] for o in session.observed() if o["has_statistics"]} == set(collect)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (7, 7), (2, 8, 8), (3, 1, 5, 5)])
def test_symmetric_sums(shape):
    rng = np.random.default_rng(0)
    half = rng.integers(-9, 9, (2, *shape)).astype(np.float32)
    one, two = half + half.swapaxes(-1, -2)
    packed = symmetric.pack(one)
    symmetric.add(packed, two)
    np.testing.assert_array_equal(symmetric.unpack(packed), one + two)
    n = shape[-1]
    assert packed.shape[-2:] == ((n + 1) // 2 + 1, n)


def test_moving_average():
    feeds = samples(3)
    session = open_session(net(), {"x": (("minmax",), 1)})
    result = calibrate(session, feeds, method="moving_average")
    low, high = feeds[0]["x"].min(), feeds[0]["x"].max()
    for feed in feeds[1:]:
        low, high = 0.9 * low + 0.1 * feed["x"].min(), 0.9 * high + 0.1 * feed["x"].max()
    np.testing.assert_allclose(result.statistics["x"]["moving_average"], [low, high], rtol=1e-6)
    # That is what the passes see as the range.
    np.testing.assert_allclose(session.statistics("x")["minmax"], [low, high], rtol=1e-6)


def test_subset_size_and_unused_tensors_are_left_alone():
    session = open_session(net(), {"y": (("minmax",), 1)})
    result = calibrate(session, samples(9), subset_size=2)
    assert result.samples == 2 and not result.exhausted and set(result.statistics) == {"y"}
    assert calibrate(Session(net()), None).samples == 0


def test_half_precision_activations():
    made = models.model([helper.make_node("Relu", ["x"], ["y"], name="relu")],
                        [models.info("x", [2, 3], onnx.TensorProto.FLOAT16)], [models.info("y", [2, 3], onnx.TensorProto.FLOAT16)])
    session = open_session(made, {"x": (KINDS, 1)})
    x = np.array([[1, -2, 3], [4, 5, -60000]], np.float16)
    found = calibrate(session, [x]).statistics["x"]
    assert found["minmax"].tolist() == [np.float32(np.float16(-60000)), 5]
    assert found["channel_absmax"].tolist() == [4, 5, np.float32(np.float16(60000))]
    np.testing.assert_array_equal(found["histogram"].nonzero()[0], np.unique(x.astype(np.float32).view(np.uint32) >> 17))


def test_resume_after_an_interruption(tmp_path):
    feeds, path = samples(5), tmp_path / "cache.npz"
    whole = calibrate(open_session(net(), {"r": (KINDS, 1)}), feeds)

    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        calibrate(open_session(net(), {"r": (KINDS, 1)}), feeds, cache=path, progress=stop)
    with pytest.raises(tamis.Error, match="the cache has 2 of 300 samples"):
        calibrate(open_session(net(), {"r": (KINDS, 1)}), None, cache=path)
    done = []
    result = calibrate(open_session(net(), {"r": (KINDS, 1)}), iter(feeds), cache=path, progress=lambda n, _: done.append(n))
    assert done == [3, 4, 5] and result.samples == 5
    for kind in (*KINDS, "moving_average"):
        np.testing.assert_allclose(result.statistics["r"][kind], whole.statistics["r"][kind], rtol=1e-6)
    # A complete cache needs neither data nor a run.
    again = calibrate(open_session(net(), {"r": (KINDS, 1)}), None, cache=path)
    assert again.samples == 5 and [p.name for p in tmp_path.iterdir()] == ["cache.npz"]


def test_cache_of_something_else_is_refused(tmp_path):
    path, feeds = tmp_path / "cache.npz", samples(2)
    calibrate(open_session(net(), {"r": (("minmax",), 1)}), feeds, cache=path)
    other = net()
    other.graph.node[0].name = "other"
    for session, data, message in (
            (open_session(other, {"r": (("minmax",), 1)}), feeds, "made for another model"),
            (open_session(net(), {"r": (("histogram",), 1)}), feeds, "made for other settings"),
            (open_session(net(), {"r": (("minmax",), 1)}), feeds[1:], "made with other data")):
        with pytest.raises(tamis.Error, match=message) as caught:
            calibrate(session, data, cache=path)
        assert str(path) in str(caught.value)
    for content in (b"", b"nothing", b"PK\x03\x04 broken"):
        path.write_bytes(content)
        with pytest.raises(tamis.Error, match="not a calibration cache"):
            calibrate(open_session(net(), {"r": (("minmax",), 1)}), feeds, cache=path)
    np.savez(path, head=np.array(json.dumps({"version": 99})))
    with pytest.raises(tamis.Error, match="not a calibration cache"):
        calibrate(open_session(net(), {"r": (("minmax",), 1)}), feeds, cache=path)
    with pytest.raises(tamis.Error, match="cannot write the calibration cache"):
        calibrate(open_session(net(), {"r": (("minmax",), 1)}), feeds, cache=tmp_path / "none" / "cache.npz")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_activations_that_are_not_finite(value, kind):
    feeds = samples(3)
    feeds[1]["x"][0, 2, 6, 4] = value
    with pytest.raises(tamis.Error, match="sample 1: input 'x' has values that are not finite"):
        calibrate(open_session(net(), {"x": ((kind,), 1)}), feeds)


@pytest.mark.parametrize("kind", ["channel_moments", "gram"])
@pytest.mark.parametrize("tensor, kinds, words", [
    ("x", (), "input 'x' has values whose squares are too large for float32"),
    ("r", ("minmax",), "tensor 'r' has values whose squares are too large for float32"),
    ("r", (), "tensor 'r' has values that are not finite, or whose squares are not")])
def test_activations_whose_squares_are_not_finite(kind, tensor, kinds, words):
    feeds = samples(3)
    feeds[1]["x"][0, 2, 6, 4] = 1e30
    with pytest.raises(tamis.Error, match=f"sample 1: {words}"):
        calibrate(open_session(net(), {tensor: ((*kinds, kind), 1)}), feeds)


@pytest.mark.parametrize("tensor, words", [("x", "input 'x'"), ("r", "tensor 'r'")])
def test_a_sample_of_no_elements(tensor, words):
    feeds = samples(3)
    feeds[1]["x"] = feeds[1]["x"][:0]
    with pytest.raises(tamis.Error, match=f"sample 1: {words} has no elements"):
        calibrate(open_session(net(), {tensor: (("minmax", "channel_moments"), 1)}), feeds)


def test_unknown_method_and_missing_data():
    session = open_session(net(), {"r": (("minmax",), 1)})
    with pytest.raises(tamis.Error, match="calibration method 'guess': expected one of minmax, moving_average"):
        calibrate(session, samples(1), method="guess")
    with pytest.raises(tamis.Error, match="calibration needs data"):
        calibrate(session, None)
    with pytest.raises(tamis.Error, match="sample 0: missing input 'x'"):
        calibrate(session, [{"z": np.zeros(3)}])


def test_dimensions_open_up_when_samples_differ(monkeypatch):
    monkeypatch.setattr(calibration, "LOOK_AHEAD", 1)
    made, feeds = net(), samples(4, (7, 7, 4))
    session, compiled = open_session(made, {"r": (("minmax",), 1)}), []
    original = session.instrument
    monkeypatch.setattr(session, "instrument", lambda path, o: (compiled.append(o.input_dims), original(path, o)))
    result = calibrate(session, feeds)
    assert [dict(dims).get("s") for dims in compiled] == ["7", None] and all(dict(dims)["n"] == "1" for dims in compiled)
    arrays = activations(made, ["r"], feeds)["r"]
    np.testing.assert_allclose(result.statistics["r"]["minmax"], expected(arrays, "minmax", 1), rtol=1e-5)


def test_strict_options_are_used():
    session = open_session(net(), {"r": (("minmax",), 1)})
    assert calibrate(session, samples(1), options=options.make(strict=True)).samples == 1


def test_mnist():
    """The classic digit model, where the development models are (test/Models/fetch_models.py)."""
    model = suite.read(os.path.join(os.path.dirname(__file__), "..", "Models", "models.txt"))["mnist-cntk"]
    if not os.path.exists(model.path):
        pytest.skip("no development models")
    feeds = [suite.feeds(model, seed) for seed in range(3)]
    session = Session(model.path)
    session.run("tamis-select-quantization{method=percentile}")
    result = calibrate(session, feeds)
    names = [o["tensor"] for o in session.observed() if o["collect"]]
    assert len(names) >= 3 and set(result.statistics) == set(names)
    for name, arrays in activations(onnx.load(model.path), names, feeds).items():
        found = result.statistics[name]
        np.testing.assert_allclose(found["minmax"], expected(arrays, "minmax", 0), rtol=1e-4, atol=1e-4)
        assert found["histogram"].sum() == sum(a.size for a in arrays)
