# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The interface read straight from the protobuf bytes."""
import pytest
import tamis
from onnx import helper
from support import models
from tamis import signature


def read(made):
    return signature.read(made.SerializeToString())


def test_names_types_and_shapes():
    found = read(models.linear())
    assert found.inputs == (signature.TensorInfo("x", "float32", ("batch", 8)),)
    assert found.outputs == (signature.TensorInfo("y", "float32", ("batch", 4)),)
    assert found.open_dims == ["batch"]
    assert found.meta.custom_metadata_map == {"author": "somebody"}


def test_initializers_are_no_inputs():
    made = models.linear()
    made.graph.input.append(models.info("w", [8, 4]))
    assert [i.name for i in read(made).inputs] == ["x"]


def test_placeholder_symbols_are_not_one_dimension():
    found = read(models.one("Relu", [models.info("x", ["?", "?", None, 0])], models.info("y", None)))
    assert found.inputs[0].shape == (None, None, None, 0)
    assert found.open_dims == ["x:0", "x:1", "x:2"]


def test_unknown_rank():
    found = read(models.one("Relu", [models.info("x", None)], models.info("y", None)))
    assert found.inputs[0].shape is None


def test_types_that_are_no_tensors():
    node = helper.make_node("SequenceAt", ["s", "i"], ["y"])
    sequence = helper.make_tensor_sequence_value_info("s", models.FLOAT, None)
    found = read(models.model([node], [sequence, models.info("i", [], models.INT64)], [models.info("y", None)]))
    assert [i.dtype for i in found.inputs] == ["sequence", "int64"]


def test_external_files_are_listed():
    made = models.linear()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    assert read(made).external_files == ("w.bin",)


@pytest.mark.parametrize("data", [b"\x3a\xff\xff\xff\xff\x0f", b"\x3a", b"\xff" * 12, b"\x3b", b"", b"\x38\x01", b"\x3a\x02\x0a"])
def test_malformed_bytes_are_errors(data):
    with pytest.raises(tamis.Error):
        signature.read(data)
