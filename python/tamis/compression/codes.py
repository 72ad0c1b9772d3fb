# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights that are codes but no integers, as they stand in ONNX, which has no operator of its own for them.

    float16, bfloat16   Cast(codes)
    codebook            Gather(codebook, Cast(indices)), times a scale per channel where there is one

`nodes` writes them, `lift` makes them floats again that remember their codes.
"""
import dataclasses

import numpy as np

from ..errors import Error
from .graph import DTYPES, Graph, TensorProto, attribute, make_tensor, numpy_helper, onnx

HALF = ("float16", "bfloat16")
INDICES = {TensorProto.UINT2: "uint2", TensorProto.UINT4: "uint4", TensorProto.UINT8: "uint8"}


@dataclasses.dataclass
class Codes:
    """How a weight was stored in the model that came in; `codebook` is None for half precision."""

    dtype: str
    codebook: np.ndarray = None
    scale: np.ndarray = None
    axis: int = None
    zero_point: np.ndarray = None
    block: int = None

    @property
    def name(self):
        """What the type is called in tables."""
        return self.dtype if self.codebook is None else f"codebook{bits_of(len(self.codebook))}"

    def stored_bytes(self, count):
        """Bytes of `count` weights with codebook and scales."""
        if self.codebook is None:
            return 2 * count
        extra = self.codebook.nbytes + (0 if self.scale is None else self.scale.nbytes)
        return (count * int(self.dtype.removeprefix("uint")) + 7) // 8 + extra

    def entry(self, values):
        """The entry of a delta that stores new values on the same codes: the nearest, and zeros exactly."""
        if self.codebook is None:
            return {"values": values, "dtype": self.dtype, "scale": np.float32(1)}
        units = values.astype(np.float32)
        if self.axis is not None:
            units = units / self.scale.reshape([-1 if i == self.axis else 1 for i in range(values.ndim)])
        codebook = np.unique(np.append(self.codebook, np.float32(0)) if (values == 0).any() else self.codebook)
        if len(codebook) > 256:  # the value that is nearest to zero makes room for it
            nonzero = np.where(codebook == 0, np.inf, np.abs(codebook))
            codebook = np.delete(codebook, nonzero.argmin())
        middles = (codebook[1:].astype(np.float64) + codebook[:-1]) / 2
        # No narrower than it was: the model's operator set may not have that type.
        bits = max(bits_of(len(codebook)), int(self.dtype.removeprefix("uint")))
        return {"values": np.searchsorted(middles, units), "dtype": f"uint{bits}", "codebook": codebook,
                "scale": self.scale, "axis": self.axis}


def bits_of(size):
    """The bits that tell `size` values apart, at least one."""
    return max(int(size - 1).bit_length(), 1)


def nodes(graph, name, entry, dtype, float_type, file=""):
    """The nodes that make the initializer `name` from the codes of a delta's entry, stored in `dtype`."""
    values, build = np.asarray(entry["values"]), onnx.helper.make_node
    if dtype in HALF:
        half = onnx.helper.tensor_dtype_to_np_dtype(DTYPES[dtype])
        stored = graph.add(numpy_helper.from_array(values.astype(half), graph.unique(f"{name}_{dtype}")))
        return [build("Cast", [stored], [name], graph.unique(f"{name}_Cast"), to=float_type)]
    codebook = np.asarray(entry["codebook"])
    if values.size and (values.min() < 0 or values.max() >= len(codebook)):
        raise Error(f"initializer '{name}': codes from {values.min()} to {values.max()} do not fit a codebook of {len(codebook)} values",
                    file=file)
    if not np.isfinite(codebook).all():
        raise Error(f"the codebook of initializer '{name}' is not finite", file=file)
    codes, indices = graph.add_array(f"{name}_codes", values, dtype), graph.unique(f"{name}_indices")
    scaled = entry.get("axis") is not None
    found = name if not scaled else graph.unique(f"{name}_unscaled")
    floats = onnx.helper.tensor_dtype_to_np_dtype(float_type)
    made = [build("Cast", [codes], [indices], graph.unique(f"{name}_Cast"), to=TensorProto.INT32),
            build("Gather", [graph.add_array(f"{name}_codebook", codebook.astype(floats)), indices], [found],
                  graph.unique(f"{name}_Gather"))]
    if scaled:
        shape = [-1 if i == entry["axis"] else 1 for i in range(values.ndim)]
        scale = graph.add_array(f"{name}_scale", np.asarray(entry["scale"]).astype(floats).reshape(shape))
        made.append(build("Mul", [found, scale], [name], graph.unique(f"{name}_Mul")))
    return made


def lift(graph: Graph):
    """Weights made from codes become float initializers under the name of their result; returns {name: Codes}."""
    found, gone = {}, set()
    for node in graph.nodes:
        made = _half(graph, node) or _codebook(graph, node, gone)
        if made is None or made[0] in graph.outputs:
            continue
        name, values, codes, used = made
        graph.add(make_tensor(name, values))
        found[name] = codes
        gone.update(map(id, used))
    if found:
        graph.nodes = [n for n in graph.nodes if id(n) not in gone]
        graph.drop_unused()
        graph.store()
    return found


def _half(graph, node):
    stored = graph.initializers.get(node.input[0]) if node.op_type == "Cast" else None
    if stored is None or attribute(node, "to") != TensorProto.FLOAT or stored.data_type not in (DTYPES[t] for t in HALF):
        return None
    values = numpy_helper.to_array(stored)
    return node.output[0], values.astype(np.float32), Codes(values.dtype.name), [node]


def _codebook(graph, node, gone):
    if node.op_type != "Gather" or attribute(node, "axis", 0) != 0:
        return None
    cast = graph.producer.get(node.input[1])
    codes = graph.initializers.get(cast.input[0] if cast is not None and cast.op_type == "Cast" else node.input[1])
    codebook = graph.initializers.get(node.input[0])
    if codes is None or codebook is None or codes.data_type not in INDICES or codebook.data_type != TensorProto.FLOAT or len(
            codebook.dims) != 1:
        return None
    codebook, indices = numpy_helper.to_array(codebook), numpy_helper.to_array(codes).astype(np.int64)
    if indices.size and indices.max() >= len(codebook):
        return None
    values, kept = codebook[indices], Codes(INDICES[codes.data_type], codebook)
    factor = graph.only_reader(node.output[0])
    if factor is None or factor.op_type != "Mul" or factor.input[0] != node.output[0]:
        return node.output[0], values, kept, [node]
    scale = graph.initializers.get(factor.input[1])
    wide = [axis for axis, size in enumerate(scale.dims) if size != 1] if scale is not None else ()
    if len(wide) != 1 or len(scale.dims) != values.ndim or scale.dims[wide[0]] != values.shape[wide[0]]:
        return node.output[0], values, kept, [node]
    scale = numpy_helper.to_array(scale)
    return factor.output[0], values * scale, dataclasses.replace(kept, scale=scale.reshape(-1), axis=wide[0]), [node, factor]
