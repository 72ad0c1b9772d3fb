# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How good and how fast a compressed model is, beside the float model it comes from.

Data are split once into three parts that share no sample: one to calibrate, one to search, one to report. Only the
figure of the last part may be shown as accuracy: the search has seen the second. Times are paired: both models take
turns on the same inputs, so that a busy machine slows both.
"""
import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import time

import numpy as np

from ..errors import Error

PARTS = ("calibrate", "search", "report")
SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 0.8, 11, 2000  # of one paired measurement


@dataclasses.dataclass(frozen=True)
class Part:
    """Samples of one use: feeds (arrays by input name), and their labels where the user has any."""

    name: str
    feeds: tuple
    labels: np.ndarray = None

    def __len__(self):
        return len(self.feeds)


def split(feeds, labels=None, seed=0):
    """{part name: Part}: three parts of equal size, the same for the same data and seed.

    Equal samples go to the same part, so that no part has seen another's data even where a data set repeats itself.
    """
    feeds = list(feeds)
    if labels is not None:
        labels = np.asarray(labels)
        if labels.ndim == 0 or len(labels) != len(feeds):
            raise Error(f"{len(feeds)} samples, but {labels.shape[0] if labels.ndim else 'a single'} labels")
    groups = {}
    for index, feed in enumerate(feeds):
        groups.setdefault(_fingerprint(feed), []).append(index)
    if len(groups) < len(PARTS):
        raise Error(f"expected at least {len(PARTS)} different samples to split, got {len(groups)}")
    chosen, keys = [[] for _ in PARTS], list(groups)
    for position in np.random.default_rng(seed).permutation(len(keys)):
        # The part that has the fewest samples takes the next group.
        smallest = min(range(len(PARTS)), key=lambda p: len(chosen[p]))
        chosen[smallest] += groups[keys[position]]
    return {name: Part(name, tuple(feeds[i] for i in indices), None if labels is None else labels[indices])
            for name, indices in zip(PARTS, chosen)}


def _fingerprint(feed):
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(feed):
        array = np.ascontiguousarray(feed[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.view(np.uint8).reshape(-1) if array.dtype.hasobject is False and array.size else b"")
    return digest.digest()


def fingerprint(parts):
    """Identifies data and split: a study must not continue on other data."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts.values():
        for feed in part.feeds:
            digest.update(_fingerprint(feed))
        if part.labels is not None:
            digest.update(np.ascontiguousarray(part.labels).tobytes())
    return digest.hexdigest()


def cosine(got, want):
    """Cosine of the angle between two tensors, in double precision; 1 where both are zero."""
    got, want = _flat(got), _flat(want)
    norm = np.sqrt(got @ got) * np.sqrt(want @ want)
    if norm == 0:
        return float(not got.any() and not want.any())
    return float(got @ want / norm)


def snr(got, want):
    """Signal to noise in decibel: 10 log10(sum want^2 / sum (got - want)^2); infinite where equal."""
    got, want = _flat(got), _flat(want)
    noise, signal = float((got - want) @ (got - want)), float(want @ want)
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def _flat(array):
    return np.asarray(array).astype(np.float64).reshape(-1)


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric's value on one part, what it lost against the float model, and how sure that loss is."""

    value: float
    drop: float
    error: float = 0.0  # standard error of the drop, where the metric is a mean over samples


class Metric:
    """`top1` needs labels; `cosine` and `snr` compare with the float model; a function gets (outputs, labels).

    A drop is absolute and in the metric's own unit. The float model's SNR is infinite, so the drop of `snr` is the
    noise's share of the signal's power: 0.01 is 20 dB.
    """

    NAMES = ("top1", "cosine", "snr")

    def __init__(self, name, function=None):
        self.name, self._function = name, function

    @classmethod
    def make(cls, metric, labels):
        """From a name, FILE.py:FUNCTION or a function; None chooses top1 with labels and cosine without."""
        if metric is None:
            metric = "cosine" if labels is None else "top1"
        if callable(metric):
            return cls(getattr(metric, "__name__", "function"), metric)
        if not isinstance(metric, str):
            raise Error(f"metric: expected a name or a function, got {metric!r}")
        if ".py:" in metric:
            return cls(metric, _load_function(metric))
        if metric not in cls.NAMES:
            raise Error(f"metric '{metric}': expected one of {', '.join(cls.NAMES)} or FILE.py:FUNCTION")
        if metric == "top1" and labels is None:
            raise Error("metric 'top1' needs labels; without them use cosine or snr")
        return cls(metric)

    def needs(self):
        """What a value of this metric says, for people."""
        return {"top1": "share of samples whose first output is greatest at the label", "cosine": "mean cosine to the float model",
                "snr": "SNR against the float model in dB (drop: noise power / signal power)"}.get(self.name, "user's function")

    def score(self, outputs, reference, labels=None):
        """Score of `outputs` (a list of {name: array}) against the float model's."""
        if self._function is not None:
            value, before = (self._call(o, labels) for o in (outputs, reference))
            return Score(value, before - value)
        if self.name == "top1":
            right, before = (np.concatenate([_hits(o, l) for o, l in zip(outs, labels)]) for outs in (outputs, reference))
            lost = before - right
            return Score(float(right.mean()), float(lost.mean()), _standard_error(lost))
        if self.name == "cosine":
            losses = np.array([1 - min(cosine(o[n], r[n]) for n in r) for o, r in zip(outputs, reference)])
            return Score(float(1 - losses.mean()), float(losses.mean()), _standard_error(losses))
        ratios = np.array([_noise(o, r) for o, r in zip(outputs, reference)])
        mean = float(ratios.mean())
        return Score(float(-10 * np.log10(mean)) if mean else float("inf"), mean, _standard_error(ratios))

    def of_float(self, reference, labels=None):
        """The float model's own value."""
        return self.score(reference, reference, labels).value

    def _call(self, outputs, labels):
        try:
            value = float(self._function(outputs, labels))
        except Exception as error:  # the user's code may raise anything
            raise Error(f"metric '{self.name}' failed: {type(error).__name__}: {error}") from error
        if not np.isfinite(value):
            raise Error(f"metric '{self.name}': expected a finite number, got {value}")
        return value


