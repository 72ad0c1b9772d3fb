# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pruning of whole models: patterns hold for every shape, removed channels leave a model that gives what zero channels give."""
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import tamis
from tamis import reference
from tamis.compression import prepare, writer
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


def matrix(session, name="w"):
    """The weight of `dense` as output channels times K."""
    return session.parameter(name).T


@pytest.mark.parametrize("rows, columns", [(1, 1), (3, 5), (7, 18), (16, 64), (5, 33)])
@pytest.mark.parametrize("kept, length", [(2, 4), (1, 4), (4, 8), (3, 5), (1, 2)])
def test_groups_never_hold_more(rows, columns, kept, length):
    pruned = matrix(prune(dense(rows, columns), f"pattern={kept}:{length} protect=false"))
    before = dense(rows, columns)
    before = numpy_helper.to_array(before.graph.initializer[0]).T
    for start in range(0, columns, length):
        group, was = pruned[:, start:start + length], before[:, start:start + length]
        wanted = min(kept, group.shape[1])
        assert (np.count_nonzero(group, axis=1) == wanted).all()
        # The largest stay, as they were.
        stays = np.sort(np.abs(was), axis=1)[:, -wanted:]
        assert (np.sort(np.abs(group), axis=1)[:, -wanted:] == stays).all()


@pytest.mark.parametrize("rows, columns", [(1, 1), (3, 5), (7, 18), (16, 64)])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("criterion", ["magnitude", "random", "l2"])
def test_share_is_exact(rows, columns, sparsity, criterion):
    pruned = matrix(prune(dense(rows, columns), f"sparsity={sparsity} criterion={criterion} seed=3 protect=false"))
    assert abs(np.count_nonzero(pruned == 0) - sparsity * pruned.size) <= 0.5


@pytest.mark.parametrize("rows, columns", [(8, 64), (33, 70), (5, 3), (32, 1)])
@pytest.mark.parametrize("height, width", [(1, 4), (4, 1), (32, 4), (2, 3)])
def test_blocks_are_whole(rows, columns, height, width):
    pruned = matrix(prune(dense(rows, columns), f"pattern={height}x{width} sparsity=0.5 protect=false"))
    for i in range(0, rows, height):
        for j in range(0, columns, width):
            block = pruned[i:i + height, j:j + width]
            assert (block == 0).all() or (block != 0).all()
    assert abs(np.count_nonzero(pruned == 0) - 0.5 * pruned.size) <= 0.5 * height * width


def test_channel_is_fastest_in_a_convolution():
    # Four neighbours of K are four channels at one place of the window.
    made = model([build("Conv", ["x", "w"], ["y"], "conv")], {"w": values(0, 4, 8, 3, 3)}, {"x": [1, 8, 9, 9]}, ["y"])
    weight = prune(made, "pattern=1x4 sparsity=0.5 protect=false").parameter("w")
    blocks = weight.transpose(0, 2, 3, 1).reshape(-1, 4)
    zero = (blocks == 0).all(axis=1)
    assert (zero | (blocks != 0).all(axis=1)).all() and zero.sum() == len(blocks) // 2


def test_zeros_stay_and_ties_are_settled():
    weight = np.ones((4, 4), np.float32)
    weight[3, 3] = 0
    made = model([build("MatMul", ["x", "w"], ["y"])], {"w": weight}, {"x": [2, 4]}, ["y"])
    first, second = (prune(made, "sparsity=0.25 protect=false").parameter("w") for _ in range(2))
    assert (first == second).all() and first[3, 3] == 0 and np.count_nonzero(first == 0) == 4


