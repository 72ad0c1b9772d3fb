# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One pass over the data through the instrumented model: what the observations of a Session collect, summed up.

Memory: the instrumented library (about the model), one sample with its activations, and the statistics of one sample
and of all: 0.5 MiB a histogram, 6 (K + 1)^2 bytes a gram of K columns, next to nothing for the others. It does not
depend on the number of samples.
"""
import dataclasses
import hashlib
import itertools
import json
import os
import tempfile
import time

import numpy as np

from .. import cache as keys, feeds, files
from ..errors import Error
from ..model import Model
from . import symmetric
from .data import SUBSET_SIZE, feeds_of

METHODS = ("minmax", "moving_average", "percentile", "entropy", "mse")
MOMENTUM = 0.9        # of the moving average, per sample
VERSION = 2           # of the cache file
SECONDS_TO_SAVE = 30  # between two writes of the cache while a run goes on
LOOK_AHEAD = 8        # samples looked at before deciding which dimensions stay open
_INFINITE_BIN = 0x3FC0  # of a histogram: infinities and NaN begin here, in both halves


@dataclasses.dataclass
class Calibration:
    """`samples` seen and the merged statistics {tensor: {kind: array}}, sums in float64.

    A "gram" is the float32 rectangle of symmetric.py: it is by far the largest, and what reads it damps its diagonal by
    more than a float32 sum can err. `exhausted` says that the data ended before the number asked for. The moving average of the range stands beside
    "minmax" as "moving_average".
    """

    samples: int = 0
    exhausted: bool = False
    first: str = ""  # fingerprint of the first sample
    statistics: dict = dataclasses.field(default_factory=dict)
    torn: bool = False  # an interruption hit the merge of a sample

    def add(self, outputs, feed=()):
        """Merge the statistics of one sample, {(tensor, kind): array}, which `feed` gave; Error if one is not finite."""
        for (tensor, kind), array in outputs.items():
            if not _is_finite(kind, array):
                raise Error(f"sample {self.samples}: {'input' if tensor in feed else 'tensor'} '{tensor}' {_problem(tensor, outputs, feed)}")
        self.torn = True
        for (tensor, kind), array in outputs.items():
            kinds = self.statistics.setdefault(tensor, {})
            old = kinds.get(kind)
            if kind == "minmax":
                kinds[kind] = array if old is None else np.stack([np.minimum(old[0], array[0]), np.maximum(old[1], array[1])])
                wide, average = array.astype(np.float64), kinds.get("moving_average")
                kinds["moving_average"] = wide if average is None else MOMENTUM * average + (1 - MOMENTUM) * wide
            elif kind == "channel_absmax":
                kinds[kind] = array if old is None else np.maximum(old, array)
            elif kind == "gram":
                if old is None:
                    kinds[kind] = symmetric.pack(array)
                else:
                    symmetric.add(old, array)
            elif old is None:
                kinds[kind] = array.astype(np.int64 if kind == "histogram" else np.float64)
            else:
                np.add(old, array, out=old)
        self.samples, self.torn = self.samples + 1, False

    def apply(self, session, method="minmax"):
        """Write the statistics into the session's module; "minmax" is the moving average where the method says so."""
        for tensor, kinds in self.statistics.items():
            given = {kind: symmetric.unpack(array) if kind == "gram" else array if kind == "histogram" else array.astype(np.float32)
                     for kind, array in kinds.items() if kind != "moving_average"}
            if method == "moving_average" and "moving_average" in kinds:
                given["minmax"] = kinds["moving_average"].astype(np.float32)
            session.set_statistics(tensor, given)


def _has_form(kind, array):
    """Whether a statistic from a file has the form that what adds to it and reads it relies on."""
    if not isinstance(kind, str) or array.dtype.kind not in "iuf" or not array.ndim:
        return False
    return symmetric.is_packed(array) if kind == "gram" else len(array) == 2 if kind in ("minmax", "moving_average") else True


def _is_finite(kind, array):
    if kind == "histogram":
        half = array.size // 2
        return not (array[_INFINITE_BIN:half].any() or array[half + _INFINITE_BIN:].any())
    # No sum of finite float32 overflows float64.
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float64)))


