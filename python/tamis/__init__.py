# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tamis compiles neural networks to small, fast native code.

    import tamis
    model = tamis.compile("model.onnx")
    y = model.run(None, {"x": x})
"""
from ._tamis import version as __version__
from .compiler import compile
from .compression.api import prune, quantize
from .errors import Diagnostic, Error
from .model import InferenceSession, Model, load

__all__ = ["Diagnostic", "Error", "InferenceSession", "Model", "__version__", "compile", "load", "optimize", "prune", "quantize"]


def __getattr__(name):
    """`optimize` brings in a quarter of the package; compiling and running do not wait for it."""
    if name != "optimize":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .compression.optimize import optimize

    globals()[name] = optimize
    return optimize