def test_one_order_over_all_layers():
    made = model([build("MatMul", ["x", "v"], ["h"]), build("MatMul", ["h", "w"], ["y"])],
                 {"v": 0.1 * values(0, 8, 8), "w": values(1, 8, 8)}, {"x": [2, 8]}, ["y"])
    session = prune(made, "scope=global sparsity=0.5 protect=false")
    v, w = session.parameter("v"), session.parameter("w")
    assert np.count_nonzero(v == 0) + np.count_nonzero(w == 0) == 64 and np.count_nonzero(v == 0) > 48
    assert np.abs(v).max() <= np.abs(w[w != 0]).min() or np.abs(v[v != 0]).min() >= np.abs(values(1, 8, 8)[w == 0]).max()


def test_given_gradients():
    gradient = np.zeros((8, 4), np.float32)
    gradient[:4] = 1
    pruned = prune(dense(4, 8), "criterion=gradient sparsity=0.5 protect=false", [("w", "gradient", gradient)]).parameter("w")
    assert (pruned[4:] == 0).all() and (pruned[:4] != 0).all()


def test_gradient_of_another_shape():
    with pytest.raises(tamis.Error, match="a statistic 'gradient' cannot be of float32 elements and shape"):
        prune(dense(4, 8), "criterion=gradient protect=false", [("w", "gradient", np.ones(3, np.float32))])


def moments(x):
    flat = x.reshape(-1, x.shape[-1])
    return np.stack([np.full(flat.shape[1], len(flat)), flat.sum(0), (flat**2).sum(0)]).astype(np.float32)


def layers(rows, columns):
    """Two layers, the second of which is tested: its input is a tensor that is observed."""
    return model([build("MatMul", ["x", "v"], ["h"], "first"), build("MatMul", ["h", "w"], ["y"], "second")],
                 {"v": np.eye(columns, dtype=np.float32), "w": values(1, columns, rows)}, {"x": [4, columns]}, ["y"])


def test_wanda_weighs_by_inputs_within_rows():
    x = values(2, 64, 12) * np.linspace(0.1, 3, 12, dtype=np.float32)
    session = Session(layers(6, 12))
    session.run("tamis-select-pruning{criterion=wanda sparsity=0.5 include=second protect=false}")
    assert [(o["tensor"], o["collect"], o["axis"]) for o in session.observed() if o["collect"]] == [("h", ["channel_moments"], 1)]
    session.set_statistics("h", {"channel_moments": moments(x)})
    session.run("tamis-prune")
    pruned = matrix(session)
    score = np.abs(values(1, 12, 6)) * np.linalg.norm(x, axis=0)[:, None]
    assert (np.count_nonzero(pruned, axis=1) == 6).all()
    for row, expected in zip(pruned, score.T):
        assert set(np.flatnonzero(row)) == set(np.argsort(expected)[6:])


def sparsegpt(weight, gram):
    """The algorithm of the paper in a few lines, for one slab of columns and half of the weights."""
    h = gram + 0.01 * np.mean(np.diag(gram)) * np.eye(len(gram))
    factor = np.linalg.cholesky(np.linalg.inv(h)).T
    score = (weight / np.diag(factor))**2
    drop = score < np.sort(score, axis=None)[score.size // 2]
    weight = weight.copy()
    for j in range(weight.shape[1]):
        kept = np.where(drop[:, j], 0, weight[:, j])
        weight[:, j:] -= np.outer((weight[:, j] - kept) / factor[j, j], factor[j, j:])
        weight[:, j] = kept
    return weight


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "1x4"])
def test_sparsegpt_makes_good_for_what_it_drops(pattern):
    x = (values(2, 256, 6) @ values(3, 6, 24) + 0.1 * values(4, 256, 24)).astype(np.float64)  # inputs that say much about each other
    ones = np.concatenate([x, np.ones((len(x), 1))], 1)
    pruned = {}
    for criterion in ("magnitude", "sparsegpt"):
        session = Session(layers(6, 24))
        session.run(f"tamis-select-pruning{{criterion={criterion} pattern={pattern} sparsity=0.5 include=second protect=false}}")
        session.set_statistics("h", {"gram": (ones.T @ ones).astype(np.float32)})
        session.run("tamis-prune")
        pruned[criterion] = session.parameter("w")
        assert np.count_nonzero(pruned[criterion] == 0) == 72
    before = values(1, 24, 6)
    error = {criterion: np.linalg.norm(x @ (after - before)) for criterion, after in pruned.items()}
    assert error["sparsegpt"] < 0.95 * error["magnitude"]
    if pattern == "unstructured":
        np.testing.assert_allclose(pruned["sparsegpt"].T, sparsegpt(before.T.astype(np.float64), x.T @ x), rtol=1e-3, atol=1e-3)


