# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One float model, its data and its metric: makes and measures candidates for the search."""
import contextlib
import dataclasses
import os
import tempfile

from .. import compiler
from ..errors import Error
from . import evaluate, layer_times, layers as layer_list, table


@dataclasses.dataclass
class Candidate:
    """A compressed model and what was measured of it."""

    proto: object
    model: object
    score: evaluate.Score = None
    latency: evaluate.Latency = None
    notes: list = dataclasses.field(default_factory=list)  # the compression passes' own report


class Workbench:
    """Compresses, compiles and measures; everything that does not change between candidates is made once."""

    def __init__(self, proto, parts, metric, compile_options, calibrate_limit=300):
        self.proto, self.parts, self.metric, self.options = proto, parts, metric, dict(compile_options)
        self.layers = layer_list.layers(proto)
        if not self.layers:
            raise Error("nothing to compress: no convolution or matrix product with a weight of its own")
        names = [layer.name for layer in self.layers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise Error("two layers have this name; a recipe could not tell them apart", node=twice)
        self.names = names
        self.cost = {layer.name: layer.count for layer in self.layers}
        self.calibration = parts["calibrate"].feeds[:calibrate_limit]
        self._folder = tempfile.TemporaryDirectory(prefix="tamis-optimize-")
        self.float_model = self.compile(proto)
        self._reference = {}

    def compile(self, proto):
        """The compiled model of a ModelProto; the cache keeps nothing of what a search tries."""
        return compiler.compile(proto, cache="off", **self.options)

    def reference(self, part):
        """The float model's results on a part."""
        if part not in self._reference:
            self._reference[part] = evaluate.outputs_of(self.float_model, self.parts[part].feeds)
        return self._reference[part]

    def compress(self, recipe):
        """(ModelProto, notes): the recipe's steps, one after the other, on the calibration part."""
        from . import api

        proto, notes = self.proto, []
        for step in recipe.steps:
            skipped, overrides = step.overrides(self.names)
            told = []
            function = getattr(api, step.kind)
            options = {"subset_size": len(self.calibration), "target": self.options.get("target", "native"),
                       "input_dims": self.options.get("input_dims"), **step.options}
            arguments = {"nodes_to_exclude": skipped, "overrides": overrides, "report": told, **options}
            # A pruned model's activations are others.
            if proto is self.proto:
                proto = self._from_float(function, step, arguments)
            else:
                proto = function(proto, list(self.calibration), **arguments)
            notes += told
        return proto, notes

    def _from_float(self, function, step, arguments):
        """Prune or quantize the float model with one calibration for all candidates that measure the same."""
        # Other weight types may need another opset, other methods another measurement.
        options = {"weights": "int8", "calibration_method": "minmax"} if step.kind == "quantize" else {"criterion": "magnitude"}
        kinds = {value for name, value in {**options, **step.options}.items() if name in options}
        kinds |= {o[key] for o in arguments["overrides"].values() for key in ("weights", "activations") if key in o}
        name = "-".join([step.kind, *sorted(kinds)])
        cache, data = os.path.join(self._folder.name, f"{name}.npz"), list(self.calibration)
        if arguments["nodes_to_exclude"] and not os.path.exists(cache):
            # The first candidate measures for all layers, its own or not.
            with contextlib.suppress(Error):
                function(self.proto, data, **{**arguments, "nodes_to_exclude": (), "report": None, "calibration_cache": cache})
        try:
            return function(self.proto, data, **arguments, calibration_cache=cache)
        except Error as error:
            if error.file != cache:
                raise
        arguments["report"].clear()
        return function(self.proto, data, **arguments)  # this mixture measures more than the cache has

    def candidate(self, recipe):
        """A Candidate, compiled and not yet measured."""
        proto, notes = self.compress(recipe)
        return Candidate(proto, self.compile(proto), notes=notes)

    def score(self, candidate, part="search"):
        """Fill in and return the score on one part of the data."""
        outputs = evaluate.outputs_of(candidate.model, self.parts[part].feeds)
        candidate.score = self.metric.score(outputs, self.reference(part), self.parts[part].labels)
        return candidate.score

    def time(self, candidate, seconds=evaluate.SECONDS):
        """Fill in and return the latency beside the float model's, with this machine's measuring turn held."""
        with evaluate.alone():
            candidate.latency = evaluate.paired_latency(self.float_model, candidate.model, self.parts["search"].feeds, seconds,
                                                        evaluate.clock(self.options))
        return candidate.latency

    def measure(self, recipe, timed=True, layered=False):
        """Figures of a recipe on the search part, as a trial keeps them; `layered` adds each layer's own time and weight noise."""
        made = self.candidate(recipe)
        score = self.score(made)
        figures = {"drop": score.drop, "error": score.error, "value": score.value, "bytes": made.proto.ByteSize()}
        if timed:
            latency = self.time(made)
            figures.update(ratio=latency.ratio, seconds=latency.seconds, float_seconds=latency.float_seconds)
        if layered:
            figures.update(layers=self.layer_times(made.proto), noise=table.noise(self.proto, made.proto))
        return figures

    def layer_times(self, proto):
        """{layer: seconds} of the layers compiled alone."""
        with evaluate.alone():
            return layer_times.layer_times(proto, self.parts["search"].feeds[:1], self.options)
