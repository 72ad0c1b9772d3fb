# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""External data: what leaves the model's folder, is no plain file or has another size is refused."""
import os

import numpy as np
import onnx
import pytest
from support import models
from support.run import refused, tamis


def external(location, length=None, offset=None, **more):
    """The linear model with its weight in a file."""
    made = models.linear(batch=1)
    weight = made.graph.initializer[0]
    data = weight.raw_data
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length, **more}.items():
        if value is not None:
            entry = weight.external_data.add()
            entry.key, entry.value = key, str(value)
    return made, data


def test_missing_external_file(tmp_path):
    made, _ = external("weights.bin")
    refused(made, tmp_path, "weights.bin")


@pytest.mark.parametrize("location", ["../weights.bin", "sub/../../weights.bin", "./../weights.bin"])
def test_path_outside_the_folder(tmp_path, location):
    inner = tmp_path / "inner"
    (inner / "sub").mkdir(parents=True)
    made, data = external(location)
    (tmp_path / "weights.bin").write_bytes(data)
    refused(made, inner, "weights.bin")


def test_absolute_path(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    made, data = external(str(tmp_path / "weights.bin"))
    (tmp_path / "weights.bin").write_bytes(data)
    refused(made, inner, "weights.bin")


def test_symbolic_link(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    made, data = external("weights.bin")
    (tmp_path / "weights.bin").write_bytes(data)
    os.symlink("../weights.bin", inner / "weights.bin")
    refused(made, inner, "weights.bin")


def test_parent_is_a_symbolic_link(tmp_path):
    inner, other = tmp_path / "inner", tmp_path / "other"
    inner.mkdir()
    other.mkdir()
    made, data = external("sub/weights.bin")
    (other / "weights.bin").write_bytes(data)
    os.symlink("../other", inner / "sub")
    refused(made, inner, "weights.bin")


def test_hard_link(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    made, data = external("weights.bin")
    (tmp_path / "secret.bin").write_bytes(data)
    os.link(tmp_path / "secret.bin", inner / "weights.bin")
    refused(made, inner, "weights.bin")


def test_fifo(tmp_path):
    made, _ = external("weights.bin")
    os.mkfifo(tmp_path / "weights.bin")
    refused(made, tmp_path, "weights.bin")


@pytest.mark.parametrize("location", ["", "/dev/zero", "/proc/self/environ", "*/_ORT_MEM_ADDR_/*", "weights\0.bin",
                                      "http://localhost/weights.bin"])
def test_odd_location(tmp_path, location):
    made, _ = external(location)
    refused(made, tmp_path)


@pytest.mark.parametrize("offset,length", [(-1, None), (1 << 62, None), ("zero", None), (0, 7), (0, 1 << 62), (64, 128),
                                           (None, 129), (None, -1), ((1 << 63) - 1, 128)])
def test_odd_offset_or_length(tmp_path, offset, length):
    made, data = external("weights.bin", length, offset)
    (tmp_path / "weights.bin").write_bytes(data)
    refused(made, tmp_path)


def test_short_file(tmp_path):
    made, data = external("weights.bin")
    (tmp_path / "weights.bin").write_bytes(data[:-1])
    refused(made, tmp_path, "'w'", "external data")


def test_bytes_model_has_no_folder(tmp_path, monkeypatch):
    """The working directory is no folder for the external data of a model from memory."""
    import tamis as package

    made, data = external("weights.bin")
    (tmp_path / "weights.bin").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(package.Error):
        package.compile(made.SerializeToString(), cache="off")


def test_plain_external_data_works(tmp_path):
    made, data = external("weights.bin", 128, 16)
    (tmp_path / "weights.bin").write_bytes(bytes(16) + data)
    models.save(made, tmp_path / "model.onnx")
    x = np.random.default_rng(0).standard_normal((1, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["y"], models.linear_result(models.linear(1), x), rtol=1e-4, atol=1e-5)


def test_allowed_folder(tmp_path):
    """A link into a folder that the caller names is fine, as hub caches have it."""
    inner, other = tmp_path / "inner", tmp_path / "other"
    inner.mkdir()
    other.mkdir()
    made, data = external("weights.bin")
    (other / "weights.bin").write_bytes(data)
    os.symlink(other / "weights.bin", inner / "weights.bin")
    models.save(made, inner / "model.onnx")
    done = tamis("compile", inner / "model.onnx", "-o", tmp_path / "m.so", "--allow-external", other)
    assert done.returncode == 0, done.stderr
