# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis verify MODEL --reference FLOAT`: each node beside the unfused and the float graph, and the first that departs."""
import json

import numpy as np
import onnx
import pytest
import tamis
from onnx import helper
from support import models
from support.run import tamis as command_line
from tamis import departures, options
from tamis.compression import evaluate, layer_times


def pair(scale=0.0493):
    """(float model, its QDQ form): conv, relu, then a matrix product called head whose float result is the output."""
    rng = np.random.default_rng(0)
    w1, w2 = rng.integers(-9, 9, (2, 1, 3, 3)).astype(np.int8), rng.integers(-9, 9, (32, 3)).astype(np.int8)
    x, y = models.info("x", [1, 1, 6, 6]), models.info("y", [1, 3])
    tail = [helper.make_node("Relu", ["c"], ["r"], name="relu")]
    shape = models.const("shape", np.array([1, 32]))
    plain = models.model([helper.make_node("Conv", ["x", "w1"], ["c"], name="conv"), *tail,
                          helper.make_node("Reshape", ["r", "shape"], ["f"], name="flat"),
                          helper.make_node("MatMul", ["f", "w2"], ["y"], name="head")], [x], [y],
                         [models.const("w1", w1 * np.float32(0.0917)), models.const("w2", w2 * np.float32(0.0917)), shape])

    def both(name, scale_name="s", zero="z"):
        return [helper.make_node("QuantizeLinear", [name, scale_name, zero], [name + "q"]),
                helper.make_node("DequantizeLinear", [name + "q", scale_name, zero], [name + "d"])]

    nodes = [*both("x"), helper.make_node("DequantizeLinear", ["w1", "ws", "wz"], ["w1d"]),
             helper.make_node("Conv", ["xd", "w1d"], ["c"], name="conv"),
             *tail, *both("r"), helper.make_node("Reshape", ["rd", "shape"], ["f"], name="flat"), *both("f"),
             helper.make_node("DequantizeLinear", ["w2", "ws", "wz"], ["w2d"]),
             helper.make_node("MatMul", ["fd", "w2d"], ["y"], name="head")]
    return plain, models.model(nodes, [x], [y], [
        models.const("s", np.float32(scale)), models.const("z", np.uint8(0)), models.const("ws", np.float32(0.0917)),
        models.const("wz", np.int8(0)), models.const("w1", w1), models.const("w2", w2), shape])


@pytest.fixture
def paths(tmp_path):
    return [models.save(m, tmp_path / name) for m, name in zip(pair(), ("float.onnx", "int8.onnx"))]


def feed():
    return {"x": np.random.default_rng(1).random((1, 1, 6, 6), np.float32)}


def test_merged_nodes_are_one_row_compared_on_its_integers(paths):
    found = departures.points(onnx.load(paths[1]))
    assert [(p.name, p.op, p.tensor) for p in found] == [("conv", "Conv+Relu", "rq"), ("flat", "Reshape", "fq"), ("head", "MatMul", "y")]
    rows = departures.find(paths[1], paths[0], [feed(), feed()], options.make())
    assert [r.name for r in rows] == ["conv", "flat", "head"] and rows[0].steps == 0 and rows[2].steps is None
    assert all(20 < r.float_snr < 80 and r.float_cosine > 0.99 and r.snr > 60 and not r.departs for r in rows)
    want, got = tamis.compile(paths[0], cache="off").run(None, feed())[0], tamis.compile(paths[1], cache="off").run(None, feed())[0]
    assert rows[2].float_snr == pytest.approx(evaluate.snr(got, want), abs=0.1)
    json.dumps([r.plain() for r in rows], allow_nan=False)


def test_first_node_that_departs_by_itself_is_named(paths, monkeypatch):
    real = layer_times.trace

    def wrong(*arguments, **more):
        return [{name: value + 3 if name in ("rq", "fq") else value for name, value in found.items()} for found in real(*arguments, **more)]

    monkeypatch.setattr(layer_times, "trace", wrong)
    rows = departures.find(paths[1], paths[0], [feed()], options.make())
    assert [r.steps for r in rows[:2]] == [3, 3] and rows[0].departs
    # On equal inputs the compiled nodes agree: the difference is the trace's.
    own, passed = departures.first_from_unfused(paths[1], rows, feed(), options.make())
    assert own is None and [r.name for r in passed] == ["conv", "flat"]
    monkeypatch.setattr(departures.verification, "node_by_node", lambda *_: [("conv", "Conv", tamis.Error("it is wrong"))])
    own, passed = departures.first_from_unfused(paths[1], rows, feed(), options.make())
    assert own.name == "conv" and own.problem == "it is wrong" and passed == []
    assert departures.first_from_float(rows, 1000).name == "conv" and departures.first_from_float(rows, -1000) is None


def test_command_compares_and_fails_below_the_asked_snr(tmp_path, paths):
    np.savez(tmp_path / "x.npz", **feed())
    done = command_line("verify", paths[1], "--reference", paths[0], "--input", tmp_path / "x.npz", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    assert "no node departs from the unfused quantized graph" in done.stdout and "no node is below 10 dB" in done.stdout
    assert [row["name"] for row in json.load(open(tmp_path / "r.json"))["against_reference"]] == ["conv", "flat", "head"]
    done = command_line("verify", paths[1], "--reference", paths[0], "--input", tmp_path / "x.npz", "--min-snr", 100)
    assert done.returncode == 1 and "from the float graph, node 'conv' (Conv+Relu) departs first" in done.stdout


def test_bad_references_are_refused(tmp_path, paths):
    other = models.save(models.linear(2), tmp_path / "other.onnx")
    done = command_line("verify", paths[1], "--reference", other)
    assert done.returncode == 1 and "other.onnx: expected a model with the inputs x, got x" not in done.stderr and "error: " in done.stderr
    for arguments, words in (((paths[1], "--min-snr", 3), "--min-snr needs --reference"),
                             ((paths[1], "--reference", paths[0], "--compiled", "m.so"), "exclude each other"),
                             ((paths[1], "--reference", tmp_path / "gone.onnx"), "gone.onnx")):
        done = command_line("verify", *arguments)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_groups_with_automatic_padding_are_computed_here():
    from tamis import groups

    x = np.arange(2 * 7 * 7).reshape(1, 2, 7, 7)
    w = np.arange(3 * 2 * 2 * 2).reshape(3, 2, 2, 2) - 10
    for mode in (b"SAME_UPPER", b"SAME_LOWER"):
        one = models.one("Conv", [models.info("x", x.shape)], models.info("y", None), [models.const("w", w.astype(np.float32))],
                         auto_pad=mode.decode(), strides=[2, 2])
        from tamis import reference

        want = reference.run(reference.session(one.SerializeToString()), {"x": x.astype(np.float32)})[0]
        np.testing.assert_array_equal(groups.convolve(x, w, {"auto_pad": mode, "strides": [2, 2]}), want)
