# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as one kernel: values beside the CPU's, and the bits of separate kernels."""
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
import tamis
from Import.oracle import F32, Values, model, node
from support import vulkan
from tamis import compiler, options
from tamis.source import Source

F16 = onnx.TensorProto.FLOAT16
NODES = [node("Transpose", "k", "t", perm=[0, 1, 3, 2]), node("MatMul", "q t", "s"), node("Mul", "s c", "scaled"),
         node("Add", "scaled mask", "masked"), node("Softmax", "masked", "p", axis=-1), node("MatMul", "p v", "y")]


def make(queries, keys, depth, heads=3, shared=3, batch=2, dtype=np.float32):
    """Operands of attention; the last third of the keys is masked."""
    v = Values()
    mask = np.zeros((batch, 1, 1, keys), dtype)
    mask[..., keys - keys // 3:] = -10000
    floats = {"q": v.floats(batch, heads, queries, depth), "k": v.floats(batch, shared, keys, depth),
              "v": v.floats(batch, shared, keys, depth)}
    return {**{name: value.astype(dtype) for name, value in floats.items()}, "mask": mask}


def build(feed, outputs=("y",), **more):
    dtype = feed["q"].dtype
    scale = np.array(1 / np.sqrt(feed["q"].shape[-1]), dtype)
    return model(NODES, feed, {"c": scale}, {name: F16 if dtype == np.float16 else F32 for name in outputs}, **more)


def notes(compiled):
    return compiled.report()["device"]["attention"]


def check(feed, target="vulkan"):
    """Of one kernel the bits are those of separate ones, which scores that are a result keep apart."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    fused = tamis.compile(build(feed), cache="off", target=target)
    apart = tamis.compile(build(feed, outputs=("y", "p")), cache="off", target=target)
    assert [note.get("length") for note in notes(fused)] == [feed["k"].shape[2]], notes(fused)
    assert not notes(apart)
    assert not fused.report()["device"]["host"]
    got, = fused.run(None, feed)
    np.testing.assert_array_equal(got, apart.run(None, feed)[0])
    return got


def compare(feed, got):
    vulkan.compare([got], tamis.compile(build(feed), cache="off", target="x86-64").run(None, feed))


@pytest.mark.parametrize("sizes", [(37, 90, 32), (128, 128, 64), (1, 17, 8), (5, 33, 20), (130, 257, 33), (3, 700, 16)])
def test_values(sizes):
    feed = make(*sizes)
    compare(feed, check(feed))


def test_shared_keys():
    """Three heads have the same keys: they are rows like others."""
    feed = make(11, 40, 16, shared=1)
    compare(feed, check(feed))


def test_selected_scores():
    """A mask of booleans between the products, and scores that are all masked."""
    feed = make(9, 50, 16)
    feed["mask"] = np.zeros((2, 1, 9, 50), bool)
    feed["mask"][..., 20:] = True
    feed["mask"][:, :, 4] = True
    nodes = [*NODES[:3], node("Where", "mask low scaled", "masked"), *NODES[4:]]
    data = model(nodes, feed, {"c": np.float32(0.25), "low": np.float32(-1e9)})
    got = vulkan.both(data, feed)[0]
    np.testing.assert_allclose(got[:, :, 4], feed["v"].mean(2), atol=1e-5)
    assert notes(tamis.compile(data, cache="off", target="vulkan"))[0]["length"] == 50


@pytest.mark.parametrize("sizes", [(37, 90, 32), (5, 33, 20), (64, 128, 64)])
def test_float16(sizes):
    """Tensor cores, emulated; each score is rounded where the model stores it."""
    feed = make(*sizes, dtype=np.float16)
    got = check(feed, "vulkan,mma")
    want, = tamis.compile(build(feed), cache="off", target="x86-64").run(None, feed)
    np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), atol=5e-3)


def test_open_lengths():
    """One kernel for every length up to the largest."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    feed = make(7, 20, 16, heads=2, shared=2, batch=1)
    dims = {"q": 2, "k": 2, "v": 2, "mask": 3}
    bound = {f"{name}:{axis}": (1, 300) if axis == dims[name] else size
             for name, value in feed.items() for axis, size in enumerate(value.shape)}
    compiled = tamis.compile(build(feed, open_dims=True), cache="off", target="vulkan", input_dims=bound)
    assert [note.get("length") for note in notes(compiled)] == [300]
    for queries, keys in ((1, 1), (7, 20), (33, 300), (300, 65)):
        feed = make(queries, keys, 16, heads=2, shared=2, batch=1)
        compare(feed, compiled.run(None, feed)[0])


def test_too_long():
    feed = make(8, 1000, 16)
    compiled = tamis.compile(build(feed), cache="off", target="vulkan")
    assert [note["reason"] for note in notes(compiled)] == ["a row of 1000 scores is too long for workgroup memory"]
    if not vulkan.missing():
        compare(feed, compiled.run(None, feed)[0])


def test_explain(tmp_path):
    """A person is told what became one kernel, and why the rest did not."""
    path = tmp_path / "model.onnx"
    for keys, told in ((50, "one kernel, 8 rows of at most 50 scores at once"), (1000, "a row of 1000 scores is too long for workgroup memory")):
        path.write_bytes(build(make(9, keys, 16)))
        done = subprocess.run([sys.executable, "-m", "tamis", "explain", str(path), "--target", "vulkan"], capture_output=True, text=True,
                              check=True)
        assert f"  attention, y: {told}\n" in done.stdout + done.stderr


def test_special_values():
    """What is infinite or no number stays in its row."""
    feed = make(6, 45, 16)
    feed["q"][0, 0, 1] = np.nan
    feed["q"][1, 2, 3, 4] = np.inf
    got = check(feed)
    assert np.isnan(got[0, 0, 1]).all()
    got[0, 0, 1] = 0
    got[1, 2, 3] = 0
    assert np.isfinite(got).all()


@pytest.mark.parametrize("chip", ["sm_80", "sm_89", "sm_90a"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_assembles(tmp_path, chip, dtype):
    """One kernel beside the transpose of the keys, on tensor cores where it is float16; registers suffice."""
    if not shutil.which("ptxas"):
        pytest.skip("no ptxas")
    data, ptx = tmp_path / "model.onnx", tmp_path / "model.ptx"
    data.write_bytes(build(make(100, 256, 64, dtype=dtype)))
    compiler.compile_to(Source(str(data)), str(ptx), options.make(target=f"nvptx:{chip}", emit="ptx"))
    text = ptx.read_text()
    assert text.count(".entry") == 2 and ("mma.sync" in text) == (dtype == np.float16)
    done = subprocess.run(["ptxas", "-v", f"-arch={chip}", str(ptx), "-o", os.devnull], capture_output=True, text=True, check=True)
    assert re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr) == [("0", "0")] * 2