def _standard_error(losses):
    return float(losses.std(ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else 0.0


def _noise(got, want):
    """Noise power as a share of signal power, over the floating outputs."""
    names = [n for n in want if np.asarray(want[n]).dtype.kind == "f"] or list(want)
    noise = sum(float(np.sum(np.square(_flat(got[n]) - _flat(want[n])))) for n in names)
    signal = sum(float(np.sum(np.square(_flat(want[n])))) for n in names)
    return noise / signal if signal else float(noise > 0)


def _hits(outputs, label):
    scores = np.asarray(next(iter(outputs.values())))
    if scores.ndim == 0 or scores.shape[-1] < 2:
        raise Error(f"metric 'top1' expects scores of classes in the first output, got shape {list(scores.shape)}")
    rows, wanted = scores.reshape(-1, scores.shape[-1]), np.asarray(label).reshape(-1)
    if len(rows) != len(wanted):
        raise Error(f"metric 'top1': {len(wanted)} labels for {len(rows)} rows of scores in a sample")
    return (rows.argmax(-1) == wanted).astype(np.float64)


def _load_function(text):
    path, _, name = text.rpartition(":")
    if not os.path.isfile(path):
        raise Error("no such file", file=path)
    spec = importlib.util.spec_from_file_location("tamis_user_metric", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        raise Error(f"cannot load the metric: {type(error).__name__}: {error}", file=path) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise Error(f"no function '{name}' in this file", file=path)
    return function


def parse_drop(text):
    """`1%` or `0.01` as a number."""
    try:
        value = float(text[:-1]) / 100 if isinstance(text, str) and text.endswith("%") else float(text)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise Error(f"maximum drop '{text}': expected a number such as 0.01, or a percentage such as 1%")
    return value


def outputs_of(model, feeds):
    """The results of a compiled model on feeds, as {name: array} each."""
    names = [info.name for info in model.get_outputs()]
    return [dict(zip(names, model.run(None, feed))) for feed in feeds]


@dataclasses.dataclass(frozen=True)
class Latency:
    """Undisturbed times of a paired measurement and their `ratio`, below 1 where it got faster.
    """

    float_seconds: float
    seconds: float
    ratio: float
    rounds: int


def clock(options):
    """Nanoseconds of the caller's own processor time where a model of these compile options has one thread, so that time
    other programs take does not count; of the clock on the wall otherwise."""
    return time.thread_time_ns if options.get("threads", 1) == 1 else time.perf_counter_ns


def undisturbed(seconds):
    """The lower quartile. Compiled code takes equal time on equal inputs, and longer where the machine is busy; the least is
    not it, since processor time now and then misses part of a call."""
    return sorted(seconds)[len(seconds) // 4]


def paired_latency(before, after, feeds, seconds=SECONDS, now=time.perf_counter_ns):
    """Time two compiled models in turns on the same inputs by the clock `now`, an untimed call before each timed one."""
    calls = [[_bound(model, feed) for feed in feeds[:8]] for model in (before, after)]
    for pair in zip(*calls):
        for call in pair:
            call()
    times, start, done = ([], []), time.perf_counter(), 0
    while done < LEAST_ROUNDS or (done < MOST_ROUNDS and time.perf_counter() - start < seconds):
        index = done % len(calls[0])
        for which in (0, 1) if done % 2 == 0 else (1, 0):
            calls[which][index]()
            begin = now()
            calls[which][index]()
            times[which].append((now() - begin) * 1e-9)
        done += 1
    found = [undisturbed(t) for t in times]
    return Latency(*found, found[1] / found[0], done)


def _bound(model, feed):
    try:
        return model.bind(feed)
    except Error as error:  # results whose size only the data decide take no memory of ours
        if "depends on the data" not in error.text:
            raise
        return lambda: model.run(None, feed)


@contextlib.contextmanager
def alone():
    """Holds this machine's turn to measure: workers of one study evaluate together, but time one after the other."""
    import fcntl
    import tempfile

    path = os.path.join(tempfile.gettempdir(), f"tamis-measure-{os.getuid()}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
