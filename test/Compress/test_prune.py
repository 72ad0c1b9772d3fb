# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pruning of whole models: patterns hold for every shape, removed channels leave a model that gives what zero channels give."""
import re

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.pruning import attention, bottleneck, build, concatenation, dense, groups, halves, layers, model, prune, values

import tamis
from tamis import reference
from tamis.compression import prepare, writer
from tamis.compression.session import Session


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


def removed_by(delta, name):
    """How many entries of each axis of a parameter go."""
    return {axis: len(kept) for axis, kept in delta["removed"]["parameters"].get(name, ())}


def transformer(seed, heads, size):
    """An attention and two more layers, so that there are neurons beside the heads."""
    made, shape = attention(seed, heads, size)
    made.graph.node.extend([build("MatMul", ["y", "up"], ["h"], "up"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "end"], ["z"], "end")])
    width = heads * size
    made.graph.initializer.extend([numpy_helper.from_array(values(7, width, 20), "up"), numpy_helper.from_array(values(8, 20, 3), "end")])
    made.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("z", 1, None))
    return made, shape


@pytest.mark.parametrize("pattern, sparsity, left, neurons", [("head", 0.5, 2, 20), ("neuron", 0.5, 4, 10), ("channel", 0.5, 2, 10),
                                                              ("head", 0.7, 1, 20), ("head", 0.99, 1, 20)])
def test_heads_and_neurons(pattern, sparsity, left, neurons):
    made, shape = transformer(3, 4, 6)
    prepared = prepare.prepare(made)
    session = prune(prepared.model.SerializeToString(), f"pattern={pattern} sparsity={sparsity} protect=false")
    delta = session.delta()
    # Three projections lose the columns of a head, the fourth its rows.
    for name, axis in (("wq", 1), ("wk", 1), ("wv", 1), ("wo", 0)):
        assert removed_by(delta, name).get(axis, 24) == 6 * left
    assert removed_by(delta, "up").get(1, 20) == neurons
    reasons = {r["reason"] for r in delta["report"] if r["decision"] == "keep channels" and r["tensor"] in ("wq", "up")}
    assert reasons == {"head": {"no heads of an attention"}, "neuron": {"heads of an attention"}}.get(pattern, set())
    zeroed, written = writer.apply(prepared, {**delta, "removed": {}}), writer.apply(prepared, delta)
    onnx.checker.check_model(written, full_check=True)
    x = values(9, *shape)
    want = reference.session(zeroed.SerializeToString()).run(None, {"x": x})[0]
    for got in (reference.session(written.SerializeToString()).run(None, {"x": x})[0], tamis.compile(written, cache="off").run(None, {"x": x})[0]):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_a_network_without_heads():
    with pytest.raises(tamis.Error, match="pattern head: no group of channels can be removed"):
        prune(prepare.prepare(bottleneck(0, 8, 12)[0]).model.SerializeToString(), "pattern=head protect=false")


def chosen(weight, options="", rows=4):
    """The pattern that `auto` takes for the first of two layers that see so many rows, and its weight afterwards."""
    made = model([build("MatMul", ["x", "v"], ["h"], "first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w"], ["y"], "second")],
                 {"v": weight, "w": values(1, weight.shape[1], 40)}, {"x": [rows, weight.shape[0]]}, ["y"])
    session = prune(made, f"pattern=auto protect=false include=first {options}")
    entry, = (r for r in session.delta()["report"] if r["decision"].startswith("pattern "))
    return entry["decision"].removeprefix("pattern "), entry["reason"], session.parameter("v")


def faint(mask):
    """Weights of which those where `mask` is set are the lesser by far."""
    return (values(4, *mask.shape) * np.where(mask, 0.01, 1)).astype(np.float32)


