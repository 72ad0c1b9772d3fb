# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The small slice of the accuracy suite: mnist-cntk on 1000 images, within its bounds and not worse than its peer.

The trained nets need torch; the command in docs/Accuracy.md runs them and the large models.
"""
import sys

import numpy as np
import pytest

sys.path.insert(0, __file__.rsplit("/", 1)[0])
import data  # noqa: E402
import methods  # noqa: E402
import metrics  # noqa: E402
import run  # noqa: E402
import tamis  # noqa: E402
from tasks import TASKS  # noqa: E402

TASK = TASKS["mnist-cntk"]


@pytest.fixture
def task():
    try:
        TASK.model(), data.folder("mnist5k")
    except (RuntimeError, OSError) as error:
        pytest.skip(f"the data are not here and cannot be fetched: {error}")
    return TASK


def judged(task, model, tmp_path, runtime="tamis"):
    """Figures of a ModelProto and its closeness to the float model."""
    path = str(tmp_path / "model.onnx")
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
    wanted, base = task.evaluate(run.runner(task.model(), "ort"))
    rows, figures = task.evaluate(run.runner(path, runtime))
    return {**metrics.closeness(wanted, rows, True), "drop": 100 * (base["top1"] - figures["top1"]), "base": base["top1"]}


def test_int8_drops_at_most_three_tenths(task, tmp_path):
    figures = judged(task, tamis.quantize(task.model(), task.calibration()), tmp_path)
    assert figures["base"] > 0.99
    assert figures["drop"] <= task.limits["int8"]["drop"]
    # ONNX Runtime's own quantizer reaches 37.1 dB and 0.9987 on the same data.
    assert figures["snr_db"] > 40 and figures["cosine_min"] > 0.998 and figures["agreement"] > 0.998


def test_eighty_percent_zeros_and_int8_drop_at_most_one_point(task, tmp_path):
    pruned = tamis.prune(task.model(), sparsity=0.8)
    figures = judged(task, tamis.quantize(pruned, task.calibration()), tmp_path)
    assert round(figures["drop"], 6) <= task.limits["sparse80"]["drop"]


def test_answers_in_onnxruntime_are_the_same(task, tmp_path):
    model = tamis.quantize(task.model(), task.calibration())
    here, there = (judged(task, model, tmp_path, runtime) for runtime in ("tamis", "plain"))
    assert abs(here["snr_db"] - there["snr_db"]) < 0.1 and here["drop"] == there["drop"]


def test_calibration_and_evaluation_do_not_overlap(task):
    calibration = {feed["Input3"].tobytes() for feed in task.calibration()}
    judged_on = []
    task.evaluate(lambda feed: judged_on.append(feed["Input3"].tobytes()) or [np.zeros((1, 10))])
    assert len(judged_on) == 1000 and not calibration & set(judged_on)


def test_methods_name_options_of_single_layers():
    assert methods.steps("quantize,corrections=gptq:bias,activations@/a/Conv:/b/Conv=int16,weights@/b/Conv=int4") == [("quantize", {
        "corrections": ["gptq", "bias"],
        "overrides": {"/a/Conv": {"activations": "int16"}, "/b/Conv": {"activations": "int16", "weights": "int4"}}})]
