# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small ONNX models for the tests, made on the spot."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
FLOAT, INT64, UINT8, INT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8, TensorProto.INT8


def info(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def const(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(nodes, inputs, outputs, initializers=(), opset=OPSET, **options):
    graph = helper.make_graph(list(nodes), "test", list(inputs), list(outputs), list(initializers))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, **options)


def one(op, inputs, output, initializers=(), name="node", opset=OPSET, **attributes):
    """A model of one node; `inputs` are value infos, then come the initializers."""
    names = [i.name for i in inputs] + [t.name for t in initializers]
    node = helper.make_node(op, names, [output.name], name=name, **attributes)
    return model([node], inputs, [output], initializers, opset)


def linear(batch="batch"):
    """y = relu(x @ w + b), x: [batch, 8], with metadata."""
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="gemm"), helper.make_node("Relu", ["h"], ["y"], name="relu")]
    made = model(nodes, [info("x", [batch, 8])], [info("y", [batch, 4])],
                 [const("w", rng.standard_normal((8, 4), np.float32)), const("b", rng.standard_normal(4).astype(np.float32))])
    entry = made.metadata_props.add()
    entry.key, entry.value = "author", "somebody"
    return made


def linear_result(made, x):
    weights = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    return np.maximum(x @ weights["w"] + weights["b"], 0)


def sparse():
    """y = x @ w, x: [64, 64], w: [64, 128] with a row of sixteen that is not zero; the node is named sparse."""
    weights = np.zeros((64, 128), np.float32)
    weights[::16] = np.random.default_rng(0).standard_normal((4, 128))
    return one("MatMul", [info("x", [64, 64])], info("y", [64, 128]), [const("w", weights)], name="sparse")


def add():
    """y = a + b, both [2, 3]."""
    return one("Add", [info("a", [2, 3]), info("b", [2, 3])], info("y", [2, 3]), name="sum")


def conv(**attributes):
    """A 3x3 convolution named conv on [1, 3, 8, 8]."""
    weights = np.ones((4, 3, 3, 3), np.float32)
    return one("Conv", [info("x", [1, 3, 8, 8])], info("y", None), [const("w", weights)], name="conv", **attributes)


def save(made, path):
    onnx.save(made, path)
    return str(path)


def conv_open():
    """A convolution whose image size is open."""
    weights = np.ones((4, 3, 3, 3), np.float32)
    return one("Conv", [info("x", [1, 3, "h", "w"])], info("y", None), [const("w", weights)], name="conv")
