# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a stand-in for the README's model, of the same inputs and outputs, that scores a digit by how many pixels of
two rows and columns are set:  digits.py FILE.onnx"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = np.zeros((784, 10), np.float32)
weights[13 * 28 + np.arange(8, 24), 4] = 1  # the bar of a 4
weights[28 * np.arange(4, 24) + 13, 1] = 1  # the stroke of a 1
graph = helper.make_graph(
    [helper.make_node("Reshape", ["Input3", "shape"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["Plus214_Output_0"])],
    "digits", [helper.make_tensor_value_info("Input3", TensorProto.FLOAT, [1, 1, 28, 28])],
    [helper.make_tensor_value_info("Plus214_Output_0", TensorProto.FLOAT, [1, 10])],
    [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([1, 784]), "shape")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
