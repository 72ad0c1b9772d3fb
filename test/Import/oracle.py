# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One-node models, and their values against unoptimised ONNX Runtime."""
import numpy as np
import onnx
import onnxruntime
from onnx import helper

F32, U8, I8, I32 = (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32)


class Values:
    """Random operands that are the same in every run."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)

    def floats(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def scales(self, *shape):
        return self.random.uniform(0.005, 0.02, shape).astype(np.float32)

    def integers(self, dtype, *shape):
        info = np.iinfo(dtype)
        return self.random.integers(info.min, info.max + 1, shape).astype(dtype)

    def weights(self, *shape, dtype=np.int8):
        """Integers of 7 bits, around 128 if unsigned. Without VNNI ONNX Runtime adds up two products of bytes in 16 bits, which
        saturate; these fit."""
        return (self.random.integers(-64, 64, shape) + (0 if dtype == np.int8 else 128)).astype(dtype)


def node(op, inputs, outputs="y", domain="", **attributes):
    """`inputs` and `outputs` are names between blanks; "-" stands for an absent one."""
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(op, *names, domain=domain, **attributes)


def microsoft(op, inputs, outputs="y", **attributes):
    return node(op, inputs, outputs, "com.microsoft", **attributes)


def model(nodes, inputs, parameters=None, outputs=None, opset=17, open_dims=False):
    """A model of these nodes; with `open_dims` no input size is known."""
    def info(name, value):
        dims = [f"{name}{i}" for i in range(value.ndim)] if open_dims else value.shape
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)

    outputs = outputs or {"y": F32}
    graph = helper.make_graph(
        nodes if isinstance(nodes, list) else [nodes], "g", [info(*item) for item in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, None) for name, dtype in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in (parameters or {}).items()])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def expected(data, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def check(nodes, inputs, parameters=None, outputs=None, rtol=1e-4, atol=1e-5, **options):
    """Every result has the shape, the type and within the bounds the values of ONNX Runtime's."""
    import tamis

    data = model(nodes, inputs, parameters, outputs, **options)
    want = expected(data, inputs)
    got = tamis.compile(data).run(None, inputs)
    assert len(got) == len(want)
    for g, w in zip(got, want):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        np.testing.assert_allclose(g.astype(np.float64), w.astype(np.float64), rtol=rtol, atol=atol)


def check_exact(nodes, inputs, parameters=None, outputs=None, **options):
    check(nodes, inputs, parameters, outputs, rtol=0, atol=0, **options)
