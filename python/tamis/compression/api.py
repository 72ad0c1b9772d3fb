# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis.quantize` and `tamis.prune`: a model in, a smaller ONNX model out.

Names of parameters are those users know from onnxruntime.quantization and NNCF. The package onnx is only imported when
one of them is called.
"""
import dataclasses
import os
import re
from collections.abc import Callable, Mapping

import numpy as np

from ..errors import Error, reason

SUBSET_SIZE = 300
# Type of activations: bits, unsigned; those of fixed point have scales that are powers of two.
ACTIVATIONS = {"uint8": (8, True), "int8": (8, False), "int16": (16, False), "fixed8": (8, False), "fixed16": (16, False)}


@dataclasses.dataclass(frozen=True)
class WeightType:
    """A type of weights as the passes know it: number system (see #tamis.scheme), bits, sign."""

    system: str
    bits: int
    unsigned: bool = False

    @property
    def is_integer(self):
        """Integers times scales: what integer products can take."""
        return self.system in ("integer", "fixed_point")

    @property
    def has_blocks(self):
        """Whether a scale may belong to a part of a sum."""
        return self.is_integer or self.system.startswith("float8")


WEIGHTS = {**{name: WeightType("integer", int(name.lstrip("uint")), name[0] == "u")
              for name in ("int8", "uint8", "int4", "uint4", "int2", "uint2", "int3", "int5", "int6", "int7")},
           "ternary": WeightType("integer", 2), "binary": WeightType("integer", 1),
           **{f"fixed{bits}": WeightType("fixed_point", bits) for bits in range(2, 17)},
           **{f"codebook{bits}": WeightType("codebook", bits) for bits in range(1, 9)},
           **{f"log{bits}": WeightType("power_of_two", bits) for bits in range(2, 9)},
           "float8_e4m3fn": WeightType("float8_e4m3fn", 8), "float8_e5m2": WeightType("float8_e5m2", 8),
           "float16": WeightType("float16", 16), "bfloat16": WeightType("bfloat16", 16)}
WEIGHT_NAMES = ("int8, uint8, int4, uint4, int2, uint2, int3, int5 to int7, ternary, binary, fixed2 to fixed16, codebook1 to codebook8, "
                "log2 to log8, float8_e4m3fn, float8_e5m2, float16, bfloat16")
# Not a type: weights become the integers they were before somebody stored them as floats.
RECOVER = "recover"
FLOAT_ACTIVATIONS = (None, "float32", "float", "none")
METHODS = ("minmax", "moving_average", "percentile", "entropy", "mse")
CORRECTIONS = {"bias": "bias", "bias_correction": "bias", "equalization": "equalization", "cross_layer_equalization": "equalization",
               "activation_equalization": "activation_equalization",
               "smooth": "smooth", "smoothquant": "smooth", "smooth_quant": "smooth", "gptq": "gptq"}
# What both kinds of networks gain from: transformers have outliers in few channels, small convolutions a mean error.
DEFAULT_CORRECTIONS = ("smooth", "bias")
EMBEDDINGS = ("int8", "float32")
FORMATS = ("qdq", "qoperator")
ZEROS = ("zeros", "sparse_initializer")
NEEDS_DATA = ("activation", "wanda", "sparsegpt")


def quantize(model, data=None, *, activations="uint8", weights="int8", per_channel=True, block_size=None, symmetric_activations=False,
             embeddings="int8", attention=False, calibration_method="minmax", percentile=99.99, corrections=None, nodes_to_exclude=(),
             op_types_to_quantize=None, ignored_scope=(), subset_size=SUBSET_SIZE, format="qdq", target="native",
             calibration_cache=None, overrides=None, input_dims=None, fraction_bits=None, seed=0, report=None, progress=None):
    """Make the weights of convolutions and matrix products integers, and what they read; returns an onnx.ModelProto.

    `model` is a path, ONNX bytes or an onnx.ModelProto, and stays as it is. `data` are samples: a list or iterable of
    feeds ({input: array}) or arrays, an .npz, a folder of them, a get_next() reader or a DataLoader; the first
    `subset_size` are used. `activations` is uint8, int8, int16, fixed8, fixed16 or None (weights only, no data needed).
    `weights` is int8, uint8, int4, uint4, int2 to int7, ternary or binary; fixed2 to fixed16: integers times a power of
    two, 2 to the -`fraction_bits` where given; codebook1 to codebook8: one of 2 to the bits values that k-means (with
    `seed`) finds; log2 to log8: zero or a signed power of two; float8_e4m3fn, float8_e5m2, float16 or bfloat16; or recover,
    see below. Scales are per output channel, per tensor (`per_channel=False`) or per `block_size` elements of a sum (integers and float8).
    What a layer reads stays float where its weights are no integers. Tables that Gather reads become int8 with a scale per
    row (`embeddings`: int8 or float32). `attention` quantizes products of two activations too. `calibration_method` is minmax, moving_average,
    percentile (with `percentile`), entropy or mse. `corrections` are any of bias, equalization,
    activation_equalization, smooth and gptq;
    default: smooth and bias where activations are quantized.

    With weights="recover" only weights change whose values lie, bit for bit, on a grid of 4 or 8 bits in blocks of 16 to 128
    or per channel, with an integer zero point or a real offset (as of a GGUF file), and nothing is rounded.

    `nodes_to_exclude` are names of nodes, `ignored_scope` regular expressions for names of nodes or tensors (or an
    object with `names`, `patterns` and `types`, as NNCF's), `op_types_to_quantize` node types. `overrides` gives single
    layers other `weights`, `block_size` or `fraction_bits`, or what they read another type, `activations` (an integer one, also
    for the operands of a sum they read): {"conv7": {"weights": "int4", "activations": "int16"}}. `format` is qdq or qoperator. With
    `calibration_cache`, a file, measurements are kept and reused. `report` is a function, a list or a path (JSON) that
    gets what was decided for each layer; `progress(done, total)` is told of the samples.
    """
    _weights("weights", weights, RECOVER)
    if corrections is None:
        corrections = () if activations in FLOAT_ACTIVATIONS or weights == RECOVER or not WEIGHTS[weights].is_integer else DEFAULT_CORRECTIONS
    options = {"activations": activations, "weights": weights, "per_channel": per_channel, "block_size": block_size,
               "symmetric_activations": symmetric_activations, "embeddings": embeddings, "attention": attention,
               "calibration_method": calibration_method, "percentile": percentile,
               "corrections": names_of(corrections, "corrections"), "format": format, "fraction_bits": fraction_bits, "seed": seed}
    _one_of("activations", activations, (*ACTIVATIONS, *FLOAT_ACTIVATIONS))
    _one_of("embeddings", embeddings, EMBEDDINGS)
    _one_of("calibration_method", calibration_method, METHODS)
    _one_of("format", format, FORMATS)
    for correction in options["corrections"]:
        _one_of("corrections", correction, CORRECTIONS)
    _block("block_size", block_size)
    _fraction("fraction_bits", fraction_bits)
    _whole("seed", seed)
    if isinstance(percentile, bool) or not isinstance(percentile, (int, float)) or not 50 < percentile <= 100:
        raise Error(f"percentile: expected a number above 50, at most 100, got {percentile!r}")
    for name in ("per_channel", "symmetric_activations", "attention"):
        _flag(name, options[name])
    layers = _overrides(overrides, {"weights": _weights, "activations": _activations, "block_size": _block, "fraction_bits": _fraction})
    if weights == RECOVER:
        if block_size or fraction_bits is not None or options["corrections"] or layers:
            raise Error("weights: recover finds blocks and scales itself: expected no block_size, fraction_bits, corrections or overrides")
    else:
        if activations in FLOAT_ACTIVATIONS and any("activations" in changes for changes in layers.values()):
            raise Error("overrides: expected no activations of single layers where all others are float")
        for layer, changes in ((None, {}), *layers.items()):
            _fit({**options, **changes}, changes if layer else options, layer)
    from . import flow

    return flow.quantize(flow.Request(model, data, options, _scope(nodes_to_exclude, ignored_scope), op_types_to_quantize and list(
        names_of(op_types_to_quantize, "op_types_to_quantize")), layers, _count(subset_size), target, calibration_cache, input_dims,
        report, progress))


def prune(model, data=None, *, sparsity=None, pattern="unstructured", criterion="magnitude", scope="local", threshold=None,
          gradients=None, labels=None, nodes_to_exclude=(), ignored_scope=(), protect=True, dead_channels=False, order_channels=False,
          format="zeros", subset_size=SUBSET_SIZE, target="native", calibration_cache=None, overrides=None, input_dims=None, seed=0,
          report=None, progress=None):
    """Set the least important weights of convolutions and matrix products to zero; returns an onnx.ModelProto.

    `model` and `data` are as in `quantize`; a quantized model (QDQ) keeps its scales, and its zeros become exact zero
    points. `sparsity` is the share of weights to drop (default 0.5, or what the pattern fixes), `threshold` instead
    drops all that score no more than it. `pattern` is unstructured, N:M (2:4: at most two of four are not zero), RxC
    (blocks of R output channels times C consecutive inputs), channel, head or neuron, which remove whole channels (heads
    of attentions only, all but those), so that the model gets smaller, or auto, which chooses for each layer the coarsest
    pattern that keeps nearly as much of the scores as unstructured. `criterion` is magnitude, random, l1, l2, activation,
    gradient, wanda or sparsegpt; activation, wanda and sparsegpt need `data`. gradient takes `gradients` ({initializer:
    array} or an .npz), or measures them in small models with `data` and, if there are any, `labels` (classes, or numbers
    of the output's shape, one per sample; see compression/differences.py). `scope` local gives each layer its share,
    global puts all weights into one order, time drops where `target` is predicted to save most for the score it costs, until
    the layers take as long as with this sparsity everywhere.

    `protect` leaves the first, the last and small layers alone. `dead_channels` only removes channels that do not
    depend on the input. `order_channels` exchanges channels so that more neighbours are zero together, which 8-bit
    integers gain from; it changes nothing but the order of sums. `overrides` gives single layers another `sparsity` or `pattern`. `format` stores zeros as they
    are or as ONNX sparse initializers. `nodes_to_exclude`, `ignored_scope`, `subset_size`, `calibration_cache`, `report`
    and `progress` are as in `quantize`.
    """
    options = {"sparsity": sparsity, "pattern": pattern, "criterion": criterion, "scope": scope, "threshold": threshold,
               "protect": protect, "dead_channels": dead_channels, "order_channels": order_channels, "format": format, "seed": seed}
    _one_of("format", format, ZEROS)
    _share("sparsity", sparsity)
    _whole("seed", seed)
    for name in ("pattern", "criterion", "scope"):
        if not isinstance(options[name], str) or not re.fullmatch(r"[\w:]+", options[name]):
            raise Error(f"{name}: expected a name, got {options[name]!r}")
    if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not threshold >= 0):
        raise Error(f"threshold: expected a number from 0 on, got {threshold!r}")
    if threshold is not None and sparsity is not None:
        raise Error("expected a sparsity or a threshold, got both")
    reachable = re.fullmatch(r"(\d+):(\d+)", pattern)
    most = 1 - int(reachable[1]) / max(int(reachable[2]), 1) if reachable else 1
    if sparsity is not None and 0 < most < sparsity:
        raise Error(f"pattern {pattern} reaches a sparsity of {most:.4g}, got {sparsity:.4g}")
    if criterion in NEEDS_DATA and data is None and calibration_cache is None:
        raise Error(f"criterion {criterion} needs calibration data, got none")
    if criterion == "gradient" and gradients is None and data is None:
        raise Error("criterion gradient needs gradients, or data to measure them, got none")
    if labels is not None and (criterion != "gradient" or gradients is not None):
        raise Error("labels are for criterion gradient without given gradients")
    layers = _overrides(overrides, {"sparsity": _share, "pattern": _pattern})
    from . import flow

    return flow.prune(flow.Request(model, data, options, _scope(nodes_to_exclude, ignored_scope), None, layers, _count(subset_size), target,
                                   calibration_cache, input_dims, report, progress), gradients, labels)