def _problem(tensor, outputs, feed):
    """What keeps a statistic of a tensor from being finite: no value, one that is not, or squares and sums of them."""
    kinds = {kind: array for (name, kind), array in outputs.items() if name == tensor}
    if "minmax" in kinds and kinds["minmax"][0] > kinds["minmax"][1]:
        return "has no elements"
    if tensor in feed:
        known = [bool(np.isfinite(np.asarray(feed[tensor], np.float32)).all())]
    else:
        known = [_is_finite(kind, kinds[kind]) for kind in ("minmax", "histogram", "channel_absmax") if kind in kinds]
    if not known:
        return "has values that are not finite, or whose squares are not"
    return "has values whose squares are too large for float32" if all(known) else "has values that are not finite"


def calibrate(session, data, *, subset_size=SUBSET_SIZE, method="minmax", options=None, cache=None, progress=None):
    """Measure what `session` has to know (its observations' `collect`) on `data`, and record it there.

    `data` as compression/data.py reads them, at most `subset_size` samples. `cache` is a file that keeps the result: a
    complete one is used instead of the data, an interrupted one is continued. `progress(done, total)` is called after
    every sample; `options` are those of the compilation (the session's own by default). Returns the Calibration.
    """
    if method not in METHODS:
        raise Error(f"calibration method '{method}': expected one of {', '.join(METHODS)}")
    wanted = {o["tensor"]: (sorted(o["collect"]), o["axis"]) for o in session.observed() if o["collect"]}
    if not wanted:
        return Calibration()
    options = options or session.options
    store = _Store(cache, session, wanted) if cache else None
    result = store.load(subset_size) if store else Calibration()
    if data is not None:
        _run(session, data, subset_size, result, options, store, progress)
    elif not _is_complete(result, subset_size):
        raise Error("calibration needs data" + (f", the cache has {result.samples} of {subset_size} samples" if store else ""),
                    file=cache or "")
    result.apply(session, method)
    return result


def _is_complete(result, subset_size):
    return result.samples > 0 and (result.exhausted or result.samples >= subset_size)


def _run(session, data, subset_size, result, options, store, progress):
    inputs = session.source.signature.inputs
    feeds = feeds_of(data, inputs, subset_size)
    first = next(feeds)
    mark = _fingerprint(first)
    if result.samples and result.first != mark:
        raise Error("the calibration cache was made with other data: remove it or name another file", file=store.path)
    if _is_complete(result, subset_size):
        return
    result.first = mark
    feeds = itertools.islice(itertools.chain([first], feeds), result.samples, None)
    ahead = list(itertools.islice(feeds, LOOK_AHEAD))
    saved = time.monotonic()
    try:
        with _Library(session, options, ahead) as library:
            for feed in itertools.chain(ahead, feeds):
                result.add(library.run(feed), feed)
                if progress:
                    progress(result.samples, subset_size)
                if store and time.monotonic() - saved > SECONDS_TO_SAVE:
                    store.save(result)
                    saved = time.monotonic()
        result.exhausted = result.samples < subset_size
    finally:
        if store and result.samples and not result.torn:
            store.save(result)


