# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls with inputs the model does not take, and data that would lead outside its buffers."""
import numpy as np
import pytest
from support import models
from support.models import FLOAT, INT64, const, info
from support.run import run_refused, tamis

X = np.zeros((2, 3), np.float32)


def test_missing_input(tmp_path):
    run_refused(tmp_path, models.add(), {"a": X}, "missing input 'b'")


def test_unknown_input(tmp_path):
    run_refused(tmp_path, models.add(), {"a": X, "b": X, "c": X}, "unknown input 'c'")


def test_wrong_dtype(tmp_path):
    run_refused(tmp_path, models.add(), {"a": X, "b": X.astype(np.float64)}, "input 'b'", "float32", "float64")


def test_wrong_rank(tmp_path):
    run_refused(tmp_path, models.add(), {"a": X, "b": X[0]}, "input 'b'", "[2, 3]", "[3]")


def test_wrong_size(tmp_path):
    run_refused(tmp_path, models.add(), {"a": X, "b": np.zeros((2, 4), np.float32)}, "input 'b'", "[2, 4]")


def test_other_byte_order(tmp_path):
    run_refused(tmp_path, models.add(), {"a": X, "b": X.astype(">f4")}, "input 'b'")


def gather(axis=0):
    return models.one("Gather", [info("x", [4, 2]), info("i", [3], INT64)], info("y", [3, 2]), name="pick", axis=axis)


@pytest.mark.parametrize("index", [4, -5, 1 << 40, -(1 << 62)])
def test_gather_index_out_of_range(tmp_path, index):
    arrays = {"x": np.zeros((4, 2), np.float32), "i": np.array([0, index, 1], np.int64)}
    run_refused(tmp_path, gather(), arrays, "index")


def test_gather_elements_index_out_of_range(tmp_path):
    made = models.one("GatherElements", [info("x", [4, 2]), info("i", [4, 2], INT64)], info("y", [4, 2]), name="pick", axis=0)
    run_refused(tmp_path, made, {"x": np.zeros((4, 2), np.float32), "i": np.full((4, 2), 9)}, "index")


def test_gather_nd_index_out_of_range(tmp_path):
    made = models.one("GatherND", [info("x", [4, 2]), info("i", [1, 2], INT64)], info("y", [1]), name="pick")
    run_refused(tmp_path, made, {"x": np.zeros((4, 2), np.float32), "i": np.array([[3, 7]])}, "index")


def test_scatter_index_out_of_range(tmp_path):
    made = models.one("ScatterElements", [info("x", [4], FLOAT), info("i", [2], INT64), info("u", [2])], info("y", [4]), name="put", axis=0)
    run_refused(tmp_path, made, {"x": np.zeros(4, np.float32), "i": np.array([1, 100]), "u": np.ones(2, np.float32)}, "index")


def test_integer_division_by_zero_does_not_trap(tmp_path):
    made = models.one("Div", [info("a", [3], INT64), info("b", [3], INT64)], info("y", [3], INT64), name="ratio")
    models.save(made, tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", a=np.array([1, -(1 << 63), 7]), b=np.array([0, -1, 2]))
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz")
    assert done.returncode >= 0, f"crashed with signal {-done.returncode}"


def test_integer_modulo_by_zero_does_not_trap(tmp_path):
    made = models.one("Mod", [info("a", [2], INT64), info("b", [2], INT64)], info("y", [2], INT64), name="rest")
    models.save(made, tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", a=np.array([1, -(1 << 63)]), b=np.array([0, -1]))
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz")
    assert done.returncode >= 0, f"crashed with signal {-done.returncode}"


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf"), -1.0, 1e-45])
def test_odd_scales_do_not_trap(tmp_path, scale):
    made = models.one("QuantizeLinear", [info("x", [2, 3])], info("y", [2, 3], models.UINT8),
                      [const("s", np.float32(scale)), const("z", np.uint8(3))], name="quantize")
    models.save(made, tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", x=np.array([[np.nan, np.inf, -np.inf], [0, 1e30, -1e30]], np.float32))
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz")
    assert done.returncode in (0, 1), f"ended with {done.returncode}: {done.stderr}"


def test_not_a_number_to_integer(tmp_path):
    made = models.one("Cast", [info("x", [4])], info("y", [4], INT64), name="cast", to=INT64)
    models.save(made, tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", x=np.array([np.nan, np.inf, -np.inf, 1e30], np.float32))
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz")
    assert done.returncode == 0, done.stderr


def test_input_file_is_no_npz(tmp_path):
    models.save(models.add(), tmp_path / "model.onnx")
    (tmp_path / "x.npz").write_bytes(b"nothing")
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz")
    assert done.returncode == 1 and "x.npz" in done.stderr


def test_input_file_with_pickled_objects(tmp_path):
    models.save(models.add(), tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", a=np.array([{}], object), b=X)
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz")
    assert done.returncode == 1 and "error: " in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF" + bytes(100), b"no library"])
def test_library_that_is_none(tmp_path, content):
    (tmp_path / "model.so").write_bytes(content)
    done = tamis("run", tmp_path / "model.so")
    assert done.returncode == 1 and "error: " in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("made", [models.linear(1), models.sparse()], ids=["dense", "row stream"])
def test_truncated_library(tmp_path, made):
    models.save(made, tmp_path / "model.onnx")
    assert tamis("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.so").returncode == 0
    data = (tmp_path / "model.so").read_bytes()
    for share in (0.2, 0.5):
        (tmp_path / "short.so").write_bytes(data[:int(len(data) * share)])
        done = tamis("run", tmp_path / "short.so")
        assert done.returncode == 1 and "error: " in done.stderr, (share, done.returncode, done.stderr)