# --- channels


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


CASES = [(bottleneck, 8, 24), (bottleneck, 5, 7), (concatenation, 6, 3), (concatenation, 1, 9), (attention, 4, 3), (attention, 3, 8), (groups, 4, 2),
         (groups, 3, 3), (halves, 7)]


@pytest.mark.parametrize("sparsity, scope", [(0.25, "local"), (0.6, "local"), (0.5, "global")])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_removed_channels_give_what_zero_channels_give(case, sparsity, scope):
    function, *sizes = CASES[case]
    made, shape = function(case, *sizes)
    prepared = prepare.prepare(made)
    session = prune(prepared.model.SerializeToString(), f"pattern=channel criterion=l1 sparsity={sparsity} scope={scope}")
    delta = session.delta()
    assert delta["removed"]["parameters"]
    zeroed, removed = writer.apply(prepared, {**delta, "removed": {}}), writer.apply(prepared, delta)
    onnx.checker.check_model(removed, full_check=True)
    assert sum(np.prod(t.dims) for t in removed.graph.initializer) < sum(np.prod(t.dims) for t in zeroed.graph.initializer)
    x = values(9, *shape)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (zeroed, removed))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_unremovable_channels_are_refused():
    made = model([build("MatMul", ["x", "w"], ["h"]), build("Softmax", ["h"], ["y"])], {"w": values(0, 8, 8)}, {"x": [2, 8]}, ["y"])
    with pytest.raises(tamis.Error, match="no group of channels can be removed"):
        prune(made, "pattern=channel protect=false")


@pytest.mark.parametrize("kernel", [1, 3])
def test_dead_channels_go_without_changing_results(kernel):
    w = {}
    nodes = [conv("a", "x", 8, "p", seed=0, weights=w, before=3), build("Sigmoid", ["p"], ["s"]),
             conv("b", "s", 6, "q", seed=1, weights=w, kernel=kernel, before=8), build("Relu", ["q"], ["r"]),
             conv("c", "r", 4, "y", seed=2, weights=w, kernel=1, before=6)]
    w["a"][[1, 4]] = 0  # a number that is not zero behind the sigmoid
    w["b"][[0, 5]] = 0
    w["bb"][[0, 5]] = [-1, 2]  # zero behind the relu, and not
    prepared = prepare.prepare(model(nodes, w, {"x": [1, 3, 6, 6]}, ["y"]))
    session = prune(prepared.model.SerializeToString(), "dead-channels")
    delta = session.delta()
    kept = {name: list(entries[0][1]) for name, entries in delta["removed"]["parameters"].items()}
    assert kept["bb"] == [1, 2, 3, 4]
    # At the border a window of three sees padding instead of the number.
    assert kept.get("ab", list(range(8))) == ([0, 2, 3, 5, 6, 7] if kernel == 1 else list(range(8)))
    x = values(5, 1, 3, 6, 6)
    want, got = (reference.session(m.SerializeToString()).run(None, {"x": x})[0] for m in (prepared.model, writer.apply(prepared, delta)))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_unread_channels_go():
    made = layers(6, 8)
    weights = {t.name: t for t in made.graph.initializer}
    weight = numpy_helper.to_array(weights["w"]).copy()
    weight[[2, 5]] = 0
    weights["w"].CopyFrom(numpy_helper.from_array(weight, "w"))
    removed = prune(made, "dead-channels").delta()["removed"]
    assert {n: list(e[0][1]) for n, e in removed["parameters"].items()} == {"v": [0, 1, 3, 4, 6, 7], "w": [0, 1, 3, 4, 6, 7]}
    assert removed["tensors"] == {"h": [(1, 6)]}


