# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SmolLM2-135M: perplexity on 8192 tokens of lee_background.cor, in 16 windows of 512.

Its weights came from a 4-bit file: every block of 32 lies on a grid of 16 values. Calibration takes tokens after those.
"""
import json
import os

import data
import numpy as np

from .base import Task

WINDOWS, LENGTH, CALIBRATION = 16, 512, 16


def token_stream():
    path = data.made("tokens/lee-background-smollm.json")
    if not os.path.exists(path):
        with open(path + ".texts", "w", encoding="utf8") as file:
            json.dump(["\n".join(data.text_lines("lee_background.cor"))], file)
        data.script(data.torch_python(), "tokenize_texts.py", data.package_file("smollm2-135m"), path + ".texts", path)
        os.remove(path + ".texts")
    with open(path, encoding="utf8") as file:
        return np.array(json.load(file)[0], np.int64)


class SmolLM(Task):
    name = "smollm2-135m"
    classes = True
    transformer = True
    limits = {"grid": {"perplexity_change": 0.05}, "weight4": {"perplexity_share": 1.15}}

    def model(self):
        return data.model(self.name)

    def _windows(self, first, count):
        ids = token_stream()
        return [ids[i * LENGTH:(i + 1) * LENGTH][None] for i in range(first, first + count)]

    def calibration(self):
        return [{"input_ids": ids} for ids in self._windows(WINDOWS, CALIBRATION)]

    def evaluate(self, run):
        losses, rows = [], None
        for ids in self._windows(0, WINDOWS):
            logits = run({"input_ids": ids})[0][0]
            rows = logits[::8].copy() if rows is None else rows
            logits = logits[:-1].astype(np.float64)
            top = logits.max(1, keepdims=True)
            total = top[:, 0] + np.log(np.exp(logits - top).sum(1))
            losses.append(total - logits[np.arange(LENGTH - 1), ids[0, 1:]])
        figures = {"perplexity": float(np.exp(np.mean(losses))), "perplexity_first": float(np.exp(np.mean(losses[0])))}
        return rows, figures


TASKS = [SmolLM()]
