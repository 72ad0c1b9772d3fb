# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Second moments of what weights are multiplied with, windows and groups included, and what is done by them."""
import numpy as np
import onnx
import onnxruntime
import pytest
import tamis
from onnx import helper, numpy_helper
from support import models
from tamis.compression.calibration import calibrate
from tamis.compression.session import Session

RNG = np.random.default_rng(0)


def convolution(x, w, **attributes):
    """One convolution with a bias on an input of shape `x`, a weight of shape `w`."""
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", **attributes)]
    weights = [models.const("w", RNG.standard_normal(w).astype(np.float32)), models.const("b", RNG.standard_normal(w[0]).astype(np.float32))]
    return models.model(nodes, [models.info("x", x)], [models.info("y", [None] * len(x))], weights)


def windows(x, kernel, strides, pads, dilations, group):
    """[group, places, kernel elements times channels], channels fastest."""
    n, c, *_ = x.shape
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:2], pads[2:])])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    view = view[:, :, ::strides[0], ::strides[1], ::dilations[0], ::dilations[1]]
    view = view.reshape(n, group, c // group, *view.shape[2:])
    return view.transpose(1, 0, 3, 4, 5, 6, 2).reshape(group, -1, kernel[0] * kernel[1] * (c // group))


CASES = {
    "3x3": ([1, 3, 7, 8], [5, 3, 3, 3], {"pads": [1, 1, 1, 1]}),
    "strided": ([2, 4, 9, 7], [6, 4, 3, 2], {"pads": [0, 1, 2, 0], "strides": [2, 3]}),
    "dilated": ([1, 2, 9, 9], [4, 2, 2, 3], {"dilations": [3, 2]}),
    "depthwise": ([1, 6, 5, 5], [6, 1, 3, 3], {"pads": [1, 1, 1, 1], "group": 6}),
    "groups": ([1, 6, 5, 4], [4, 3, 2, 2], {"group": 2, "pads": [1, 0, 0, 1]}),
    "1x1 in groups": ([1, 4, 3, 3], [4, 2, 1, 1], {"group": 2}),
}


@pytest.mark.parametrize("case", CASES)
def test_windows_are_what_the_contraction_reads(case):
    shape, weight, attributes = CASES[case]
    session = Session(convolution(shape, weight, **attributes).SerializeToString())
    session.run("tamis-select-quantization{corrections=gptq}")
    feeds = [{"x": RNG.standard_normal(shape).astype(np.float32)} for _ in range(3)]
    calibrate(session, feeds)
    found = session.statistics("w")["gram"]
    kernel = weight[2:]
    want = 0
    for feed in feeds:
        vectors = windows(feed["x"].astype(np.float64), kernel, attributes.get("strides", [1, 1]), attributes.get("pads", [0, 0, 0, 0]),
                          attributes.get("dilations", [1, 1]), attributes.get("group", 1))
        vectors = np.concatenate([vectors, np.ones((*vectors.shape[:2], 1))], axis=2)
        want = want + vectors.transpose(0, 2, 1) @ vectors
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-3)


def smooth_images(count, shape):
    """Neighbouring pixels are much alike, and the mean is far from zero, as behind a rectifier."""
    for _ in range(count):
        noise = np.pad(RNG.standard_normal(shape), [(0, 0), (0, 0), (3, 3), (3, 3)])
        view = np.lib.stride_tricks.sliding_window_view(noise, (7, 7), axis=(2, 3))
        yield {"x": np.maximum(view.mean((-1, -2)) * 5 + 1, 0).astype(np.float32)}


def run(model, feeds):
    compiled = tamis.compile(model, cache="off")
    return np.stack([compiled.run(None, feed)[0] for feed in feeds])


def error(made, model, feeds):
    return np.square(run(made, feeds) - run(model, feeds)).mean()


@pytest.mark.parametrize("case", [([1, 8, 12, 12], [8, 1, 3, 3], {"group": 8, "pads": [1, 1, 1, 1]}), ([1, 6, 12, 12], [16, 6, 3, 3], {})],
                         ids=["depthwise", "3x3"])
def test_gptq_rounds_windows_better(case):
    shape, weight, attributes = case
    model = convolution(shape, weight, **attributes)
    feeds, others = list(smooth_images(12, shape)), list(smooth_images(4, shape))
    report = []
    by = {corrections: tamis.quantize(model, feeds, weights="int4", activations="int16", corrections=corrections, report=report)
          for corrections in (("bias",), ("bias", "gptq"))}
    nearest, gptq = (error(made, model, others) for made in by.values())
    assert any(entry.get("reason") == "GPTQ" for entry in report)
    assert gptq < 0.75 * nearest


def test_sparsegpt_prunes_windows_better():
    shape = [1, 8, 12, 12]
    model = convolution(shape, [24, 8, 3, 3], pads=[1, 1, 1, 1])
    feeds, others = list(smooth_images(12, shape)), list(smooth_images(4, shape))
    errors = {}
    for criterion in ("wanda", "sparsegpt"):
        report = []
        made = tamis.prune(model, feeds, sparsity=0.6, criterion=criterion, protect=False, report=report)
        assert [e["criterion"] for e in report if e.get("decision") == "pruned"] == [criterion]
        weight = numpy_helper.to_array(next(t for t in made.graph.initializer if t.name == "w"))
        assert abs((weight == 0).mean() - 0.6) < 0.01
        errors[criterion] = error(made, model, others)
    assert errors["sparsegpt"] < 0.7 * errors["wanda"]


def test_windows_beyond_the_bound_say_so():
    model = convolution([1, 300, 5, 5], [32, 300, 3, 3])
    report = []
    feeds = [{"x": RNG.standard_normal((1, 300, 5, 5)).astype(np.float32)}]
    tamis.quantize(model, feeds, corrections=("gptq",), report=report)
    assert any("its window has 2700 elements" in entry.get("reason", "") for entry in report)


def residual(spread):
    """Two residual blocks; one channel of the stream is `spread` times as loud as the others."""
    loud = np.ones(8, np.float32)
    loud[3] = spread

    def weight(name, out, inner, size=1, rows=None):
        values = (RNG.standard_normal((out, inner, size, size)) / np.sqrt(inner * size * size)).astype(np.float32)
        return models.const(name, values * (rows[:, None, None, None] if rows is not None else 1))

    nodes = [helper.make_node("Conv", ["x", "stem"], ["s"], name="stem", pads=[1, 1, 1, 1])]
    weights, stream = [weight("stem", 8, 3, 3, loud)], "s"
    for block in ("a", "b"):
        nodes += [helper.make_node("Conv", [stream, f"{block}1"], [f"{block}u"], name=f"{block}1"),
                  helper.make_node("Relu", [f"{block}u"], [f"{block}r"], name=f"{block}relu"),
                  helper.make_node("Conv", [f"{block}r", f"{block}2", f"{block}bias"], [f"{block}v"], name=f"{block}2"),
                  helper.make_node("Add", [stream, f"{block}v"], [f"{block}s"], name=f"{block}add")]
        narrow = weight(f"{block}1", 16, 8)
        narrow.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(narrow) / loud[None, :, None, None], f"{block}1"))
        weights += [narrow, weight(f"{block}2", 8, 16, rows=loud), models.const(f"{block}bias", RNG.standard_normal(8).astype(np.float32))]
        stream = f"{block}s"
    nodes.append(helper.make_node("Conv", [stream, "head"], ["y"], name="head"))
    head = weight("head", 4, 8)
    head.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(head) / loud[None, :, None, None], "head"))
    return models.model(nodes, [models.info("x", [1, 3, 8, 8])], [models.info("y", [1, 4, 8, 8])], [*weights, head])