def _fingerprint(feed):
    digest = hashlib.sha256()
    for name, array in sorted(feed.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class _Library:
    """The instrumented model. Open dimensions are fixed as long as the samples agree on them."""

    def __init__(self, session, options, feeds):
        self._session, self._options = session, options
        self._open = {info.name: [(axis, symbol or f"{info.name}:{axis}") for axis, symbol in info.open_dims]
                      for info in session.source.signature.inputs}
        self._bound, self._model, self._count = {}, None, 0
        for feed in feeds[:1]:
            self._bound = dict(self._sizes(feed))
        for feed in feeds[1:]:
            self._loosen(feed)

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tamis-")
        return self

    def __exit__(self, *error):
        self._model = None
        self._folder.cleanup()

    def _sizes(self, feed):
        for name, axes in self._open.items():
            for axis, symbol in axes:
                yield symbol, feed[name].shape[axis]
                yield f"{name}:{axis}", feed[name].shape[axis]

    def _loosen(self, feed):
        """Give up every binding that this sample breaks; True if there was one."""
        broken = {symbol for symbol, size in self._sizes(feed) if self._bound.get(symbol, size) != size}
        for name, axes in self._open.items():
            for axis, symbol in axes:
                if symbol in broken or f"{name}:{axis}" in broken:
                    self._bound.pop(symbol, None)
                    self._bound.pop(f"{name}:{axis}", None)
        return bool(broken)

    def run(self, feed):
        """{(tensor, kind): array} of one sample."""
        if self._loosen(feed) or self._model is None:
            # A new name: the system takes a library of the same name for the one it has.
            self._model, self._count = None, self._count + 1
            path = os.path.join(self._folder.name, f"calibrate{self._count}.so")
            bound = tuple(sorted((name, str(size)) for name, size in self._bound.items()))
            self._session.instrument(path, dataclasses.replace(self._options, input_dims=bound, emit="so"))
            self._model = Model.loaded(path, file=self._session.source.name)
            self._names = [tuple(info.name.rsplit("//", 1)) for info in self._model.get_outputs()]
        return dict(zip(self._names, self._model.run(None, feed)))


class _Store:
    """The cache file: an .npz of the sums and a description, written by way of a temporary file."""

    def __init__(self, path, session, wanted):
        self.path = files.native(path)
        self._head = {"version": VERSION, "model": keys.make_key(session.source.fingerprint(session.options.allow_external)),
                      "collect": {tensor: [kinds, axis] for tensor, (kinds, axis) in sorted(wanted.items())}}

    def load(self, subset_size=SUBSET_SIZE):
        """The Calibration in the file, an empty one if there is no file; Error if it belongs to something else.

        A complete one that measured more than is asked for serves too.
        """
        if not os.path.exists(self.path) or files.is_special(self.path):
            return Calibration()
        try:
            arrays = dict(feeds.read(self.path, "not a calibration cache"))
            head = json.loads(str(arrays.pop("head")[()]))
            entries, found = head["entries"], {field: head[field] for field in self._head}
            samples, exhausted, first = int(head["samples"]), bool(head["exhausted"]), str(head["first"])
            covers = _is_complete(Calibration(samples, exhausted), subset_size) and self._covers(found["collect"])
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Error(f"not a calibration cache: {error}", file=self.path) from None
        for field, what in (("version", "another version of Tamis"), ("model", "another model"), ("collect", "other settings")):
            if found[field] != self._head[field] and not (field == "collect" and covers):
                raise Error(f"the calibration cache was made for {what}: remove it or name another file", file=self.path)
        result = Calibration(samples, exhausted, first)
        try:
            for number, (tensor, kind) in enumerate(entries):
                array = arrays[str(number)]
                if kind == "histogram":
                    array = np.zeros(int(arrays[f"{number}.size"]), np.int64)
                    array[arrays[f"{number}.bins"]] = arrays[str(number)]
                if not _has_form(kind, array):
                    raise ValueError(f"'{tensor}' has no such '{kind}'")
                if tensor in self._head["collect"]:
                    result.statistics.setdefault(tensor, {})[kind] = array
        except (LookupError, MemoryError, TypeError, ValueError) as error:
            raise Error(f"not a calibration cache: {error}", file=self.path) from None
        return result

    def _covers(self, collected):
        """True if a file that collected this has all that is asked for."""
        return all(tensor in collected and set(kinds) <= set(collected[tensor][0]) and axis == collected[tensor][1]
                   for tensor, (kinds, axis) in self._head["collect"].items())

    def save(self, result):
        """Write the file; an interruption leaves the old one."""
        arrays, entries = {}, []
        for tensor, kinds in result.statistics.items():
            for kind, array in kinds.items():
                number = len(entries)
                entries.append([tensor, kind])
                if kind == "histogram":
                    bins = np.flatnonzero(array)
                    arrays[f"{number}.bins"], arrays[f"{number}.size"] = bins.astype(np.int32), np.int64(array.size)
                    array = array[bins]
                arrays[str(number)] = array
        head = {**self._head, "entries": entries, "samples": result.samples, "exhausted": result.exhausted, "first": result.first}
        with files.written(self.path, "the calibration cache") as file:
            np.savez(file, head=np.array(json.dumps(head)), **arrays)