def blocks(rows, columns):
    """Half of the blocks of a 128 x 128 weight; a MatMul keeps K in its first axis, so `columns` come first."""
    chosen = np.random.default_rng(6).permutation(128 // rows * (128 // columns)).reshape(128 // columns, 128 // rows) % 2 == 0
    return np.repeat(np.repeat(chosen, columns, 0), rows, 1)


@pytest.mark.parametrize("mask, pattern", [
    (np.broadcast_to(np.arange(128) % 2 == 0, (128, 128)), "channel"), (blocks(32, 64), "32x64"), (blocks(32, 4), "32x4"), (blocks(1, 4), "1x4"),
    (np.broadcast_to(np.arange(128)[:, None] % 4 < 2, (128, 128)), "2:4"), (np.roll(blocks(1, 4), 2, 0), "unstructured")])
def test_auto_takes_the_coarsest_that_keeps_the_score(mask, pattern):
    found, reason, weight = chosen(faint(mask))
    assert found == pattern and (found == "unstructured" or reason.endswith(f"{pattern} 100.0 %"))
    assert np.mean((weight == 0) != mask) < 0.03


@pytest.mark.parametrize("mask, rows, pattern", [
    (np.broadcast_to(np.arange(128) % 2 == 0, (128, 128)), 128, "channel"),
    (blocks(32, 4), 128, "1x4"),  # a stream gains as much from the finer blocks
    (blocks(1, 4), 128, "1x4"),  # four zeros in a row leave an int8 word out
    (np.broadcast_to(np.arange(128)[:, None] % 4 < 2, (128, 128)), 128, "unstructured"),  # as many products as dense weights
    (np.broadcast_to(np.arange(128)[:, None] % 4 < 2, (128, 128)), 1, "2:4"),  # half of the bytes
    (blocks(32, 4), 1, "unstructured")])  # fewer rows than lanes
def test_auto_takes_what_the_target_gains_from(mask, rows, pattern):
    found, reason, weight = chosen(faint(mask), "target=x86-64-v3", rows)
    assert found == pattern and re.search(r"unstructured \(\d+\.\dx float32, \d+\.\dx int8\)$", reason), reason
    assert np.mean((weight == 0) != mask) < 0.03


def drawn(rows, columns, share, seed):
    """A share of the blocks of a 256 x 256 weight, as `blocks` does."""
    count = 256 // rows * (256 // columns)
    chosen = np.random.default_rng(seed).permutation(count).reshape(256 // columns, 256 // rows) < share * count
    return np.repeat(np.repeat(chosen, columns, 0), rows, 1)


SHAPES = {"32x64": (32, 64), "32x4": (32, 4), "1x4": (1, 4), "single": (1, 1)}


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4", "amx"])
@pytest.mark.parametrize("zeros, finer, rows, found", [
    ("32x64", "32x4", 1, "32x64"), ("32x64", "32x4", 128, "32x64"),  # lists of blocks for any rows
    ("32x4", "1x4", 1, "32x4"), ("32x4", "1x4", 128, {"x86-64-v3": "1x4", "x86-64-v4": "32x4", "amx": "32x4"}),  # AVX2 gains as much from 1x4
    ("1x4", "single", 1, "unstructured"), ("1x4", "single", 128, {"x86-64-v3": "1x4", "x86-64-v4": "1x4", "amx": "unstructured"}),  # tiles are faster
    ("2:4", "single", 1, "2:4"), ("2:4", "single", 128, "unstructured")])
def test_auto_knows_every_storage(target, zeros, finer, rows, found):
    """Blocks are faint, and a few pieces of the finer pattern everywhere, so that each pattern drops other weights."""
    mask = drawn(*SHAPES[zeros], 0.75, 6) if zeros in SHAPES else np.broadcast_to(np.arange(256)[:, None] % 4 < 2, (256, 256))
    weight = values(4, 256, 256) * np.where(mask, 0.1, 1) * np.where(drawn(*SHAPES[finer], 0.15, 7), 0.05, 1)
    pattern, reason, _ = chosen(weight.astype(np.float32), f"target={target} sparsity={0.75 if zeros in SHAPES else 0.5}", rows)
    assert pattern == (found if isinstance(found, str) else found[target]), reason


def test_auto_sees_windows():
    """A convolution of 3x3: its blocks lie within the channels of one tap. Without zeros its tiles are transformed."""
    mask = drawn(32, 64, 0.75, 6)[:, :128]
    taps = np.stack([mask.T] * 9, 1)  # channels, taps, inputs
    weight = (values(4, *taps.shape) * np.where(taps, 0.01, 1)).astype(np.float32)
    made = model([build("Conv", ["x", "v"], ["h"], "first", pads=[1] * 4), build("Relu", ["h"], ["r"]), build("Conv", ["r", "w"], ["y"], "second")],
                 {"v": weight.reshape(128, 3, 3, 256).transpose(0, 3, 1, 2), "w": values(1, 64, 128, 1, 1)}, {"x": [1, 256, 14, 14]}, ["y"])
    session = prune(made, "pattern=32x64 sparsity=0.75 scope=time protect=false target=x86-64-v3 include=first")
    told, = (r["reason"] for r in session.delta()["report"] if "us are predicted" in r.get("reason", ""))
    then, before = (float(t) for t in re.match(r"([\d.]+) of ([\d.e+]+) us", told).groups())
    assert then < 0.6 * before, told


@pytest.mark.parametrize("target, rows, size, pattern", [
    ("nvptx:sm_80", 65536, 512, "2:4"),  # fragments leave zeros out
    ("nvptx:sm_80", 8, 128, "unstructured"),  # the launch takes the time
    ("vulkan", 65536, 512, "unstructured")])  # nobody knows which device
def test_auto_for_devices(target, rows, size, pattern):
    mask = np.broadcast_to(np.arange(size)[:, None] % 4 < 2, (size, size))
    found, reason, _ = chosen(faint(mask), f"target={target}", rows=rows)
    assert found == pattern and "2:4 100.0 %" in reason


def test_auto_for_an_unknown_target():
    with pytest.raises(tamis.Error, match="unknown target or feature 'pdp11'"):
        chosen(faint(blocks(1, 4)), "target=pdp11")


def two_layers(rows=128):
    """One layer whose weights are few large ones and many small ones, and one whose weights are all alike."""
    mask = np.random.default_rng(7).random((256, 256)) < 0.9
    made = model([build("MatMul", ["x", "v"], ["h"], "first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w"], ["y"], "second")],
                 {"v": faint(mask), "w": np.sign(values(1, 256, 256))}, {"x": [rows, 256]}, ["y"])
    return made


def shares(session):
    return {name: np.mean(session.parameter(name) == 0) for name in "vw"}


@pytest.mark.parametrize("criterion", ["magnitude", "l2"])
def test_scope_time_drops_where_it_costs_least(criterion):
    session = prune(two_layers(), f"scope=time sparsity=0.8 criterion={criterion} target=x86-64-v3 protect=false")
    found = shares(session)
    assert round(found["v"], 3) >= 0.9 and found["w"] < 0.8  # a share is of whole weights
    told = {r["layer"]: r for r in session.delta()["report"] if "us are predicted" in r.get("reason", "")}
    times = {name: [float(t) for t in re.match(r"([\d.]+) of ([\d.]+) us", r["reason"]).groups()] for name, r in told.items()}
    # No longer than with 80 % in both, of which each takes the same.
    even = prune(two_layers(), "scope=time sparsity=0.8 criterion=random target=x86-64-v3 protect=false include=first")
    asked, = (r for r in even.delta()["report"] if "us are predicted" in r.get("reason", ""))
    assert sum(t for t, _ in times.values()) <= 2 * 1.01 * float(asked["reason"].split()[0])
    assert told["first"]["share"] == pytest.approx(found["v"], abs=1e-3)


def test_scope_time_leaves_alone_what_saves_nothing():
    """A depthwise convolution multiplies its zeros."""
    made = model([build("Conv", ["x", "v"], ["h"], "first", group=32, pads=[1] * 4), build("Conv", ["h", "w"], ["y"], "second")],
                 {"v": values(0, 32, 1, 3, 3), "w": values(1, 64, 32, 1, 1)}, {"x": [1, 32, 28, 28]}, ["y"])
    session = prune(made, "scope=time sparsity=0.9 target=x86-64-v3 protect=false")
    assert shares(session)["v"] == 0 and shares(session)["w"] == pytest.approx(0.9, abs=1e-3)
    assert any(r["layer"] == "first" and r["decision"] == "keep" for r in session.delta()["report"])


@pytest.mark.parametrize("target, got", [("nvptx:sm_80", "a device"), ("", "no target")])
def test_scope_time_needs_a_processor(target, got):
    with pytest.raises(tamis.Error, match=f"layer 'first': scope time asks what a processor takes, got {got}"):
        prune(two_layers(), f"scope=time protect=false {f'target={target}' if target else ''}")


def test_scope_time_after_auto_takes_its_patterns():
    mask = blocks(1, 4)
    made = model([build("MatMul", ["x", "v"], ["h"], "first"), build("Relu", ["h"], ["r"]), build("MatMul", ["r", "w"], ["y"], "second")],
                 {"v": faint(mask), "w": values(1, 128, 128)}, {"x": [128, 128]}, ["y"])
    session = prune(made, "pattern=auto scope=time sparsity=0.5 protect=false target=x86-64-v3")
    first = session.parameter("v").T.reshape(-1, 4)
    assert ((first == 0).all(1) | (first != 0).all(1)).all()


def test_auto_has_groups_only_where_they_make_the_sparsity():
    mask = np.broadcast_to(np.arange(128)[:, None] % 4 < 3, (128, 128))
    assert chosen(faint(mask), "sparsity=0.75")[0] == "1:4"
    found, reason, _ = chosen(faint(mask), "sparsity=0.7")
    assert found == "unstructured" and ":" not in reason.split("keep:")[1]


def test_auto_takes_no_channels_that_others_make_too():
    made, _ = bottleneck(0, 8, 24)
    session = prune(prepare.prepare(made).model.SerializeToString(), "pattern=auto protect=false include=nup,nstem")
    told = {r["layer"]: r["reason"] for r in session.delta()["report"] if r["decision"].startswith("pattern ")}
    assert set(told) == {"nup", "nstem"} and not any("channel" in reason for reason in told.values())


def test_unremovable_channels_are_refused():
    made = model([build("MatMul", ["x", "w"], ["h"]), build("Softmax", ["h"], ["y"])], {"w": values(0, 8, 8)}, {"x": [2, 8]}, ["y"])
    with pytest.raises(tamis.Error, match="no group of channels can be removed"):
        prune(made, "pattern=channel protect=false")


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
    assert [(o["tensor"], o["collect"]) for o in session.observed() if o["collect"]] == [("r", ["channel_magnitudes"])]
    activations = np.ones((64, 8), np.float32)
    activations[:, 2] *= 0.1
    # Of one mean but a greater mean square than most, and of the least mean but the greatest mean square.
    activations[:, 4], activations[:, 5] = 0, 0
    activations[:16, 4], activations[0, 5] = 4, 50
    assert np.sqrt((activations[:, 5]**2).mean()) > 5 and activations[:, 5].mean() < 1
    session.set_statistics("r", {"channel_magnitudes": np.stack([np.full(8, 64), np.abs(activations).sum(0)]).astype(np.float32)})
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
