# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of a few layers whose weights have zeros at drawn places, as ONNX bytes with inputs to match."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13  # the newest that DeepSparse 1.8 reads


def draw(rng, shape, zeros, block=1, across=1):
    """Normal weights of a unit gain, a share `zeros` of them zero; `block` neighbours of the second-last axis and `across` of the last
    together."""
    weights = rng.standard_normal(shape).astype(np.float32)
    *outer, depth, columns = shape
    kept = rng.random((*outer, depth // block, columns // across)) >= zeros
    weights *= np.repeat(np.repeat(kept, block, axis=-2), across, axis=-1)
    return weights / np.float32(np.sqrt(max(1.0, np.prod(shape[:-1]) * (1 - zeros))))


def _model(nodes, input_shape, output_shape, initializers):
    graph = helper.make_graph(nodes, "layers", [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
                              [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, output_shape)],
                              [numpy_helper.from_array(array, name) for name, array in initializers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def products(rows, depth, columns, zeros, count=4, seed=0, block=1, across=1):
    """`count` matrix products with a bias and ReLU, depth to columns and back in turn; zeros in blocks of depth and columns."""
    rng = np.random.default_rng(seed)
    nodes, initializers, value = [], {}, "x"
    for i in range(count):
        shape = (depth, columns) if i % 2 == 0 else (columns, depth)
        initializers[f"w{i}"] = draw(rng, shape, zeros, block, across)
        initializers[f"b{i}"] = rng.standard_normal(shape[1]).astype(np.float32)
        nodes += [helper.make_node("MatMul", [value, f"w{i}"], [f"m{i}"]), helper.make_node("Add", [f"m{i}", f"b{i}"], [f"a{i}"]),
                  helper.make_node("Relu", [f"a{i}"], [f"r{i}"])]
        value = f"r{i}"
    return _model(nodes, [rows, depth], [rows, depth if count % 2 == 0 else columns], initializers)


def convolutions(channels, size, kernel, zeros, count=4, seed=0):
    """`count` convolutions of stride 1 with a bias and ReLU."""
    rng = np.random.default_rng(seed)
    nodes, initializers, value = [], {}, "x"
    for i in range(count):
        drawn = draw(rng, (kernel, kernel, channels, channels), zeros)
        initializers[f"w{i}"] = np.ascontiguousarray(drawn.transpose(3, 2, 0, 1))
        initializers[f"b{i}"] = rng.standard_normal(channels).astype(np.float32)
        nodes += [helper.make_node("Conv", [value, f"w{i}", f"b{i}"], [f"c{i}"], pads=[kernel // 2] * 4),
                  helper.make_node("Relu", [f"c{i}"], [f"r{i}"])]
        value = f"r{i}"
    shape = [1, channels, size, size]
    return _model(nodes, shape, shape, initializers)


def quantized(model):
    """The same in int8 throughout, calibrated on one sample."""
    import tamis

    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    feed = {"x": np.random.default_rng(1).standard_normal(shape).astype(np.float32)}
    return tamis.quantize(model, [feed])
