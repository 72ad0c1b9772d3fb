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


def _model(nodes, input_shape, output_shape, initializers, element=TensorProto.FLOAT, opset=OPSET):
    graph = helper.make_graph(nodes, "layers", [helper.make_tensor_value_info("x", element, input_shape)],
                              [helper.make_tensor_value_info(nodes[-1].output[0], element, output_shape)],
                              [numpy_helper.from_array(array, name) for name, array in initializers.items()])
    domains = [helper.make_opsetid("", opset)] + [helper.make_opsetid(node.domain, 1) for node in nodes if node.domain]
    model = helper.make_model(graph, opset_imports=domains, ir_version=8)
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


def _integers(rng, *shape):
    """Weights as a quantizer leaves them: normal, the largest near the end of the range."""
    return np.clip(np.rint(rng.normal(0, 30, shape)), -127, 127).astype(np.int8)


def _steps(depth):
    """Scales and zero points of QLinear operators for sums of `depth` products: results use their range."""
    return {"xs": np.float32(0.02), "xz": np.uint8(128), "ws": np.float32(0.01), "wz": np.int8(0),
            "ys": np.float32(0.02 * 0.01 * 30 * 75 * np.sqrt(depth) / 40), "yz": np.uint8(128)}


def quantized_product(rows, depth, columns, seed=0):
    """QLinearMatMul: unsigned bytes in and out, row by row."""
    weights = _integers(np.random.default_rng(seed), depth, columns)
    node = helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    return _model([node], [rows, depth], [rows, columns], {**_steps(depth), "w": weights}, TensorProto.UINT8)


def quantized_convolution(channels, size, kernel, seed=0):
    """QLinearConv of stride 1 between as many channels."""
    rng = np.random.default_rng(seed)
    weights = _integers(rng, channels, channels, kernel, kernel)
    bias = rng.integers(-999, 999, channels).astype(np.int32)
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], pads=[kernel // 2] * 4)
    shape = [1, channels, size, size]
    return _model([node], shape, shape, {**_steps(channels * kernel**2), "w": weights, "b": bias}, TensorProto.UINT8)


def depthwise(channels, size, kernel, seed=0):
    """A depthwise convolution of stride 1 with ReLU."""
    weights = draw(np.random.default_rng(seed), (channels, 1, kernel, kernel), 0)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[kernel // 2] * 4, group=channels), helper.make_node("Relu", ["c"], ["r"])]
    shape = [1, channels, size, size]
    return _model(nodes, shape, shape, {"w": weights})


def four_bits(rows, depth, columns, block, seed=0):
    """MatMulNBits with scales of float16, activations rounded to 8 bits in blocks (accuracy_level 4)."""
    rng, blocks = np.random.default_rng(seed), depth // block
    parameters = {"b": rng.integers(0, 256, (columns, blocks, block // 2), dtype=np.uint8),
                  "s": rng.uniform(0.5, 1, columns * blocks).astype(np.float16).astype(np.float32)}
    node = helper.make_node("MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft", K=depth, N=columns, bits=4,
                            block_size=block, accuracy_level=4)
    return _model([node], [rows, depth], [rows, columns], parameters)


def rows_of(operator, *shape):
    """One operator along the last axis, Softmax or LayerNormalization."""
    parameters = {"g": np.ones(shape[-1], np.float32)} if operator == "LayerNormalization" else {}
    return _model([helper.make_node(operator, ["x", *parameters], ["y"], axis=-1)], shape, shape, parameters, opset=17)
