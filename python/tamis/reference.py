# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX Runtime as the oracle: one thread, graph optimisation off or on, or in double precision."""
import functools

from .errors import Error, reason


def require(name):
    """Import an optional package, or say how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise Error(f"the package {name} is needed for this: pip install {name}") from None


def session(model, optimised=False, threads=1, precise=False, provider="CPUExecutionProvider"):
    """An onnxruntime session of a path or of ONNX bytes.

    `precise`: its products of bytes do not saturate, even where `saturates`; it refuses some models of signed activations.
    """
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if precise:
        options.add_session_config_entry("session.x64quantprecision", "1")
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # onnxruntime raises a dozen types of its own
        raise Error(f"onnxruntime refuses the model: {reason(error)}",
                    file=model if isinstance(model, str) else "") from None


@functools.cache
def saturates():
    """True if ONNX Runtime's products of bytes are wrong here: without VNNI it adds up two of them in 16 bits.

    Its unoptimised graph multiplies quantized groups in float and is right; the optimised one, and operators such as
    QLinearConv with 8-bit signed weights, may not be unless the session is `precise`.
    """
    import numpy as np

    onnx = require("onnx")
    helper = onnx.helper
    inputs = [helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), None) for name, kind in (("a", "UINT8"), ("b", "INT8"))]
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["a", "b"], ["y"])], "product", inputs,
                              [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    got, = session(model.SerializeToString()).run(None, {"a": np.full((8, 64), 255, np.uint8), "b": np.full((64, 16), 127, np.int8)})
    return bool((got != 64 * 255 * 127).any())


def run_double(path, feeds):
    """The outputs of the model in double precision for each feed, or None where nobody can run it so.

    ONNX Runtime where it has the kernels (no convolution, no LSTM), else the onnx package's own evaluator.
    """
    onnx = require("onnx")
    from .compression import storage

    model, _ = storage.read_file(path)
    _widen(onnx, model.graph)
    feeds = [{name: value.astype("float64") if value.dtype == "float32" else value for name, value in feed.items()} for feed in feeds]
    try:
        graph = session(model.SerializeToString())
        return [run(graph, feed) for feed in feeds]
    except (Error, ValueError):  # ValueError: more than protobuf's 2 GB
        pass
    try:
        graph = require("onnx.reference").ReferenceEvaluator(model)
        return [graph.run(None, feed) for feed in feeds]
    except Exception:  # an evaluator in Python, which raises whatever its kernels do
        return None


def _widen(onnx, graph):
    """Make every float32 of a graph and its subgraphs a float64."""
    single, double = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

    def widen(tensor):
        if tensor.data_type == single:
            values = onnx.numpy_helper.to_array(tensor).astype("float64")
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    for tensor in graph.initializer:
        widen(tensor)
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == single:
            info.type.tensor_type.elem_type = double
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                widen(attribute.t)
            elif attribute.HasField("g"):
                _widen(onnx, attribute.g)
            elif attribute.name in ("to", "dtype", "output_datatype") and attribute.i == single:
                attribute.i = double


def run(model_session, feed):
    """All outputs of a session; Error if onnxruntime fails."""
    try:
        return model_session.run(None, feed)
    except Exception as error:
        raise Error(f"onnxruntime fails on the model: {reason(error)}") from None
