# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis.quantize` and `tamis.prune`: a model in, a smaller ONNX model out.

Names of parameters are those users know from onnxruntime.quantization and NNCF. The package onnx is only imported when
one of them is called.
"""
import dataclasses
import re

from ..errors import Error

SUBSET_SIZE = 300
ACTIVATIONS = {"uint8": (8, True), "int8": (8, False), "int16": (16, False)}
# Weight type: bits, unsigned.
WEIGHTS = {"int8": (8, False), "uint8": (8, True), "int4": (4, False), "uint4": (4, True), "int2": (2, False), "uint2": (2, True),
           "int3": (3, False), "int5": (5, False), "int6": (6, False), "int7": (7, False), "ternary": (2, False), "binary": (1, False)}
HALF = ("float16", "bfloat16")
# Not a type: weights become the integers they were before somebody stored them as floats.
RECOVER = "recover"
FLOAT_ACTIVATIONS = (None, "float32", "float", "none")
METHODS = ("minmax", "moving_average", "percentile", "entropy", "mse")
CORRECTIONS = {"bias": "bias", "bias_correction": "bias", "equalization": "equalization", "cross_layer_equalization": "equalization",
               "smooth": "smooth", "smoothquant": "smooth", "smooth_quant": "smooth", "gptq": "gptq"}
# What both kinds of networks gain from: transformers have outliers in few channels, small convolutions a mean error.
DEFAULT_CORRECTIONS = ("smooth", "bias")
FORMATS = ("qdq", "qoperator")
ZEROS = ("zeros", "sparse_initializer")
NEEDS_DATA = ("activation", "wanda", "sparsegpt")


def quantize(model, data=None, *, activations="uint8", weights="int8", per_channel=True, block_size=None, symmetric_activations=False,
             calibration_method="minmax", percentile=99.99, corrections=None, nodes_to_exclude=(), op_types_to_quantize=None,
             ignored_scope=(), subset_size=SUBSET_SIZE, format="qdq", target="native", calibration_cache=None, overrides=None,
             input_dims=None, report=None, progress=None):
    """Make the weights of convolutions and matrix products integers, and what they read; returns an onnx.ModelProto.

    `model` is a path, ONNX bytes or an onnx.ModelProto, and stays as it is. `data` are samples: a list or iterable of
    feeds ({input: array}) or arrays, an .npz, a folder of them, a get_next() reader or a DataLoader; the first
    `subset_size` are used. `activations` is uint8, int8, int16 or None (weights only, no data needed), `weights` int8,
    uint8, int4, uint4, int2 to int7, ternary, binary, float16, bfloat16 or recover. Scales are per output channel, per tensor
    (`per_channel=False`) or per `block_size` elements of a sum. `calibration_method` is minmax, moving_average,
    percentile (with `percentile`), entropy or mse. `corrections` are any of bias, equalization, smooth and gptq;
    default: smooth and bias where activations are quantized.

    With weights="recover" only weights change whose values lie, bit for bit, on a grid of 4 or 8 bits in blocks of 16 to 128
    or per channel, with an integer zero point or a real offset (as of a GGUF file), and nothing is rounded.

    `nodes_to_exclude` are names of nodes, `ignored_scope` regular expressions for names of nodes or tensors (or an
    object with `names`, `patterns` and `types`, as NNCF's), `op_types_to_quantize` node types. `overrides` gives single
    layers other `weights` or `block_size`: {"conv7": {"weights": "int4"}}. `format` is qdq or qoperator. With
    `calibration_cache`, a file, measurements are kept and reused. `report` is a function, a list or a path (JSON) that
    gets what was decided for each layer; `progress(done, total)` is told of the samples.
    """
    if corrections is None:
        corrections = () if activations in FLOAT_ACTIVATIONS or weights in (*HALF, RECOVER) else DEFAULT_CORRECTIONS
    options = {"activations": activations, "weights": weights, "per_channel": per_channel, "block_size": block_size,
               "symmetric_activations": symmetric_activations, "calibration_method": calibration_method, "percentile": percentile,
               "corrections": names_of(corrections, "corrections"), "format": format}
    _one_of("activations", activations, (*ACTIVATIONS, *FLOAT_ACTIVATIONS))
    _one_of("weights", weights, (*WEIGHTS, *HALF, RECOVER))
    if weights == RECOVER and (block_size or corrections or overrides):
        raise Error("weights: recover finds blocks and scales itself: expected no block_size, corrections or overrides")
    _one_of("calibration_method", calibration_method, METHODS)
    _one_of("format", format, FORMATS)
    for correction in options["corrections"]:
        _one_of("corrections", correction, CORRECTIONS)
    _block("block_size", block_size)
    if isinstance(percentile, bool) or not isinstance(percentile, (int, float)) or not 0 < percentile <= 100:
        raise Error(f"percentile: expected a number above 0, at most 100, got {percentile!r}")
    layers = _overrides(overrides, {"weights": lambda n, v: _one_of(n, v, WEIGHTS), "block_size": _block})
    from . import flow

    return flow.quantize(flow.Request(model, data, options, _scope(nodes_to_exclude, ignored_scope), op_types_to_quantize and list(
        names_of(op_types_to_quantize, "op_types_to_quantize")), layers, _count(subset_size), target, calibration_cache, input_dims,
        report, progress))


def prune(model, data=None, *, sparsity=None, pattern="unstructured", criterion="magnitude", scope="local", threshold=None,
          gradients=None, nodes_to_exclude=(), ignored_scope=(), protect=True, dead_channels=False, format="zeros",
          subset_size=SUBSET_SIZE, target="native", calibration_cache=None, overrides=None, input_dims=None, seed=0, report=None,
          progress=None):
    """Set the least important weights of convolutions and matrix products to zero; returns an onnx.ModelProto.

    `model` and `data` are as in `quantize`; a quantized model (QDQ) keeps its scales, and its zeros become exact zero
    points. `sparsity` is the share of weights to drop (default 0.5, or what the pattern fixes), `threshold` instead
    drops all that score no more than it. `pattern` is unstructured, N:M (2:4: at most two of four are not zero), RxC
    (blocks of R output channels times C consecutive inputs) or channel, which removes whole channels, so that the model
    gets smaller. `criterion` is magnitude, random, l1, l2, activation, gradient, wanda or sparsegpt; activation, wanda
    and sparsegpt need `data`, gradient needs `gradients` ({initializer: array} or an .npz). `scope` local gives each
    layer its share, global puts all weights into one order.

    `protect` leaves the first, the last and small layers alone. `dead_channels` only removes channels that do not
    depend on the input. `overrides` gives single layers another `sparsity` or `pattern`. `format` stores zeros as they
    are or as ONNX sparse initializers. `nodes_to_exclude`, `ignored_scope`, `subset_size`, `calibration_cache`, `report`
    and `progress` are as in `quantize`.
    """
    options = {"sparsity": sparsity, "pattern": pattern, "criterion": criterion, "scope": scope, "threshold": threshold,
               "protect": protect, "dead_channels": dead_channels, "format": format, "seed": seed}
    _one_of("format", format, ZEROS)
    _share("sparsity", sparsity)
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
    if criterion == "gradient" and gradients is None:
        raise Error("criterion gradient needs gradients, got none")
    layers = _overrides(overrides, {"sparsity": _share, "pattern": _pattern})
    from . import flow

    return flow.prune(flow.Request(model, data, options, _scope(nodes_to_exclude, ignored_scope), None, layers, _count(subset_size), target,
                                   calibration_cache, input_dims, report, progress), gradients)


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
    found = (value,) if isinstance(value, str) else tuple(value)
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
        try:
            re.compile(pattern)
        except re.error as error:
            raise Error(f"ignored_scope: '{pattern}' is no regular expression: {error}") from None
    return Scope((*names_of(nodes, "nodes_to_exclude"), *names), patterns, types)


def _overrides(overrides, checks):
    for layer, options in (overrides or {}).items():
        for name, value in options.items():
            if name not in checks:
                raise Error(f"overrides of layer '{layer}': unknown option '{name}', expected {' or '.join(checks)}")
            checks[name](name, value)
    return dict(overrides or {})


def _one_of(name, value, allowed):
    if value not in allowed:
        raise Error(f"{name}: expected one of {', '.join(str(a) for a in allowed)}, got {value!r}")


def _block(name, value):
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise Error(f"{name}: expected a positive number, got {value!r}")


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
