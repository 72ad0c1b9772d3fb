# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factors of smoothed channels: which producers take them over, with the same answers, and where the Mul stays."""
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import models

from tamis import reference
from tamis.compression import prepare, writer, writer_factors

build = helper.make_node
CHANNELS = 8
FACTOR = np.array([[0.5, 2, 4, 0.25, 1, 0.125, 3, 0.7]], np.float32)


def values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network(*nodes, extra=(), outputs=("y",), **parameters):
    """Nodes that make t of x [n, 8], then y = t @ v, where t is quantized after multiplication by FACTOR."""
    return models.model([*nodes, build("MatMul", ["t", "v"], ["y"], name="reader"), *extra],
                        [models.info("x", ["n", CHANNELS])], [models.info(name, None) for name in outputs],
                        [models.const(name, array) for name, array in {**parameters, "v": values(CHANNELS, 4, seed=9)}.items()], opset=21)


def integers(array, axis):
    scale = (np.abs(array).max(1 - axis) / 127).astype(np.float32) if axis is not None else np.float32(np.abs(array).max() / 127)
    spread = scale if axis is None else np.expand_dims(scale, 1 - axis)
    return {"values": np.rint(array / spread).astype(np.int8), "dtype": "int8", "scale": scale, "axis": axis}


GAMMA, BETA, WEIGHT, BIAS = np.abs(values(8)) + 0.5, values(8, seed=1), values(8, 8, seed=2), values(8, seed=3)
NORM = build("LayerNormalization", ["x", "gamma", "beta"], ["t"], name="norm")
PRODUCT = build("MatMul", ["x", "w"], ["t"], name="product")
GELU = [build("Div", ["x", "root"], ["d"]), build("Erf", ["d"], ["e"]), build("Add", ["e", "one"], ["a"]), build("Mul", ["x", "a"], ["m"]),
        build("Mul", ["m", "half"], ["t"])]
GATE = [build("Sigmoid", ["x"], ["s"]), build("MatMul", ["x", "w"], ["u"]), build("Mul", ["s", "u"], ["t"])]
SCALARS = {"root": np.float32(2 ** 0.5), "one": np.float32(1), "half": np.float32(0.5)}
BIASED = [build("MatMul", ["x", "w"], ["p"]), build("Add", ["b", "p"], ["q"]), build("Relu", ["q"], ["t"])]

FOLDED = {"normalization": (network(NORM, gamma=GAMMA, beta=BETA), {}),
          "product": (network(PRODUCT, w=WEIGHT), {}),
          "integer weight": (network(PRODUCT, w=WEIGHT), {"w": integers(WEIGHT, 1)}),
          "bias and relu": (network(*BIASED, w=WEIGHT, b=BIAS), {}),
          "integer bias": (network(*BIASED, w=WEIGHT, b=BIAS), {"w": integers(WEIGHT, 1), "b": {
              "values": np.rint(BIAS / 0.01).astype(np.int32), "dtype": "int32", "scale": np.full(8, 0.01, np.float32), "axis": 0}}),
          "gelu": (network(*GELU, **SCALARS), {}), "gate": (network(*GATE, w=WEIGHT), {})}
STAYS = {"residual": (network(NORM, extra=[build("Add", ["x", "t"], ["z"])], outputs=("y", "z"), gamma=GAMMA, beta=BETA), {}),
         "output": (network(NORM, outputs=("y", "t"), gamma=GAMMA, beta=BETA), {}),
         "one scale": (network(PRODUCT, w=WEIGHT), {"w": integers(WEIGHT, None)}),
         "scales along the sum": (network(PRODUCT, w=WEIGHT), {"w": integers(WEIGHT, 0)}),
         "function": (network(build("Tanh", ["x"], ["t"])), {}),
         "only one side of a sum": (network(build("Tanh", ["x"], ["h"]), build("Add", ["h", "b"], ["t"]), b=BIAS), {}),
         "shared weight": (network(PRODUCT, extra=[build("MatMul", ["x", "w"], ["z"])], outputs=("y", "z"), w=WEIGHT), {})}


def written(made, weights, folds):
    delta = {"weights": weights, "tensors": {"t": {"dtype": "uint8", "scale": np.float32(0.05), "zero_point": 100, "factor": FACTOR,
                                                   "readers": ["reader"]}}}
    if folds:
        return writer.apply(prepare.prepare(made), delta)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_factors, "fold", lambda graph, tensors: [])
        return writer.apply(prepare.prepare(made), delta)


def run(model):
    return reference.session(model.SerializeToString()).run(None, {"x": values(64, CHANNELS, seed=5)})


def muls(model):
    return sum(n.op_type == "Mul" for n in model.graph.node)


@pytest.mark.parametrize("name", FOLDED)
def test_folded(name):
    made, weights = FOLDED[name]
    folded, explicit = written(made, weights, True), written(made, weights, False)
    onnx.checker.check_model(folded)
    assert muls(folded) == muls(explicit) - 1
    got, want = run(folded)[0], run(explicit)[0]
    # A product rounded elsewhere moves a value from one integer to the next now and then.
    assert np.mean(np.abs(got - want) > 1e-5) < 0.01
    stored = {t.name: numpy_helper.to_array(t) for t in folded.graph.initializer}
    for weight, entry in weights.items():
        assert (stored[f"{weight}_quantized"] == entry["values"]).all()
        assert np.allclose(stored[f"{weight}_scale_smoothed"], entry["scale"] * FACTOR[0])


@pytest.mark.parametrize("name", STAYS)
def test_stays(name):
    made, weights = STAYS[name]
    kept, explicit = written(made, weights, True), written(made, weights, False)
    assert muls(kept) == muls(explicit) == 1
    assert all((a == b).all() for a, b in zip(run(kept), run(explicit)))


def test_another_reader_of_a_parameter_keeps_it():
    made = network(NORM, extra=[build("Mul", ["x", "gamma"], ["z"])], outputs=("y", "z"), gamma=GAMMA, beta=BETA)
    folded = written(made, {}, True)
    assert muls(folded) == 1
    assert (run(folded)[1] == values(64, CHANNELS, seed=5) * GAMMA).all()