@dataclasses.dataclass(frozen=True)
class Scope:
    """What stays as it is: exact names, regular expressions for whole names, node types."""

    names: tuple = ()
    patterns: tuple = ()
    types: tuple = ()


def names_of(value, what):
    """A tuple of texts from one text or several."""
    if value is None:
        return ()
    try:
        found = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        found = (value,)
    for entry in found:
        if not isinstance(entry, str):
            raise Error(f"{what}: expected names, got {entry!r}")
    return found


def _scope(nodes, ignored):
    if hasattr(ignored, "patterns"):  # nncf.IgnoredScope
        names, patterns, types = (names_of(getattr(ignored, key, ()), "ignored_scope") for key in ("names", "patterns", "types"))
    else:
        names, patterns, types = (), names_of(ignored, "ignored_scope"), ()
    for pattern in patterns:
        check_pattern("ignored_scope", pattern)
    return Scope((*names_of(nodes, "nodes_to_exclude"), *names), patterns, types)


def check_pattern(what, pattern):
    """Error if `pattern` is no regular expression."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Error(f"{what}: '{pattern}' is no regular expression: {reason(error)}") from None


def _overrides(overrides, checks):
    if not isinstance(overrides or {}, Mapping):
        raise Error(f"overrides: expected {{layer: {{option: value}}}}, got {overrides!r}")
    for layer, options in (overrides or {}).items():
        if not isinstance(options, Mapping):
            raise Error(f"overrides of layer '{layer}': expected {{option: value}}, got {options!r}")
        for name, value in options.items():
            if name not in checks:
                raise Error(f"overrides of layer '{layer}': unknown option '{name}', expected {' or '.join(checks)}")
            checks[name](name, value)
    return dict(overrides or {})


def _one_of(name, value, allowed):
    if value not in allowed:
        raise Error(f"{name}: expected one of {', '.join(str(a) for a in allowed)}, got {value!r}")


def _weights(name, value, *others):
    if value not in (*WEIGHTS, *others):
        raise Error(f"{name}: expected one of {', '.join((WEIGHT_NAMES, *others))}, got {value!r}")


def _activations(name, value):
    _one_of(name, value, ACTIVATIONS)


def _fraction(name, value):
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not -100 <= value <= 100):
        raise Error(f"{name}: expected a whole number from -100 to 100, got {value!r}")


def _whole(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise Error(f"{name}: expected a whole number from 0 on, got {value!r}")


def _flag(name, value):
    if not isinstance(value, (bool, np.bool_)):
        raise Error(f"{name}: expected True or False, got {value!r}")


def check_places(target, calibration_cache, input_dims, report):
    """Error unless each of these is what every call takes for it."""
    for name, value, kinds, wanted in (
            ("target", target, str, "a name"), ("calibration_cache", calibration_cache, (str, os.PathLike, type(None)), "a path"),
            ("input_dims", input_dims, (Mapping, list, tuple, type(None)), "{name: size}"),
            ("report", report, (str, os.PathLike, list, Callable, type(None)), "a path, a list or a function")):
        if not isinstance(value, kinds):
            raise Error(f"{name}: expected {wanted}, got {value!r}")


def _fit(options, given, layer):
    """Error where a type of weights has no use for an option that was given with it."""
    kind = WEIGHTS[options["weights"]]
    where = f"overrides of layer '{layer}': " if layer else ""
    if given.get("block_size") and not kind.has_blocks:
        raise Error(f"{where}block_size: weights of {options['weights']} have no blocks")
    if layer and "activations" in given and not kind.is_integer:
        raise Error(f"{where}activations: what the layer reads stays float beside weights of {options['weights']}")
    if given.get("fraction_bits") is not None and kind.system != "fixed_point":
        raise Error(f"{where}fraction_bits: expected fixed-point weights, got {options['weights']}")


def _block(name, value):
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31):
        raise Error(f"{name}: expected a positive number below 2^31, got {value!r}")


def _pattern(name, value):
    if not isinstance(value, str):
        raise Error(f"{name}: expected a name, got {value!r}")


def _share(name, value):
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1):
        raise Error(f"{name}: expected at least 0 and below 1, got {value!r}")


def _count(value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Error(f"subset_size: expected a positive number, got {value!r}")
    return value
