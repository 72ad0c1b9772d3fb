# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small networks to prune, and the pass on its own."""
import numpy as np
import onnx
from onnx import helper, numpy_helper
from tamis.compression.session import Session

build = helper.make_node


def model(nodes, weights, inputs, outputs):
    """An ONNX model; shapes of outputs are left to inference."""
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, 1, s) for n, s in inputs.items()],
                              [helper.make_tensor_value_info(n, 1, None) for n in outputs],
                              [numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.shape_inference.infer_shapes(made, strict_mode=True)


def values(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def dense(rows, columns, seed=0):
    """x · w with w of columns x rows; K is the first axis of a MatMul's weight."""
    return model([build("MatMul", ["x", "w"], ["y"], "layer")], {"w": values(seed, columns, rows)}, {"x": [2, columns]}, ["y"])


def prune(made, options, statistics=()):
    session = Session(made)
    for tensor, kind, array in statistics:
        session.set_statistics(tensor, {kind: array})
    session.run(f"tamis-prune{{{options}}}")
    return session


def conv(name, source, channels, result, *, seed, weights, group=1, kernel=3, before):
    weights[name] = values(seed, channels, before // group, kernel, kernel)
    weights[name + "b"] = values(seed + 100, channels)
    return build("Conv", [source, name, name + "b"], [result], "n" + name, group=group, pads=[kernel // 2] * 4)


def bottleneck(seed, width, middle):
    """Stem, expansion, depthwise, squeeze-and-excitation, projection, residual addition, classifier."""
    w = {}
    nodes = [conv("stem", "x", width, "s", seed=seed, weights=w, before=3), build("Relu", ["s"], ["r"]),
             conv("up", "r", middle, "u", seed=seed + 1, weights=w, kernel=1, before=width), build("Clip", ["u", "zero", "six"], ["c"]),
             conv("dw", "c", middle, "d", seed=seed + 2, weights=w, group=middle, before=middle),
             build("GlobalAveragePool", ["d"], ["p"]), conv("se", "p", middle, "e", seed=seed + 3, weights=w, kernel=1, before=middle),
             build("Sigmoid", ["e"], ["g"]), build("Mul", ["d", "g"], ["m"]),
             conv("down", "m", width, "o", seed=seed + 4, weights=w, kernel=1, before=middle), build("Add", ["r", "o"], ["a"]),
             build("GlobalAveragePool", ["a"], ["q"]), build("Flatten", ["q"], ["f"]), build("MatMul", ["f", "fc"], ["y"], "fc")]
    w.update(zero=np.float32(0), six=np.float32(6), fc=values(seed + 5, width, 5))
    return model(nodes, w, {"x": [1, 3, 9, 7]}, ["y"]), [1, 3, 9, 7]


def concatenation(seed, a, b):
    """Two branches beside each other, a split again, a flatten before the classifier."""
    w = {}
    nodes = [conv("stem", "x", 4, "s", seed=seed, weights=w, before=2), conv("one", "s", a, "p", seed=seed + 1, weights=w, before=4),
             conv("two", "s", b, "q", seed=seed + 2, weights=w, before=4), build("Concat", ["p", "q"], ["c"], axis=1),
             build("BatchNormalization", ["c", "bg", "bb", "bm", "bv"], ["n"]), build("MaxPool", ["n"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
             build("Flatten", ["m"], ["f"]), build("Gemm", ["f", "fc", "fb"], ["h"], "fc", transB=1), build("Relu", ["h"], ["t"]),
             build("MatMul", ["t", "last"], ["y"], "last")]
    w.update({k: np.abs(values(seed + i, a + b)) for i, k in enumerate(("bg", "bb", "bm", "bv"))})
    w.update(fc=values(seed + 5, 6, (a + b) * 3 * 4), fb=values(seed + 6, 6), last=values(seed + 7, 6, 3))
    return model(nodes, w, {"x": [1, 2, 6, 8]}, ["y"]), [1, 2, 6, 8]


def attention(seed, heads, size):
    """Self-attention: heads are what can go."""
    width = heads * size
    w = {n: values(seed + i, width, width) / 3 for i, n in enumerate(("stem", "wq", "wk", "wv", "wo", "last"))}
    w["shape"], w["back"] = np.array([1, -1, heads, size]), np.array([1, -1, width])
    nodes = [build("MatMul", ["x", "stem"], ["s"], "stem")]
    for n, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [build("MatMul", ["s", "w" + n], [n], "n" + n), build("Reshape", [n, "shape"], [n + "r"]),
                  build("Transpose", [n + "r"], [n + "t"], perm=order)]
    nodes += [build("MatMul", ["qt", "kt"], ["a"]), build("Softmax", ["a"], ["p"], axis=-1), build("MatMul", ["p", "vt"], ["c"]),
              build("Transpose", ["c"], ["ct"], perm=[0, 2, 1, 3]), build("Reshape", ["ct", "back"], ["b"]),
              build("MatMul", ["b", "wo"], ["o"], "no"), build("MatMul", ["o", "last"], ["y"], "last")]
    return model(nodes, w, {"x": [1, 5, width]}, ["y"]), [1, 5, width]


def groups(seed, count, each):
    """A grouped convolution loses whole groups."""
    w = {}
    width = count * each
    nodes = [conv("stem", "x", width, "s", seed=seed, weights=w, before=2), conv("up", "s", width, "u", seed=seed + 1, weights=w, before=width),
             conv("grouped", "u", width, "g", seed=seed + 2, weights=w, group=count, before=width), build("Relu", ["g"], ["r"]),
             conv("last", "r", 2, "y", seed=seed + 3, weights=w, kernel=1, before=width)]
    return model(nodes, w, {"x": [1, 2, 5, 5]}, ["y"]), [1, 2, 5, 5]


def halves(seed, width):
    """A gated unit: both halves of a Split lose the same channels."""
    w = {"stem": values(seed, 4, 4), "up": values(seed + 1, 4, 2 * width), "last": values(seed + 2, width, 3), "sizes": np.array([width, width])}
    nodes = [build("MatMul", ["x", "stem"], ["s"], "stem"), build("MatMul", ["s", "up"], ["u"], "up"), build("Split", ["u", "sizes"], ["a", "b"], axis=-1),
             build("Sigmoid", ["b"], ["g"]), build("Mul", ["a", "g"], ["m"]), build("MatMul", ["m", "last"], ["y"], "last")]
    return model(nodes, w, {"x": [2, 4]}, ["y"]), [2, 4]


def layers(rows, columns):
    """Two layers, the second of which is tested: its input is a tensor that is observed."""
    return model([build("MatMul", ["x", "v"], ["h"], "first"), build("MatMul", ["h", "w"], ["y"], "second")],
                 {"v": np.eye(columns, dtype=np.float32), "w": values(1, columns, rows)}, {"x": [4, columns]}, ["y"])
