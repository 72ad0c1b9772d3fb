# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX Runtime as the oracle: one thread, graph optimisation off or on."""
from .errors import Error


def require(name):
    """Import an optional package, or say how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise Error(f"the package {name} is needed for this: pip install {name}") from None


def session(model, optimised=False, threads=1):
    """An onnxruntime session of a path or of ONNX bytes."""
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen types of its own
        raise Error(f"onnxruntime refuses the model: {_first_line(error)}",
                    file=model if isinstance(model, str) else "") from None


def run(model_session, feed):
    """All outputs of a session; Error if onnxruntime fails."""
    try:
        return model_session.run(None, feed)
    except Exception as error:
        raise Error(f"onnxruntime fails on the model: {_first_line(error)}") from None


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
