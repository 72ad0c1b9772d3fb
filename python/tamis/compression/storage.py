# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reading and writing whole ONNX models, with external data where the input had them or 2 GB ask for them."""
import contextlib
import dataclasses
import itertools
import os
import tempfile

from .. import files
from ..errors import Error, reason
from .graph import Graph, TensorProto, numpy_helper, onnx, tensor_bytes
from .session import Session

LIMIT = 2**31 - 2**24  # of one protobuf, with room for the graph itself
IN_MEMORY = 2**23      # bytes of weights that the compiler may be given as a second copy in memory
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
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        found, external = read_file(path)
        return Loaded(found, path, external)
    if isinstance(model, onnx.ModelProto):
        found = onnx.ModelProto()
        found.CopyFrom(model)
    elif isinstance(model, (bytes, bytearray, memoryview)):
        try:
            found = onnx.load_model_from_string(bytes(model))
        except Exception:  # protobuf's own errors
            raise Error("the bytes are not a valid ONNX model") from None
    else:
        raise Error(f"expected a path, bytes or an onnx.ModelProto, got {type(model).__name__}")
    _check_nodes(found.graph)
    for tensor in found.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            raise Error(f"initializer '{tensor.name}' lies in a file of its own: expected the model's path, or all data within it")
    return Loaded(found)


def read_file(path, external_data=True):
    """The ModelProto in a file, and whether there are data in files of their own, which are read too if wanted."""
    if os.path.isdir(path):
        raise Error("expected a model file, found a folder", file=path)
    try:
        with files.reading("the model", path), files.open_plain(path) as file:
            found = onnx.load_model_from_string(file.read())
        _check_nodes(found.graph)
        external = any(t.data_location == TensorProto.EXTERNAL for t in found.graph.initializer)
        if external and external_data:
            with files.reading("the model", path):
                onnx.load_external_data_for_model(found, os.path.dirname(os.path.abspath(path)))
    except Error as error:
        raise Error(error.text, file=path, node=error.node, op=error.op) from None
    except Exception as error:  # protobuf's own errors
        raise Error(f"not a valid ONNX model: {reason(error)}", file=path) from None
    return found, external


def _check_nodes(graph):
    """Error for what the reader of protobufs lets pass, and nobody expects of a node."""
    values = (v.name for v in (*graph.initializer, *graph.input, *graph.output, *graph.value_info))
    texts = ((n.op_type, n.name, n.domain, *n.input, *n.output) for n in graph.node)
    for text in itertools.chain(values, *texts):
        if not isinstance(text, str):
            raise Error(f"not a valid ONNX model: {text!r} is not UTF-8")
    for node in graph.node:
        if not node.output:
            raise Error(f"not a valid ONNX model: a {node.op_type} has no output", node=node.name, op=node.op_type)
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                _check_nodes(body)


@contextlib.contextmanager
def blaming(model):
    """What goes wrong with a graph inside is said of the model, where ONNX's own checker or the importer refuses it."""
    try:
        yield
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError):
        loaded = load(model)
        try:
            onnx.checker.check_model(loaded.model)
        except Exception as error:  # several kinds, of protobuf too
            raise Error(f"not a valid ONNX model: {reason(error)}", file=loaded.name) from None
        Session(loaded.path or loaded.model).close()
        raise


def size(model):
    """Bytes of a model's weights."""
    return sum(map(tensor_bytes, model.graph.initializer)) + sum(
        tensor_bytes(t.values) + tensor_bytes(t.indices) for t in model.graph.sparse_initializer)


def save(model, path, external=False):
    """Write a model; `external` puts the weights into `<name>.data` beside it.

    Models that do not fit into one protobuf always get a data file.
    """
    with files.written(path, "the model") as file:
        if external or size(model) > LIMIT:
            # Complete, and in place, before the model that names it.
            with files.written(data_path(path), "the model") as data:
                name = os.path.basename(data_path(path))
                file.write(skeleton(model, lambda tensor: _append(data, tensor, name)).SerializeToString())
        else:
            file.write(model.SerializeToString())


def data_path(path):
    """Where `save` puts the weights of a model that it writes to `path`, if that has them in a file of their own."""
    return os.fspath(path) + ".data"


def skeleton(model, replace):
    """A copy of a model in which `replace(tensor)` gives what stands for an initializer, or None for the tensor itself.

    The model is not touched: protobuf frees no bytes of a message that lives on.
    """
    small = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy_field(small, field, value)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy_field(small.graph, field, value)
    for tensor in model.graph.initializer:
        small.graph.initializer.add().CopyFrom(replace(tensor) or tensor)
    return small


def _copy_field(message, field, value):
    if isinstance(value, (str, bytes, int, float)):
        setattr(message, field.name, value)
    elif hasattr(value, "CopyFrom"):
        getattr(message, field.name).CopyFrom(value)
    else:
        getattr(message, field.name).extend(value)


def stub(tensor, **entries):
    """A tensor without its bytes, which are somewhere else."""
    made = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        entry = made.external_data.add()
        entry.key, entry.value = key, str(value)
    return made


def _append(file, tensor, location):
    """Write a tensor's bytes at the end of the data file; None for those that stay in the model."""
    if tensor_bytes(tensor) < SMALL or tensor.data_type == TensorProto.STRING:
        return None
    file.seek(-file.tell() % ALIGNMENT, os.SEEK_CUR)
    offset = file.tell()
    length = file.write(tensor.raw_data if tensor.HasField("raw_data") else _raw(tensor))
    return stub(tensor, location=location, offset=offset, length=length)


def _raw(tensor):
    return numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data


@contextlib.contextmanager
def as_source(model, external=False):
    """(path, data) of a model for the compiler: bytes, or a file in a folder of its own where it is large, which is mapped."""
    if not external and size(model) < IN_MEMORY:
        yield None, model.SerializeToString()
        return
    with tempfile.TemporaryDirectory(prefix="tamis-") as folder:
        path = os.path.join(folder, "model.onnx")
        save(model, path, external=True)
        yield path, None


def forget_dims(path, names):
    """Take these names off the dimensions of a model file's inputs: each is one of its own then."""
    model = onnx.load(path, load_external_data=False)
    for info in model.graph.input:
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.ClearField("dim_param")
    with open(path, "wb") as file:
        file.write(model.SerializeToString())


def without_weights(model, least=4096):
    """A copy of the model whose large initializers are empty, for tools that only look at the graph."""
    return skeleton(model, lambda tensor: stub(tensor, location="elsewhere") if tensor_bytes(tensor) >= least
                    and tensor.data_type not in (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING) else None)


def give_weights(model, source):
    """Fill what `without_weights` left empty from the model it was made of."""
    full = {t.name: t for t in source.graph.initializer}
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL and tensor.name in full:
            tensor.CopyFrom(full[tensor.name])


def check(model, source, name=""):
    """Run ONNX's checker; Error with its first line, unless it says the same of the `source`."""
    problem = _problem(model)
    if problem and problem != _problem(source):
        raise Error(f"the model is not valid ONNX: {problem}", file=name)


def _problem(model):
    """What ONNX's checker says. It copies the model twice, but only looks at types: large initializers become inputs."""
    small = skeleton(model, lambda tensor: stub(tensor) if tensor_bytes(tensor) >= SMALL else None)
    stubs = [t for t in small.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    known = {i.name for i in small.graph.input}
    small.graph.input.extend(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in stubs if t.name not in known)
    Graph(small).drop_initializers([t.name for t in stubs])
    try:
        onnx.checker.check_model(small)
    except Exception as error:  # the checker raises several types of its own
        return reason(error)
    return None
