# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the small models of the pipeline tests:  models.py FOLDER

conv.onnx: convolution, bias, relu, mean and a classifier with softmax. qdq.onnx: a quantized convolution between
QuantizeLinear and DequantizeLinear. open.onnx: a matrix product with an open batch.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def save(name, nodes, inputs, outputs, weights):
    graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs],
                              [helper.make_tensor_value_info(n, FLOAT, s) for n, s in outputs],
                              [numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, os.path.join(sys.argv[1], name + ".onnx"))


random = np.random.default_rng(1)


def normal(*shape):
    return random.standard_normal(shape, dtype=np.float32)


save("conv",
     [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv1", pads=[1, 1, 1, 1]),
      helper.make_node("Relu", ["c"], ["r"], name="relu1"),
      helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool1"),
      helper.make_node("Flatten", ["p"], ["f"], name="flatten1"),
      helper.make_node("Gemm", ["f", "v"], ["g"], name="gemm1"),
      helper.make_node("Softmax", ["g"], ["y"], name="softmax1")],
     [("x", [1, 3, 8, 8])], [("y", [1, 10])],
     {"w": normal(16, 3, 3, 3), "b": normal(16), "v": normal(16, 10)})

save("qdq",
     [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"], name="q1"),
      helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"], name="dq1"),
      helper.make_node("DequantizeLinear", ["w", "ws"], ["wd"], name="dq2", axis=0),
      helper.make_node("Conv", ["xd", "wd"], ["c"], name="conv1"),
      helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["cq"], name="q2"),
      helper.make_node("DequantizeLinear", ["cq", "ys", "yz"], ["y"], name="dq3")],
     [("x", [1, 8, 6, 6])], [("y", [1, 16, 4, 4])],
     {"xs": np.float32(0.02), "xz": np.uint8(128), "ws": np.full(16, 0.01, np.float32), "ys": np.float32(0.1),
      "yz": np.uint8(120), "w": random.integers(-127, 128, (16, 8, 3, 3)).astype(np.int8)})

save("open", [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
     [("x", ["n", 32])], [("y", ["n", 16])], {"w": normal(32, 16)})
