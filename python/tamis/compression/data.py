# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calibration data in whatever form they come, as one stream of feeds: {input name: array}, one feed per sample.

Accepted are

- a list or any iterable of feeds, or of arrays (or tuples in the order of the inputs, as a torch DataLoader gives them:
  what follows the inputs, such as labels, is left out),
- one array for a model of one input, or a dict of arrays: a sample per entry of the leading axis,
- the path of an `.npz` (arrays by input name) or `.npy` file: the same, or one feed,
- the path of a folder of such files, read in the order of their names, or an iterable of paths,
- an object with `get_next()` (onnxruntime's CalibrationDataReader), called until it returns None.

Samples keep the shape they come in. Only where the model wants a leading axis of a fixed size, an array of n such
pieces is n samples, and a missing leading axis of one is added. Nothing is held but the sample at hand.
"""
import collections.abc
import itertools
import os

import numpy as np

from .. import feeds as feed_files, files
from ..errors import Error
from ..model import as_array, check_feed

SUBSET_SIZE = 300


def feeds_of(data, inputs, subset_size=None):
    """Yield the feeds of `data`, at most `subset_size`, each checked against `inputs` (TensorInfo).

    Raises Error for data that are empty or do not fit, naming the sample and the input.
    """
    if subset_size is not None and (isinstance(subset_size, bool) or not isinstance(subset_size, int) or not 1 <= subset_size < 2**63):
        raise Error(f"subset_size: expected a positive number below 2^63, got {subset_size!r}")
    inputs, found = list(inputs), False
    for index, (file, feed) in enumerate(itertools.islice(_samples(data, inputs), subset_size)):
        try:
            yield dict(zip((info.name for info in inputs), check_feed(inputs, feed)))
        except Error as error:
            raise Error(f"sample {index}: {error.text}", file=file) from None
        found = True
    if not found:
        raise Error("the calibration data are empty", file=data if isinstance(data, (str, os.PathLike)) else "")


def _samples(data, inputs):
    """(file or "", feed) of every sample."""
    if isinstance(data, (str, os.PathLike)):
        yield from _files(os.fspath(data), inputs)
    elif hasattr(data, "get_next"):
        while (feed := data.get_next()) is not None:
            yield from _unnamed(_pieces(_feed(feed, inputs), inputs))
    elif isinstance(data, collections.abc.Mapping) or hasattr(data, "shape"):
        yield from _unnamed(_stacked(_feed(data, inputs), inputs))
    elif isinstance(data, collections.abc.Iterable) and not isinstance(data, (bytes, bytearray)):
        for element in data:
            if isinstance(element, (str, os.PathLike)):
                yield from _files(os.fspath(element), inputs)
            else:
                yield from _unnamed(_pieces(_feed(element, inputs), inputs))
    else:
        raise Error(f"expected calibration data as arrays, a path, an iterable or an object with get_next(), "
                    f"got {type(data).__name__}")


def _unnamed(feeds):
    return (("", feed) for feed in feeds)


def _files(path, inputs):
    if not os.path.isdir(path):
        try:
            for feed in _stacked(feed_files.load(path, inputs), inputs):
                yield path, feed
        except Error as error:
            raise Error(error.text, file=error.file or path) from None
        return
    with files.reading("the samples", path):
        names = sorted(name for name in os.listdir(path) if name.endswith((".npz", ".npy")))
    if not names:
        raise Error("expected .npz or .npy files in the folder, found none", file=path)
    for name in names:
        yield from _files(os.path.join(path, name), inputs)


def _feed(element, inputs):
    """{name: array} of one element of the data."""
    if isinstance(element, collections.abc.Mapping):
        return {name: as_array(value) for name, value in element.items()}
    if isinstance(element, (tuple, list)):
        if len(element) < len(inputs):
            raise Error(f"expected {len(inputs)} arrays a sample ({', '.join(i.name for i in inputs)}), got {len(element)}")
        return {info.name: as_array(value) for info, value in zip(inputs, element)}
    if len(inputs) != 1:
        raise Error(f"one array for a model of {len(inputs)} inputs: expected a dict with {', '.join(i.name for i in inputs)}")
    return {inputs[0].name: as_array(element)}


def _known(feed, inputs):
    """(array, info) of every input the feed names; what it does not name is found by check_feed."""
    return [(feed[info.name], info) for info in inputs if info.name in feed and info.shape is not None]


def _stacked(feed, inputs):
    """The samples of arrays that hold one per entry of their leading axis, or the feed itself where none does."""
    pairs = _known(feed, inputs)
    rows = {}
    for array, info in pairs:
        rank = len(info.shape)
        if array.ndim == rank + 1:
            rows[info.name] = 1, True
        elif array.ndim == rank and rank and not isinstance(info.shape[0], int):
            rows[info.name] = 1, False
        elif array.ndim == rank and rank and info.shape[0] and array.shape[0] != info.shape[0] and array.shape[0] % info.shape[0] == 0:
            rows[info.name] = info.shape[0], False
    if not rows or len(rows) != len(feed):
        yield from _pieces(feed, inputs)
        return
    counts = {name: feed[name].shape[0] // size for name, (size, _) in rows.items()}
    if len(set(counts.values())) > 1:
        raise Error("the inputs have different numbers of samples: " + ", ".join(f"'{n}' {c}" for n, c in counts.items()))
    for i in range(next(iter(counts.values()))):
        yield {name: feed[name][i] if drop else feed[name][i * size:(i + 1) * size] for name, (size, drop) in rows.items()}


def _pieces(feed, inputs):
    """The feed, or its pieces where the model's batch is of a fixed size."""
    pairs = _known(feed, inputs)
    sizes = []
    for array, info in pairs:
        fixed = info.shape and isinstance(info.shape[0], int)
        if array.ndim == len(info.shape) - 1 and (info.shape[0] == 1 or not fixed):
            feed = {**feed, info.name: array[np.newaxis]}
            sizes.append((info.name, 1, 1))
        elif fixed and array.ndim == len(info.shape) and info.shape[0]:
            sizes.append((info.name, array.shape[0] // info.shape[0] if array.shape[0] % info.shape[0] == 0 else 1, info.shape[0]))
    counts = {count for _, count, _ in sizes}
    if len(sizes) != len(feed) or len(counts) != 1 or counts <= {0, 1}:
        yield feed
        return
    for i in range(counts.pop()):
        yield {name: feed[name][i * size:(i + 1) * size] for name, _, size in sizes}


def load_labels(path):
    """Labels from an .npy file, one per sample."""
    array = feed_files.read(path, "cannot read the labels")
    if not isinstance(array, np.ndarray):
        raise Error("expected labels as one array (.npy), got an archive", file=path)
    return array
