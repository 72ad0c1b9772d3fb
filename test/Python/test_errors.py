# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tamis.Error: its parts and its text."""
import numpy as np
import pytest
import tamis
from support import models


def refused(made):
    with pytest.raises(tamis.Error) as caught:
        tamis.compile(made, cache="off", lazy=False)
    return caught.value


def test_node_and_operator_are_fields():
    error = refused(models.conv(strides=[0, 0]))
    assert (error.node, error.op) == ("conv", "Conv")
    assert "node 'conv' (Conv)" in str(error)


def test_file_is_a_field(tmp_path):
    path = models.save(models.conv(strides=[0, 0]), tmp_path / "bad.onnx")
    error = refused(path)
    assert error.file == path and str(error).startswith(path)


def test_missing_file():
    with pytest.raises(tamis.Error, match="no such file"):
        tamis.compile("nothing.onnx")
    with pytest.raises(tamis.Error, match="no such file"):
        tamis.load("nothing.so")


def test_what_is_no_library(tmp_path):
    (tmp_path / "x.so").write_bytes(b"no library")
    with pytest.raises(tamis.Error):
        tamis.load(tmp_path / "x.so")


@pytest.mark.parametrize("options,words", [({"threads": 0}, "threads"), ({"allow": "fp8"}, "fp8"), ({"input_dims": {"batch": "x"}}, "batch"),
                                           ({"input_dims": ["batch"]}, "batch"), ({"target": "z80"}, "z80"),
                                           ({"input_dims": {"batch": (8, 2)}}, "batch"), ({"input_dims": 5}, "input_dims"),
                                           ({"input_dims": [5]}, "input_dims"), ({"input_dims": {"batch": (1,)}}, "input_dims"),
                                           ({"allow": 5}, "allow '5'"), ({"opt_level": 2.0}, "opt_level"), ({"target": None}, "the target"),
                                           ({"threads": 2**31}, "threads"), ({"profile": 5}, "the path"), ({"profile": "a\0"}, "null byte")])
def test_odd_options(options, words):
    with pytest.raises(tamis.Error, match=words):
        tamis.compile(models.linear(1), cache="off", **options)


def test_unknown_dimension_name():
    with pytest.raises(tamis.Error, match="sequence"):
        tamis.compile(models.linear(), cache="off", lazy=False, input_dims={"sequence": 3, "batch": 1})


def test_run_time_index_error():
    made = models.one("Gather", [models.info("x", [4]), models.info("i", [1], models.INT64)], models.info("y", [1]), name="pick")
    model = tamis.compile(made, cache="off")
    with pytest.raises(tamis.Error, match="index"):
        model(np.zeros(4, np.float32), np.array([4]))
    np.testing.assert_array_equal(model(np.arange(4, dtype=np.float32), np.array([-1])), [3])


@pytest.mark.parametrize("cache", ["off", None])
@pytest.mark.parametrize("calls", ["run", "bound", "shapes"])
def test_run_time_errors_name_the_model(tmp_path, monkeypatch, cache, calls):
    """Not the library: that is a file of the cache, or none any more."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sizes = ["n"] if calls == "shapes" else [4]
    made = models.one("Gather", [models.info("x", sizes), models.info("i", [1], models.INT64)], models.info("y", [1]), name="pick")
    path = models.save(made, tmp_path / "pick.onnx")
    arrays = np.zeros(4, np.float32), np.array([4])
    for source, file in ((made, ""), (path, path)):
        model = tamis.compile(source, cache=cache)
        call = model.bind({"x": arrays[0], "i": arrays[1]}) if calls == "bound" else lambda model=model: model(*arrays)
        with pytest.raises(tamis.Error, match="index") as caught:
            call()
        assert caught.value.file == file and ".so" not in str(caught.value)
