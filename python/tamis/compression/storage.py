# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reading and writing whole ONNX models, with external data where the input had them or 2 GB ask for them."""
import contextlib
import dataclasses
import os
import tempfile

from ..errors import Error
from .graph import TensorProto, numpy_helper, onnx, tensor_bytes

LIMIT = 2**31 - 2**24  # of one protobuf, with room for the graph itself
ALIGNMENT = 64
SMALL = 1024           # bytes; smaller tensors stay in the model file


@dataclasses.dataclass
class Loaded:
    """A model in memory with all its data, where it came from, and whether its data lay in files of their own."""

    model: object
    path: str = None
    external: bool = False

    @property
    def name(self):
        return self.path or ""


def load(model):
    """Read a path, bytes or a ModelProto (which is copied)."""
    if isinstance(model, Loaded):
        return model
    loaded = _read(model)
    if not loaded.model.graph.node and not loaded.model.graph.output:
        raise Error("the file has no ONNX graph", file=loaded.name)
    return loaded


def _read(model):
    if hasattr(model, "SerializeToString"):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return Loaded(copy)
    try:
        if isinstance(model, (bytes, bytearray, memoryview)):
            return Loaded(onnx.load_model_from_string(bytes(model)))
        path = os.fspath(model)
    except TypeError:
        raise Error(f"expected a path, bytes or an onnx.ModelProto, got {type(model).__name__}") from None
    except Exception:  # protobuf's own errors
        raise Error("the bytes are not a valid ONNX model") from None
    if os.path.isdir(path):
        raise Error("expected a model file, found a folder", file=path)
    try:
        found = onnx.load(path, load_external_data=False)
        external = any(t.data_location == TensorProto.EXTERNAL for t in found.graph.initializer)
        if external:
            onnx.load_external_data_for_model(found, os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        raise Error(f"cannot read the model: {(error.strerror or str(error)).lower()}", file=path) from None
    except Exception as error:
        raise Error(f"not a valid ONNX model: {str(error).strip().splitlines()[0]}", file=path) from None
    return Loaded(found, path, external)


def size(model):
    """Bytes of a model's weights."""
    return sum(map(tensor_bytes, model.graph.initializer)) + sum(
        tensor_bytes(t.values) + tensor_bytes(t.indices) for t in model.graph.sparse_initializer)


def save(model, path, external=False):
    """Write a model by way of a temporary file; `external` puts the weights into `<name>.data` beside it.

    Models that do not fit into one protobuf always get a data file.
    """
    path = os.fspath(path)
    folder, base = os.path.split(os.path.abspath(path))
    temporary, data = f"{path}.{os.getpid()}.tmp", os.path.join(folder, base + ".data")
    try:
        if external or size(model) > LIMIT:
            with _moved_out(model, f"{data}.{os.getpid()}.tmp", base + ".data"):
                _write(temporary, model.SerializeToString())
            os.replace(f"{data}.{os.getpid()}.tmp", data)
        else:
            _write(temporary, model.SerializeToString())
        os.replace(temporary, path)
    except OSError as error:
        raise Error(f"cannot write the model: {error.strerror}", file=path) from None
    finally:
        for leftover in (temporary, f"{data}.{os.getpid()}.tmp"):
            with contextlib.suppress(OSError):
                os.remove(leftover)


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)


@contextlib.contextmanager
def _moved_out(model, path, location):
    """While it lasts, large initializers are in the file `path`, which the model knows as `location`."""
    moved = []
    try:
        with open(path, "wb") as file:
            for tensor in model.graph.initializer:
                if tensor_bytes(tensor) < SMALL or tensor.data_type == TensorProto.STRING:
                    continue
                data = tensor.raw_data if tensor.HasField("raw_data") else _raw(tensor)
                file.seek(-file.tell() % ALIGNMENT, os.SEEK_CUR)
                entries = {"location": location, "offset": file.tell(), "length": len(data)}
                file.write(data)
                moved.append((tensor, data))
                for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                    tensor.ClearField(field)
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in entries.items():
                    entry = tensor.external_data.add()
                    entry.key, entry.value = key, str(value)
        yield
    finally:
        for tensor, data in moved:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = data


def _raw(tensor):
    return numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data


@contextlib.contextmanager
def as_source(model, external=False):
    """(path, data) of a model for the compiler: bytes, or a file in a folder of its own where it is large."""
    if not external and size(model) < LIMIT // 4:
        yield None, model.SerializeToString()
        return
    with tempfile.TemporaryDirectory(prefix="tamis-") as folder:
        path = os.path.join(folder, "model.onnx")
        save(model, path, external=True)
        yield path, None


@contextlib.contextmanager
def without_weights(model, least=4096):
    """A copy of the model whose large initializers are empty: for tools that only look at the graph.

    Yields (copy, restore); `restore(other)` gives another model the weights back by name.
    """
    removed = {}
    try:
        for tensor in model.graph.initializer:
            if tensor_bytes(tensor) >= least and tensor.data_type in _STRIPPED:
                full = TensorProto()
                full.CopyFrom(tensor)
                removed[tensor.name] = full
                for field in ("raw_data", "float_data", "int32_data", "double_data"):
                    tensor.ClearField(field)
                tensor.data_location = TensorProto.EXTERNAL
                entry = tensor.external_data.add()
                entry.key, entry.value = "location", "moved"
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
    finally:
        _fill(model, removed)
    yield copy, lambda other: _fill(other, removed)


_STRIPPED = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT8, TensorProto.UINT8,
             TensorProto.INT4, TensorProto.UINT4, TensorProto.INT2, TensorProto.UINT2, TensorProto.INT16, TensorProto.UINT16}


def _fill(model, removed):
    for tensor in model.graph.initializer:
        if tensor.name in removed:
            tensor.CopyFrom(removed[tensor.name])
