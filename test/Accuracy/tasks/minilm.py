# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MiniLM-L6-v2 sentence vectors (mean over the tokens) against human judgements of similarity.

Calibration: 300 sequences of 128 tokens of lee_background.cor, no padding. Evaluation: word pairs as they are, the 50
Lee documents cut to 53, 64, 96 or 128 tokens: no masked token anywhere, and few shapes to compile.
"""
import json
import os

import data
import metrics
import numpy as np

from .base import Task

SEQUENCES, LENGTH = 300, 128
CUTS = (53, 64, 96, 128)
FIRST, LAST = 101, 102  # [CLS] and [SEP]


def tokens(name, texts):
    """Token ids of each text, kept in build/accuracy."""
    path = data.made(f"tokens/{name}.json")
    if not os.path.exists(path):
        folder = os.path.dirname(data.package_file("minilm-l6-v2"))
        with open(path + ".texts", "w", encoding="utf8") as file:
            json.dump(texts, file)
        data.script(data.torch_python(), "tokenize_texts.py", os.path.join(folder, "tokenizer.json"), path + ".texts", path)
        os.remove(path + ".texts")
    with open(path, encoding="utf8") as file:
        return json.load(file)


def feed(ids):
    ids = np.array([ids], np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def cut(ids):
    length = max(n for n in CUTS if n <= len(ids))
    return ids[:length - 1] + [LAST]


class MiniLM(Task):
    name = "minilm-l6-v2"
    transformer = True
    limits = {"int8": {"wordsim353": 0.72, "simlex999": 0.437, "lee": 0.647}, "sparse50": {"wordsim353": 0.70},
              "weight4": {"wordsim353": 0.71}}

    def model(self):
        return data.model(self.name)

    def calibration(self):
        ids = [i for line in tokens("lee-background", data.text_lines("lee_background.cor")) for i in line[1:-1]]
        width = LENGTH - 2
        return [feed([FIRST, *ids[i * width:(i + 1) * width], LAST]) for i in range(SEQUENCES)]

    def evaluate(self, run):
        rows, figures = [], {}

        def vectors(sequences):
            found = [run(feed(ids))[0][0].mean(0) for ids in sequences]
            rows.extend(found)
            return np.stack([v / np.linalg.norm(v) for v in found])

        for name, file in (("wordsim353", "wordsim353.tsv"), ("simlex999", "simlex999.txt")):
            pairs = data.scored_pairs(file)
            words = sorted({word for a, b, _ in pairs for word in (a, b)})
            index, found = {word: i for i, word in enumerate(words)}, vectors(tokens(name, words))
            figures[name] = metrics.spearman([found[index[a]] @ found[index[b]] for a, b, _ in pairs], [score for *_, score in pairs])
        found = vectors(map(cut, tokens("lee", data.text_lines("lee.cor"))))
        human = np.loadtxt(os.path.join(data.folder("texts"), "similarities0-1.txt"))
        upper = np.triu_indices(len(human), 1)
        figures["lee"] = metrics.pearson((found @ found.T)[upper], human[upper])
        return np.stack(rows), figures


TASKS = [MiniLM()]