def test_activations_are_equalized_across_sums():
    model = residual(spread=50)
    feeds = [{"x": RNG.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(8)]
    report = []
    plain = error(tamis.quantize(model, feeds, corrections=()), model, feeds)
    better = error(tamis.quantize(model, feeds, corrections=("activation_equalization",), report=report), model, feeds)
    stream = [entry for entry in report if entry.get("pass") == "equalize" and entry["decision"] == "equalized"]
    assert any("and 2 more" in entry["reason"] for entry in stream)
    assert better < 0.2 * plain


def test_equalized_weights_compute_the_same():
    model = residual(spread=20)
    feeds = [{"x": RNG.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(3)]
    session = Session(model.SerializeToString())
    session.run("tamis-select-quantization{corrections=equalize,bias}")
    calibrate(session, feeds)
    session.run("tamis-equalize{by=activations}")
    changed = session.delta()["parameters"]
    assert {"stem", "a2", "b2", "abias", "bbias", "a1", "b1", "head"} <= set(changed)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for tensor in made.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
    want = run(model, feeds)
    np.testing.assert_allclose(run(made, feeds), want, atol=1e-5 * np.abs(want).max())


def test_statistics_follow_equalized_channels():
    """Those of tensors that become no integers too: the mean of what is padded goes into the bias."""
    rng = np.random.default_rng(3)
    loud = np.geomspace(1, 20, 8).astype(np.float32)
    stem, filters = (rng.standard_normal(s).astype(np.float32) for s in ((8, 3, 3, 3), (8, 1, 3, 3)))
    nodes = [helper.make_node("Conv", ["x", "stem"], ["s"], name="stem"), helper.make_node("Relu", ["s"], ["r"], name="relu"),
             helper.make_node("Pad", ["r", "pads"], ["p"], name="pad"),
             helper.make_node("Conv", ["p", "filters", "bias"], ["y"], name="filters", group=8)]
    weights = [models.const("stem", stem * loud[:, None, None, None]), models.const("filters", filters / loud[:, None, None, None]),
               models.const("bias", np.zeros(8, np.float32)), models.const("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1]))]
    model = models.model(nodes, [models.info("x", [1, 3, 8, 8])], [models.info("y", [1, 8, 6, 6])], weights)
    feeds = [{"x": rng.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(3)]
    select = "tamis-select-quantization{corrections=equalize,bias,gptq}"
    sessions = [Session(model.SerializeToString())]
    sessions[0].run(select)
    calibrate(sessions[0], feeds)
    sessions[0].run("tamis-equalize{by=activations}")
    changed = sessions[0].delta()["parameters"]
    assert set(changed) == {"stem", "filters"}
    for tensor in model.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
    sessions.append(Session(model.SerializeToString()))
    sessions[1].run(select)
    calibrate(sessions[1], feeds)
    followed, measured = ({t: session.statistics(t) for t in ("r", "p", "filters")} for session in sessions)
    assert {(t, kind) for t in measured for kind in measured[t]} == {
        ("r", "minmax"), ("r", "channel_absmax"), ("p", "channel_moments"), ("filters", "gram")}
    for tensor, kinds in measured.items():
        for kind, values in kinds.items():
            np.testing.assert_allclose(followed[tensor][kind], values, rtol=1e-4, atol=1e-4 * np.abs(values).max(), err_msg=f"{tensor} {kind}")


# Blocks of the window's height, whose elements do not follow each other, and of channels, which do.
@pytest.mark.parametrize("case", [([1, 8, 12, 12], [8, 1, 3, 3], 8, 3), ([1, 32, 12, 12], [8, 16, 1, 1], 2, 8)], ids=["height", "channels"])
def test_gptq_gives_blocks_scales_for_all_their_elements(case):
    shape, weight, group, block = case
    model = convolution(shape, weight, group=group)
    feeds = list(smooth_images(12, shape))
    errors = []
    for corrections in (("bias",), ("bias", "gptq")):
        report = []
        made = tamis.quantize(model, feeds, weights="int4", activations="int16", block_size=block, corrections=corrections, report=report)
        # Of the samples themselves: these channels know nothing of each other.
        errors.append(error(made, model, feeds))
    assert any(entry.get("reason") == "GPTQ" for entry in report)
    assert errors[1] < errors[0]


def product(weights):
    """x [n, K] times weights [K, N]."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    return models.model(nodes, [models.info("x", [None, len(weights)])], [models.info("y", [None, weights.shape[1]])],
                        [models.const("w", np.asarray(weights, np.float32))])


def rounded(weights, gram, select, gptq):
    """The entry of the delta and what the integers stand for, [K, N] in float64."""
    session = Session(product(weights).SerializeToString())
    session.run(f"tamis-select-quantization{{weight-only=true corrections=gptq {select}}}")
    session.set_statistics("x", {"gram": gram.astype(np.float32)})
    session.run(f"tamis-quantize{{gptq={str(gptq).lower()}}}")
    entry = session.delta()["weights"]["w"]
    zero = entry["zero_point"] if entry["zero_point"] is not None else np.zeros(())
    scale, zero = np.asarray(entry["scale"], np.float64), np.asarray(zero, np.float64)
    if entry["block"]:
        scale = np.repeat(scale, entry["block"], 0)[:len(weights)]
        zero = np.repeat(zero, entry["block"], 0)[:len(weights)] if zero.ndim else zero
    return entry, (entry["values"].astype(np.float64) - zero) * scale


def related(count, columns):
    """Vectors whose elements go together, one of them loud, and their gram."""
    x = RNG.standard_normal((count, columns // 4)) @ RNG.standard_normal((columns // 4, columns)) + 0.3 * RNG.standard_normal((count, columns))
    x[:, 3] *= 20
    x = np.concatenate([x, np.ones((count, 1))], axis=1)
    return x.T @ x


SCHEMES = ["weight-bits=4 block=16", "weight-bits=4 block=24", "weight-bits=3 block=32", "weight-bits=2 block=16", "weight-bits=4",
           "weight-bits=4 weight-unsigned=true weight-symmetric=false block=16", "weight-bits=8 block=16", "weight-bits=8",
           "weight-bits=4 per-channel=false", "weight-bits=4 weight-system=fixed_point block=16"]


@pytest.mark.parametrize("select", SCHEMES)
def test_gptq_never_errs_more_than_rounding_to_nearest(select):
    weights, gram = RNG.standard_normal((64, 20)), related(400, 64)
    weights[RNG.random(weights.shape) < 0.2] = 0
    h = gram[:-1, :-1]
    errors = []
    for gptq in (False, True):
        _, back = rounded(weights, gram, select, gptq)
        assert not back[weights == 0].any()
        errors.append(np.einsum("io,ij,jo->o", back - weights, h, back - weights))
    assert errors[1].sum() < 0.7 * errors[0].sum()
    # A row at a time as well, but for what damping and other scales make of it.
    assert (errors[1] < 1.1 * errors[0]).all()


def test_scales_and_levels_of_blocks_are_the_best_for_each_other():
    weights, gram = RNG.standard_normal((64, 8)), related(400, 64)
    h = gram[:-1, :-1] + 0.01 * np.trace(gram[:-1, :-1]) / 64 * np.eye(64)
    entry, back = rounded(weights, gram, "weight-bits=4 block=16", True)
    least = np.einsum("io,ij,jo->o", back - weights, h, back - weights)
    for block in range(4):
        for factor in (0.99, 1.01):
            other = back.copy()
            other[16 * block:16 * (block + 1)] *= factor
            assert (np.einsum("io,ij,jo->o", other - weights, h, other - weights) > 0.99 * least).all()
    assert entry["values"].min() >= -8 and entry["values"].max() <= 7


def test_the_largest_of_a_block_takes_the_lowest_integer():
    # With a scale of the other sign the eighth step from zero would not be there.
    weights = np.arange(-7, 9, dtype=np.float32)[:, None] * np.float32([[0.25, -0.25]]) + RNG.uniform(-1e-3, 1e-3, (16, 2)).astype(np.float32)
    made = tamis.quantize(product(weights), activations=None, weights="int4", block_size=16)
    scale = next(numpy_helper.to_array(t) for t in made.graph.initializer if t.name == "w_scale")
    assert scale[0, 0] < 0 < scale[0, 1]
    x = RNG.standard_normal((3, 16)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    # Its fused product rounds what it multiplies.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    want = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(want, x @ weights, atol=0.1)
    np.testing.assert_allclose(run(made, [{"x": x}])[0], want, atol=1e-5)
