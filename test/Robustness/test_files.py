# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files that are no model, or not all of one."""
import numpy as np
import pytest
from support import models
from support.run import refused


def test_empty_file(tmp_path):
    refused(b"", tmp_path, "model.onnx", "empty")


def test_missing_file(tmp_path):
    refused(None, tmp_path, "model.onnx", "no such file")


def test_folder(tmp_path):
    (tmp_path / "model.onnx").mkdir()
    refused(None, tmp_path, "model.onnx", "folder")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file(tmp_path, share):
    data = models.linear().SerializeToString()
    refused(data[:int(len(data) * share)], tmp_path, "model.onnx")


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes(tmp_path, seed):
    refused(np.random.default_rng(seed).bytes(5000), tmp_path, "model.onnx")


def test_text_file(tmp_path):
    refused(b"this is no model\n" * 10, tmp_path, "model.onnx")


def test_deeply_nested_protobuf(tmp_path):
    data = b""
    for _ in range(5000):  # graph field in graph field
        head, size = b"\x3a", len(data)
        while size > 127:
            head += bytes([size & 127 | 128])
            size >>= 7
        data = head + bytes([size]) + data
    refused(data, tmp_path, "model.onnx")


def test_broken_mlir(tmp_path):
    refused(b"module { func.func @main( }", tmp_path, "model.mlir", name="model.mlir")


def test_model_without_graph(tmp_path):
    made = models.add()
    made.ClearField("graph")
    refused(made, tmp_path, "graph")


def test_unwritable_output(tmp_path):
    models.save(models.add(), tmp_path / "model.onnx")
    from support.run import tamis

    done = tamis("compile", tmp_path / "model.onnx", "-o", tmp_path / "none" / "out.so")
    assert done.returncode == 1 and "error: " in done.stderr
