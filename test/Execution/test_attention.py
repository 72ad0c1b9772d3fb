# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in strips against what its formula gives in float64: shapes, masks, open lengths, threads."""
import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import Values, expected, microsoft, model, node
from test_row_streams import TARGETS

SPLIT, BACK = [0, 2, 1, 3], [0, 2, 1, 3]


def attention(heads, width, mask=False):
    """Scaled products of three (batch, length, heads * width) operands, heads apart as exporters write it."""
    shape = np.int64([0, 0, heads, width])
    nodes = []
    for name, order in (("q", SPLIT), ("k", [0, 2, 3, 1]), ("v", SPLIT)):
        nodes += [node("Reshape", f"{name} heads", f"{name}1"), node("Transpose", f"{name}1", f"{name}2", perm=order)]
    nodes += [node("MatMul", "q2 k2", "s0"), node("Mul", "s0 scale", "s1")]
    if mask:
        nodes.append(node("Add", "s1 mask", "s2"))
    nodes += [node("Softmax", "s2" if mask else "s1", "p", axis=-1), node("MatMul", "p v2", "o"),
              node("Transpose", "o", "o1", perm=BACK), node("Reshape", "o1 joined", "y")]
    return nodes, {"heads": shape, "joined": np.int64([0, 0, heads * width]), "scale": np.float32(width**-0.5)}


