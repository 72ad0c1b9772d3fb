# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPTQ where scales belong to blocks of a sum."""
import numpy as np
import pytest
import tamis
from onnx import helper
from support import models

RNG = np.random.default_rng(0)


def smooth_images(count, shape):
    """Neighbouring pixels are much alike, and the mean is far from zero, as behind a rectifier."""
    for _ in range(count):
        noise = np.pad(RNG.standard_normal(shape), [(0, 0), (0, 0), (3, 3), (3, 3)])
        view = np.lib.stride_tricks.sliding_window_view(noise, (7, 7), axis=(2, 3))
        yield {"x": np.maximum(view.mean((-1, -2)) * 5 + 1, 0).astype(np.float32)}


def run(model, feeds):
    compiled = tamis.compile(model, cache="off")
    return np.stack([compiled.run(None, feed)[0] for feed in feeds])


# Blocks of the window's height, whose elements do not follow each other, and of channels, which do.
@pytest.mark.parametrize("channels, weight, group, block", [(8, [8, 1, 3, 3], 8, 3), (32, [8, 16, 1, 1], 2, 8)], ids=["height", "channels"])
def test_scales_of_blocks_serve_all_their_elements(channels, weight, group, block):
    shape = [1, channels, 12, 12]
    model = models.model([helper.make_node("Conv", ["x", "w"], ["y"], name="conv", group=group)], [models.info("x", shape)],
                         [models.info("y", [None] * 4)], [models.const("w", RNG.standard_normal(weight).astype(np.float32))])
    feeds, others = list(smooth_images(12, shape)), list(smooth_images(4, shape))
    errors, want = [], run(model, others)
    for corrections in ((), ("gptq",)):
        report = []
        made = tamis.quantize(model, feeds, weights="int4", activations="int16", block_size=block, corrections=corrections, report=report)
        errors.append(np.square(run(made, others) - want).mean())
    assert any(entry.get("reason") == "GPTQ" for entry in report)
    assert errors[1] < 0.75 * errors[0]
