# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Figures of merit: how far outputs are from the float model's, and correlations and error rates of the tasks."""
import numpy as np


def ranks(values):
    """Ranks from 0, ties share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def pearson(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a, b):
    return pearson(ranks(a), ranks(b))


def snr(reference, got):
    """Signal-to-noise ratio in dB over all values."""
    reference, got = np.asarray(reference, np.float64), np.asarray(got, np.float64)
    noise = np.square(reference - got).sum()
    return float(10 * np.log10(np.square(reference).sum() / noise)) if noise else float("inf")


def cosines(reference, got):
    """Cosine of each row."""
    reference, got = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (reference, got))
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(got, axis=1)
    return (reference * got).sum(1) / np.maximum(norms, 1e-30)


def agreement(reference, got):
    """Share of rows with the same largest entry."""
    return float((np.argmax(reference, -1) == np.argmax(got, -1)).mean())


def closeness(reference, got, classes=False):
    """SNR and cosines of rows of outputs; with `classes` also how often the largest entry is the same one."""
    cosine = cosines(reference, got)
    found = {"snr_db": snr(reference, got), "cosine_mean": float(cosine.mean()), "cosine_min": float(cosine.min())}
    if classes:
        found["agreement"] = agreement(reference, got)
    return found


def edit_distance(a, b):
    """Insertions, deletions and substitutions between two strings (Levenshtein, 1965)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def character_error_rate(wanted, got):
    return sum(map(edit_distance, wanted, got)) / sum(map(len, wanted))
