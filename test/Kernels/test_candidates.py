# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every candidate of a contraction computes what the reference lowering does; none is timed."""
import os
import sys

import numpy as np
import pytest
from tamis import compiler, options, tuning
from tamis.model import load
from tamis.source import Source

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmarks"))
import choices  # noqa: E402
import layers  # noqa: E402

CASES = {
    "product": lambda: layers.products(37, 96, 80, 0.8, 1),
    "one row": lambda: layers.products(1, 96, 80, 0.8, 1),
    "1x1": lambda: layers.convolutions(32, 11, 1, 0.8, 1),
    "3x3": lambda: layers.convolutions(24, 9, 3, 0.8, 1),
    "blocks": lambda: layers.products(37, 96, 96, 0.5, 1, block=32, across=32),
    "int8": lambda: layers.quantized(layers.products(37, 96, 80, 0.8, 1, block=4)),
}


def run(source, made, x, tmp_path):
    compiler.compile_to(source, tmp_path / "m.so", made)
    model = load(tmp_path / "m.so")
    return model.report()["layers"], model.run(None, {"x": x})[0]


@pytest.mark.parametrize("name", CASES)
def test_candidates_agree(name, tmp_path):
    model = CASES[name]()
    source = Source(model.SerializeToString())
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    _, want = run(source, options.make(oracle=True), x, tmp_path)
    (layer,), _ = run(source, options.make(), x, tmp_path)
    kinds = set()
    profile = tuning.read(options.make())
    for candidate in layer["candidates"]:
        times = {other: 1 if other == candidate else 2 for other in layer["candidates"]}
        tuning.write(tmp_path / "p.json", {**profile, "measured": {layer["key"]: times}})
        (chosen,), got = run(source, options.make(profile=tmp_path / "p.json"), x, tmp_path)
        assert chosen["chosen"] == candidate
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
        kinds.add(candidate.split(" ")[0])
    wanted = {"one row": {"dense"}, "3x3": {"dense", "row", "Winograd"}}
    assert kinds - {"blocks", "bounded", "slot"} == wanted.get(name, {"dense", "row"})


def test_a_choice_is_judged_by_the_faster_dense_tile():
    times = {"dense 4x3x0": 4.0, "dense 6x2x0": 3.0, "row stream 32, 50%": 2.0, "row stream 64, 50%": 6.0}
    assert choices.judge("row stream 64, 50%", times) == (2.0, 3.0)
    assert choices.judge("dense 4x3x0", times) == (4 / 3, 2.0)
    assert choices.judge("row stream 32, 50%", times) == (2 / 3, 1.0)
    assert choices.fails("row stream 64, 50%", 1.1, 1.05) and not choices.fails("row stream 64, 50%", 1.0, 1.05)
    assert not choices.fails("dense 4x3x0", 1.1, 1.05)
