# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients by forward differences are the derivatives one can work out by hand."""
import numpy as np
import pytest
from onnx import helper, numpy_helper
from support import models

import tamis
from tamis.compression import differences

RNG = np.random.default_rng(0)
A, B = (RNG.standard_normal((8, 16)) / 3).astype(np.float32), (RNG.standard_normal((16, 4)) / 4).astype(np.float32)
X, CLASSES, TARGETS = RNG.standard_normal((5, 2, 8)).astype(np.float32), RNG.integers(0, 4, (5, 2)), RNG.standard_normal((5, 2, 4))
TOLERANCE = 0.03  # of the greatest slope: the step is 1/64 of a weight


def network(softmax=False, a=A):
    """x -> MatMul a -> tanh -> MatMul b -> y, as scores or as shares."""
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h"], name="first"), helper.make_node("Tanh", ["h"], ["t"]),
             helper.make_node("MatMul", ["t", "b"], ["s"], name="second"), helper.make_node("Softmax" if softmax else "Identity", ["s"], ["y"])]
    return models.model(nodes, [models.info("x", [2, 8])], [models.info("y", None)], [models.const("a", a), models.const("b", B)])


def forward(x):
    t = np.tanh(x @ A.astype(np.float64))
    return t, t @ B.astype(np.float64)


def by_hand(slope_of):
    """Mean gradients of a loss whose derivative by the scores is `slope_of(scores, sample)`."""
    a, b = np.zeros(A.shape), np.zeros(B.shape)
    for i, x in enumerate(X.astype(np.float64)):
        t, y = forward(x)
        d = slope_of(y, i)
        b += t.T @ d / len(X)
        a += x.T @ ((d @ B.T) * (1 - t * t)) / len(X)
    return {"a": a, "b": b}


def of_classes(y, i):
    p = np.exp(y - y.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    p[np.arange(2), CLASSES[i]] -= 1
    return p / 2


def assert_close(found, wanted):
    for name, slopes in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], slopes, atol=TOLERANCE * np.abs(slopes).max())


@pytest.mark.parametrize("softmax", [False, True])
def test_cross_entropy(softmax):
    assert_close(differences.gradients(network(softmax), ["a", "b"], list(X), CLASSES, subset_size=300), by_hand(of_classes))


def test_squared_error():
    found = differences.gradients(network(), ["a"], list(X), TARGETS, subset_size=300)
    assert set(found) == {"a"}
    assert_close(found, {"a": by_hand(lambda y, i: 2 * (y - TARGETS[i]) / y.size)["a"]})


def test_without_labels_all_outputs_count():
    a, b, power = np.zeros(A.shape), np.zeros(B.shape), 0
    for x in X.astype(np.float64):
        t, y = forward(x)
        power += (y ** 2).sum()
        a += np.einsum("ni,nj,jk->ij", x ** 2, (1 - t * t) ** 2, B.astype(np.float64) ** 2)
        b += (t ** 2).sum(0)[:, None]
    assert_close(differences.gradients(network(), ["a", "b"], list(X), subset_size=300), {"a": np.sqrt(a / power), "b": np.sqrt(b / power)})


def test_zeros_cost_nothing_and_weights_are_as_before():
    made, seen = network(a=A * (np.arange(16) % 2).astype(np.float32)), []
    before = made.SerializeToString()
    found = differences.gradients(made, ["a"], list(X), subset_size=300, progress=lambda *at: seen.append(at))
    assert seen[-1] == (64, 64) and not found["a"][:, ::2].any() and found["a"][:, 1::2].all()
    assert made.SerializeToString() == before


def test_prune_measures_what_is_not_given():
    options = {"criterion": "gradient", "sparsity": 0.5, "protect": False}
    for labels in (None, CLASSES):
        pruned = tamis.prune(network(), list(X), labels=labels, **options)
        slopes = differences.gradients(network(), ["a", "b"], list(X), labels, subset_size=300)
        for tensor in pruned.graph.initializer:
            before = {"a": A, "b": B}[tensor.name]
            order = np.argsort(np.abs(before * slopes[tensor.name]), axis=None)
            assert set(np.flatnonzero(numpy_helper.to_array(tensor) == 0)) == set(order[:before.size // 2])


@pytest.mark.parametrize("labels, message", [
    (CLASSES[:3], "a number for each of 5 samples"), (np.full((5, 2), 4), r"label 0: expected a class for each row of the output's shape \[2, 4\]"),
    (np.zeros((5, 3)), r"label 0: expected a class .*got float64 \[0"), (np.array(["a"] * 5), "a number for each")])
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(tamis.Error, match=message):
        differences.gradients(network(), ["a"], list(X), labels, subset_size=300)


def test_large_models_are_refused(monkeypatch):
    monkeypatch.setattr(differences, "MOST_WEIGHTS", 100)
    with pytest.raises(tamis.Error, match="expected at most 100 weights that are not zero, got 128; give gradients, or exclude layers"):
        differences.gradients(network(), ["a"], list(X), subset_size=300)


def test_samples_are_as_many_as_the_runs_allow(monkeypatch):
    monkeypatch.setattr(differences, "MOST_RUNS", 2 * A.size)
    few = differences.gradients(network(), ["a"], list(X), subset_size=300)
    np.testing.assert_array_equal(few["a"], differences.gradients(network(), ["a"], list(X[:2]), subset_size=300)["a"])


@pytest.mark.parametrize("options, message", [
    ({"criterion": "gradient"}, "needs gradients, or data to measure them"), ({"criterion": "l1", "labels": [1]}, "labels are for criterion gradient")])
def test_what_is_missing(options, message):
    with pytest.raises(tamis.Error, match=message):
        tamis.prune(network(), **options)