@pytest.mark.parametrize("criterion, kind", [("wanda", "channel_moments"), ("sparsegpt", "gram")])
def test_bias_makes_good_for_the_average(criterion, kind):
    w = {"v": np.eye(12, dtype=np.float32), "w": values(1, 12, 6), "b": values(2, 6)}
    made = model([build("MatMul", ["x", "v"], ["h"], "first"), build("MatMul", ["h", "w"], ["m"], "second"), build("Add", ["m", "b"], ["y"])],
                 w, {"x": [4, 12]}, ["y"])
    x = 1 + np.abs(values(3, 64, 12))
    ones = np.concatenate([x, np.ones((64, 1), np.float32)], 1)
    for correct in ("true", "false"):
        session = Session(made)
        session.run(f"tamis-select-pruning{{criterion={criterion} sparsity=0.5 include=second protect=false}}")
        session.set_statistics("h", {kind: moments(x) if kind == "channel_moments" else ones.T @ ones})
        session.run(f"tamis-prune{{correct-bias={correct}}}")
        mean = (x @ session.parameter("w") + session.parameter("b")).mean(0)
        assert np.allclose(mean, (x @ w["w"] + w["b"]).mean(0), atol=1e-3) == (correct == "true")


def test_idle_neurons_go_first():
    w = {"u": values(0, 6, 6), "v": values(1, 6, 8), "w": values(2, 8, 3)}
    made = model([build("MatMul", ["x", "u"], ["i"], "a"), build("MatMul", ["i", "v"], ["h"], "b"), build("Relu", ["h"], ["r"]),
                  build("MatMul", ["r", "w"], ["y"], "c")], w, {"x": [4, 6]}, ["y"])
    session = Session(made)
    session.run("tamis-select-pruning{pattern=channel criterion=activation sparsity=0.25}")
    assert [o["tensor"] for o in session.observed() if o["collect"]] == ["r"]
    activations = np.abs(values(3, 50, 8)) * np.array([1, 1, 0.1, 1, 1, 0, 1, 1], np.float32)
    session.set_statistics("r", {"channel_moments": moments(activations)})
    session.run("tamis-prune")
    assert list(session.delta()["removed"]["parameters"]["w"][0][1]) == [0, 1, 3, 4, 6, 7]


def test_excluded_layer_keeps_what_is_tied_to_it():
    made, _ = bottleneck(0, 8, 12)
    session = prune(prepare.prepare(made).model.SerializeToString(), "pattern=channel exclude=ndown")
    delta = session.delta()
    assert "down" not in {n for n, entries in delta["removed"]["parameters"].items() if any(axis == 0 for axis, _ in entries)}
    assert [r["reason"] for r in delta["report"] if r["tensor"] == "down" and r["decision"] == "keep"] == ["excluded by name"]


@pytest.mark.parametrize("options, pattern", [("sparsity=0.02", "dense"), ("sparsity=0.6", "unstructured"), ("pattern=2:4", "2:4"), ("pattern=1:4", "1:4"),
                                              ("pattern=4:8", "4:8"), ("pattern=1x4 sparsity=0.5", "1x4"), ("pattern=32x4 sparsity=0.5", "32x4"),
                                              ("pattern=1x64 sparsity=0.5", "channel")])
def test_patterns_are_recognised(options, pattern):
    session = prune(dense(64, 64), options + " protect=false")
    info, = session.sparsity()
    assert info["pattern"] == pattern and info["zeros"] == np.count_nonzero(session.parameter("w") == 0)
    assert info["layer"] == "layer" and (info["rows"], info["columns"]) == (64, 64)
