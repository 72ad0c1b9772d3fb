# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PP-OCRv6 text recognition on rendered text: 60 lines of 4 words of lee.cor, clean and with noise of sigma 40.

Calibration renders other words, those of lee_background.cor, half of them with noise.
"""
import os
import re

import data
import metrics
import numpy as np
import onnx

from .base import Task

HEIGHT, WIDTH, SIZE, SIGMA = 48, 480, 30, 40
LINES, CALIBRATION = 60, 100
COMPARED = 15  # lines of each kind whose every score is compared: there are 18 710 a step


def lines(name, count, seed):
    """`count` lines of four words of a text."""
    words = sorted(set(re.findall(r"[A-Za-z]{3,9}", " ".join(data.text_lines(name)))))
    rng = np.random.default_rng(seed)
    return [" ".join(words[i] for i in rng.integers(0, len(words), 4)) for _ in range(count)]


def rendered(text, sigma, rng):
    """Black on white in DejaVu Sans; grey noise of `sigma`; the network's input."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(os.path.join(data.folder("font"), "DejaVuSans.ttf"), SIZE)
    image = Image.new("RGB", (int(font.getlength(text)) + 16, HEIGHT), "white")
    ImageDraw.Draw(image).text((8, HEIGHT // 2), text, fill="black", font=font, anchor="lm")
    array = np.asarray(image, np.float32)
    array = np.clip(array + rng.normal(0, sigma, array.shape), 0, 255) if sigma else array
    array = (array / 255 - 0.5) / 0.5
    padded = np.zeros((1, 3, HEIGHT, max(WIDTH, -(-array.shape[1] // 160) * 160)), np.float32)
    padded[0, :, :, :array.shape[1]] = array.transpose(2, 0, 1)
    return padded


class Recognition(Task):
    name = "ppocrv6s-rec"
    classes = True
    limits = {"int8": {"cer_clean": 0.01, "cer_noisy": 0.01}}

    def model(self):
        return data.model(self.name)

    def calibration(self):
        rng, name = np.random.default_rng(3), onnx.load(self.model()).graph.input[0].name
        return [{name: rendered(text, SIGMA * (i % 2), rng)} for i, text in enumerate(lines("lee_background.cor", CALIBRATION, 4))]

    def evaluate(self, run):
        graph, rng, rows, figures = onnx.load(self.model()), np.random.default_rng(5), [], {}
        characters = next(p.value for p in graph.metadata_props if p.key == "character").split("\n")
        texts = lines("lee.cor", LINES, 6)
        for kind, sigma in (("clean", 0), ("noisy", SIGMA)):
            read = []
            for i, text in enumerate(texts):
                scores = run({graph.graph.input[0].name: rendered(text, sigma, rng)})[0][0]
                if i < COMPARED:
                    rows.append(scores)
                best = scores.argmax(1)
                kept = best[(best != 0) & np.r_[True, best[1:] != best[:-1]]]
                read.append("".join((["", *characters, " "])[i] for i in kept))
            figures[f"cer_{kind}"] = metrics.character_error_rate(texts, read)
            figures[f"lines_{kind}"] = sum(a == b for a, b in zip(texts, read))
        return np.concatenate(rows), figures


TASKS = [Recognition()]
