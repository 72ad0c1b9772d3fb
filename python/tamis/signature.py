# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a caller needs to know of a model before it is compiled.

Reads names, element types and dimensions of the inputs and outputs, the
metadata, and the names of external data files straight from the protobuf
bytes, so that the package needs neither the `onnx` package nor a whole import
to answer `get_inputs()` or to compute a cache key.
"""
import dataclasses

from .errors import Error

# ONNX element type -> (numpy name, name in onnxruntime's type strings)
ELEMENT_TYPES = {
    1: ("float32", "float"), 2: ("uint8", "uint8"), 3: ("int8", "int8"), 4: ("uint16", "uint16"),
    5: ("int16", "int16"), 6: ("int32", "int32"), 7: ("int64", "int64"), 8: ("object", "string"),
    9: ("bool", "bool"), 10: ("float16", "float16"), 11: ("float64", "double"), 12: ("uint32", "uint32"),
    13: ("uint64", "uint64"), 14: ("complex64", "complex64"), 15: ("complex128", "complex128"),
    16: ("bfloat16", "bfloat16"), 17: ("float8_e4m3fn", "float8e4m3fn"), 18: ("float8_e4m3fnuz", "float8e4m3fnuz"),
    19: ("float8_e5m2", "float8e5m2"), 20: ("float8_e5m2fnuz", "float8e5m2fnuz"), 21: ("uint4", "uint4"),
    22: ("int4", "int4"), 23: ("float4_e2m1fn", "float4e2m1"), 24: ("float8_e8m0fnu", "float8e8m0"),
    25: ("uint2", "uint2"), 26: ("int2", "int2"),
}
RUNTIME_NAMES = dict(ELEMENT_TYPES.values())


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One input or output: `shape` holds an int, a symbol (str) or None (unknown) per dimension.

    A `shape` of None means that not even the rank is known.
    """

    name: str
    dtype: str
    shape: tuple

    @property
    def type(self):
        """onnxruntime's spelling: `tensor(float)`."""
        return f"tensor({RUNTIME_NAMES.get(self.dtype, self.dtype)})"

    @property
    def open_dims(self):
        """The dimensions that are not fixed, as (axis, symbol or None)."""
        return [(i, d) for i, d in enumerate(self.shape or ()) if not isinstance(d, int)]


@dataclasses.dataclass(frozen=True)
class ModelMeta:
    """The model's own words about itself, with onnxruntime's field names."""

    producer_name: str = ""
    graph_name: str = ""
    domain: str = ""
    description: str = ""
    version: int = 0
    custom_metadata_map: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Signature:
    """Interface of an ONNX model and the external files its initializers name."""

    inputs: tuple
    outputs: tuple
    meta: ModelMeta
    external_files: tuple = ()

    @property
    def open_dims(self):
        """Names of open dimensions, `INPUT:AXIS` where the model gives none."""
        names = []
        for info in self.inputs:
            for axis, symbol in info.open_dims:
                names.append(symbol or f"{info.name}:{axis}")
        return list(dict.fromkeys(names))


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Error("the model is not a valid ONNX protobuf: it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data):
    """Yield (field number, value): an int for numbers, a memoryview for everything with a length."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5, 2):
            size, at = _varint(data, at) if kind == 2 else (8 if kind == 1 else 4, at)
            if size > end - at:
                raise Error("the model is not a valid ONNX protobuf: a field reaches beyond the end of the file")
            value, at = data[at:at + size], at + size
        else:
            raise Error(f"the model is not a valid ONNX protobuf: unknown wire type {kind}")
        yield key >> 3, value


def _of(data, kind):
    """Fields that hold a message or bytes; a number where bytes belong is a malformed file."""
    for number, value in _fields(data):
        if isinstance(value, int) != (number in kind):
            raise Error(f"the model is not a valid ONNX protobuf: field {number} has the wrong type")
        yield number, value


def _text(view):
    return bytes(view).decode("utf8", "replace")


def _entry(view):
    """A StringStringEntryProto as (key, value)."""
    found = {number: _text(value) for number, value in _of(view, ())}
    return found.get(1, ""), found.get(2, "")


def _signed(value):
    return value - (1 << 64) if value >> 63 else value


def _shape(view):
    dims = []
    for number, dim in _of(view, ()):
        if number == 1:
            found = dict(_of(dim, (1,)))
            dims.append(_signed(found[1]) if 1 in found else _text(found[2]) if 2 in found else None)
    # Some exporters write one placeholder for several unrelated dimensions.
    return tuple(None if d in ("", "?") or isinstance(d, int) and d < 0 else d for d in dims)


def _value_info(view):
    name, dtype, shape = "", "", None
    for number, value in _of(view, ()):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for kind, body in _of(value, ()):
                if kind != 1:  # sequence, map, optional, sparse tensor
                    dtype = {4: "sequence", 5: "map", 8: "sparse", 9: "optional"}.get(kind, dtype)
                    continue
                for field, inner in _of(body, (1,)):
                    if field == 1:
                        dtype = ELEMENT_TYPES.get(inner, (f"type {inner}",))[0]
                    elif field == 2:
                        shape = _shape(inner)
    return TensorInfo(name, dtype, shape)


def _tensor(view):
    """(name, location of external data or None) of a TensorProto."""
    name, location = "", None
    for number, value in _fields(view):
        if isinstance(value, int):
            continue
        if number == 8:
            name = _text(value)
        elif number == 13:
            key, text = _entry(value)
            location = text if key == "location" else location
    return name, location


def _graph(view):
    inputs, outputs, initializers, files, name = [], [], set(), [], ""
    for number, value in _fields(view):
        if isinstance(value, int):
            continue
        if number == 2:
            name = _text(value)
        elif number == 5:
            tensor, location = _tensor(value)
            initializers.add(tensor)
            if location is not None:
                files.append(location)
        elif number == 11:
            inputs.append(_value_info(value))
        elif number == 12:
            outputs.append(_value_info(value))
    # Before IR version 4 every initializer is listed as an input too.
    return name, [i for i in inputs if i.name not in initializers], outputs, list(dict.fromkeys(files))


def read(data):
    """The Signature of the ONNX model in `data` (bytes-like). Raises Error if it is not one."""
    name, inputs, outputs, files, metadata, scalars, graphs = "", [], [], [], {}, {}, 0
    for number, value in _of(memoryview(data), (1, 5)):
        if number == 7:
            graphs += 1
            name, inputs, outputs, files = _graph(value)
        elif number == 14:
            key, text = _entry(value)
            metadata[key] = text
        elif number in (2, 4, 6):
            scalars[number] = _text(value)
        elif number == 5:
            scalars[number] = value
    if not graphs:
        raise Error("the file has no ONNX graph")
    meta = ModelMeta(scalars.get(2, ""), name, scalars.get(4, ""), scalars.get(6, ""), scalars.get(5, 0), metadata)
    return Signature(tuple(inputs), tuple(outputs), meta, tuple(files))