def formula(heads, q, k, v, mask=0.0):
    def split(x):
        return x.astype(np.float64).reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)
    scores = split(q) @ split(k).swapaxes(-1, -2) * (q.shape[-1] // heads) ** -0.5 + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True) @ split(v)).transpose(0, 2, 1, 3).reshape(q.shape)


def feed(batch, rows, length, heads, width, mask=False, seed=0):
    v = Values(seed)
    feeds = {"q": v.floats(batch, rows, heads * width)}
    feeds |= {name: v.floats(batch, length, heads * width) for name in "kv"}
    if mask:
        seen = v.random.random((batch, 1, 1, length)) < 0.7
        seen[..., 0] = True
        feeds["mask"] = np.where(seen, 0, -np.inf).astype(np.float32)
    return feeds


def compare(heads, feeds, open_dims=False):
    width = feeds[0]["q"].shape[-1]
    nodes, parameters = attention(heads, width // heads, "mask" in feeds[0])
    data = model(nodes, feeds[0], parameters, open_dims=open_dims)
    options = {}
    if open_dims:
        fixed = {"q": [2], "k": [2], "v": [2], "mask": [axis for axis in (1, 2) if "mask" in feeds[0] and feeds[0]["mask"].shape[axis] == 1]}
        options["input_dims"] = {f"{name}{axis}": feeds[0][name].shape[axis] for name, axes in fixed.items() for axis in axes}
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, lazy=False, **options)
        assert [layer["tile"][3:] != [] for layer in compiled.report()["layers"]] == [True, True], "no strips"
        for one in feeds:
            np.testing.assert_allclose(compiled.run(None, one)[0], formula(heads, **one), rtol=0, atol=2e-6 * np.abs(one["v"]).max(),
                                       err_msg=f"{target}, {[x.shape for x in one.values()]}")


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("shape", [(1, 64, 64, 4, 32), (2, 77, 77, 3, 16), (1, 50, 197, 2, 24), (1, 33, 512, 1, 64)])
def test_shapes(shape, mask):
    compare(shape[3], [feed(*shape, mask=mask)])


def test_open_sizes():
    feeds = [feed(batch, rows, rows, 4, 32, mask=True, seed=rows) for batch, rows in ((1, 64), (1, 1), (2, 7), (1, 31), (3, 33), (1, 130))]
    compare(4, feeds, open_dims=True)
    other = [feed(1, rows, length, 2, 24) for rows, length in ((5, 90), (1, 301), (40, 3))]
    compare(2, other, open_dims=True)


def test_open_causal_masks():
    """Strips end before the keys that none of their rows sees; one row sees a single key, one all of them."""
    feeds = []
    for rows, past in ((64, 0), (130, 0), (33, 50), (1, 99), (70, 3)):
        one = feed(2, rows, rows + past, 3, 24, seed=rows)
        seen = np.tri(rows, rows + past, past, dtype=bool)
        seen[rows // 3] = np.arange(rows + past) == 0
        seen[rows // 2] |= rows > 64
        one["mask"] = np.where(seen, 0, -np.inf).astype(np.float32)[None, None].repeat(2, 0)
        feeds.append(one)
    compare(3, feeds, open_dims=True)


@pytest.mark.parametrize("shape", [(1, 96, 96, 3, 32), (1, 200, 200, 1, 64)])
def test_threads_give_the_same_bits(shape):
    feeds = feed(*shape)
    nodes, parameters = attention(shape[3], shape[4])
    data = model(nodes, feeds, parameters)
    one, two, three = (tamis.compile(data, cache="off", threads=threads).run(None, feeds)[0] for threads in (1, 2, 3))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


def test_layers_share_their_scores():
    """The second layer's scores may lie where the first's were."""
    v, heads, width = Values(), 4, 32
    nodes, parameters = attention(heads, width)
    again = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    for n in again:
        names = {"q": "y", "k": "y", "v": "y"}
        n.input[:] = [names.get(i, i if i in parameters else i + "_") for i in n.input]
        n.output[:] = [o + "_" for o in n.output]
    x = {name: v.floats(1, 96, heads * width) for name in "qkv"}
    data = model(nodes + again, x, parameters, {"y_": onnx.TensorProto.FLOAT})
    first = formula(heads, **x).astype(np.float32)
    want = formula(heads, first, first, first)
    np.testing.assert_allclose(tamis.compile(data, cache="off").run(None, x)[0], want, rtol=0, atol=1e-5)


def test_scores_that_are_a_result_stay_whole():
    x = feed(1, 64, 64, 4, 32)
    nodes, parameters = attention(4, 32)
    data = model(nodes, x, parameters, {"y": onnx.TensorProto.FLOAT, "p": onnx.TensorProto.FLOAT})
    compiled = tamis.compile(data, cache="off")
    assert all(len(layer["tile"]) == 3 for layer in compiled.report()["layers"])
    for got, want in zip(compiled.run(None, x), expected(data, x)):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_open_lengths_of_one_input():
    """As many rows as keys, whatever their number: keys and values are packed."""
    heads, width = 3, 32
    nodes, parameters = attention(heads, width)
    nodes = [node("Identity", "x", name) for name in "qkv"] + nodes
    x = Values().floats(1, 90, heads * width)
    data = model(nodes, {"x": x}, parameters, open_dims=True)
    for target in TARGETS:
        compiled = tamis.compile(data, cache="off", target=target, input_dims={"x2": heads * width})
        for rows in (90, 1, 33, 256):
            x = Values(rows).floats(2, rows, heads * width)
            np.testing.assert_allclose(compiled.run(None, {"x": x})[0], formula(heads, x, x, x), rtol=0, atol=1e-5, err_msg=target)


def test_query_groups_with_a_past():
    heads, shared, width = 6, 2, 32
    known, now = 70, 40
    v = Values()
    x = {"query": v.floats(1, now, heads * width), "key": v.floats(1, now, shared * width), "value": v.floats(1, now, shared * width),
         "past_key": v.floats(1, shared, known, width), "past_value": v.floats(1, shared, known, width),
         "seqlens_k": np.int32([known + now - 1]), "total": np.array(known + now, np.int32)}
    nodes = microsoft("GroupQueryAttention", "query key value past_key past_value seqlens_k total", "y present_key present_value",
                      num_heads=heads, kv_num_heads=shared)
    outputs = dict.fromkeys(("y", "present_key", "present_value"), onnx.TensorProto.FLOAT)
    for open_dims in (False, True):
        data = model(nodes, x, None, outputs, open_dims=open_dims)
        for got, want in zip(tamis.compile(data, cache="off").run(None, x), expected(model(nodes, x, None, outputs), x)):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
