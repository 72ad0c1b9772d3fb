# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A model under compression: passes run on it one after the other, and its tensors can be read and measured.

    session = Session("model.onnx")
    session.run("tamis-prune{sparsity=0.5}")
    session.delta()["parameters"]
"""
import dataclasses
import os

import numpy as np

from .. import _tamis, options as option_list
from ..errors import Diagnostic, Error
from ..source import Source


def _array(packed):
    """An array from what the native half sends; integers of other widths than numpy's take the next one."""
    if packed is None:
        return None
    name, shape, data = packed
    if name == "bfloat16" or name.startswith("float8"):
        import ml_dtypes  # only models of these types need it

        dtype = getattr(ml_dtypes, name)
    elif "int" in name:
        unsigned, bits = name.split("int")
        dtype = f"{unsigned}int{max(8, 1 << (int(bits) - 1).bit_length())}"
    else:
        dtype = name
    return np.frombuffer(data, dtype).reshape(shape)


def _parameters(entry):
    return {**entry, **{key: _array(entry[key]) for key in ("scale", "zero_point", "offset", "factor")}}


class Session:
    """The module of a model, alive between passes. Every failure is a tamis.Error; `on_message` gets the rest."""

    def __init__(self, model, options=None, on_message=None):
        self.source = model if isinstance(model, Source) else Source(model)
        self.options = options or option_list.make()
        self._on_message = on_message
        self._native = _tamis.Session(self.source.path, self.source.data, dataclasses.asdict(self.options))
        self._check(self._native.loaded)

    def close(self):
        """Free the module; only `source` and `options` are left."""
        self._native = None

    def _check(self, result):
        """`result`; raises if the call that gave it left an error behind."""
        found = [Diagnostic(*message) for message in self._native.take_messages()]
        errors = [d for d in found if d.severity == "error"]
        if errors:
            raise Error.from_diagnostics(errors, self.source.name)
        for diagnostic in found:
            if self._on_message:
                self._on_message(diagnostic)
        return result

    def run(self, pipeline):
        """Run passes given as text: "tamis-select-quantization{weight-bits=4},tamis-quantize"."""
        self._check(self._native.run(pipeline))

    def observed(self):
        """The float tensors of the model, in order.

        Each a dict: tensor, parameter, shape (-1 where open), element ("f32"), collect, axis, statistics (kinds known),
        has_statistics, scheme (text or None).
        """
        return self._native.observed()

    def instrument(self, path, options=None):
        """Compile a copy into the library `path` whose outputs are the statistics to collect, "<tensor>//<kind>"."""
        self._check(self._native.instrument(os.fspath(path), dataclasses.asdict(options or self.options)))

    def collect(self, tensor, kinds, axis=None):
        """Have `instrument` measure these statistics of a tensor, in place of what passes asked for."""
        self._check(self._native.set_collect(tensor, list(kinds), axis))

    def statistics(self, tensor):
        """{kind: array} of what is known of a tensor."""
        return {kind: _array(packed) for kind, packed in self._check(self._native.statistics(tensor)).items()}

    def set_statistics(self, tensor, statistics):
        """Record {kind: array} for a tensor, in the form of include/tamis/Compress/Statistics.h."""
        for kind, array in statistics.items():
            array = np.ascontiguousarray(array)
            self._check(self._native.set_statistic(tensor, kind, array.dtype.name, array.shape, array.tobytes()))

    def parameter(self, tensor):
        """The contents of an initializer as the passes so far left them."""
        return _array(self._check(self._native.parameter(tensor)))

    def sparsity(self):
        """The zeros of every weight: dicts of layer, tensor, rows, columns (output channels times K), zeros, zero_rows, zero_columns and
        pattern ("dense", "unstructured", "N:M", "RxC" or "channel")."""
        return self._native.sparsity()

    def text(self):
        """The module as MLIR, large constants left out."""
        return self._native.text()

    def delta(self):
        """What the passes changed, in terms of the model's own tensors.

        {"parameters": {name: floats}, "weights": {name: {values, dtype, scale, zero_point, offset, axis, block, codebook}},
        "tensors": {name: {dtype, scale, zero_point, axis, block}},
        "removed": {"parameters": {name: [(axis, kept indices)]}, "tensors": {name: [(axis, kept size)]}},
        "report": [{layer, tensor, pass, decision, ...}]}
        """
        delta = self._check(self._native.delta())
        return {"parameters": {name: _array(a) for name, a in delta["parameters"].items()},
                "weights": {name: {**_parameters(w), "values": _array(w["values"]), "codebook": _array(w["codebook"])}
                            for name, w in delta["weights"].items()},
                "tensors": {name: _parameters(t) for name, t in delta["tensors"].items()},
                "removed": {"parameters": {name: [(axis, np.asarray(kept, np.int64)) for axis, kept in entries]
                                           for name, entries in delta["removed"]["parameters"].items()},
                            "tensors": delta["removed"]["tensors"]},
                "report": delta["report"]}
