# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of small models by forward differences: each weight is moved a little, and the model run again.

The model is compiled once, with the weights in question as inputs, so that a moved weight costs a run and no more. With
labels the loss is cross entropy, or the squared error where labels are numbers of the output's shape. Without labels no
loss is known that has a slope at the model's own outputs, so the outputs themselves are what counts: a weight gets the
root of the expected squared derivative of all outputs, each output in units of its own power. Its square is the diagonal
of the Gauss-Newton matrix of the squared error, which for that error is the Fisher information (Martens 2020).
"""
import itertools

import numpy as np

from .. import compiler
from ..errors import Error
from ..source import Source
from . import storage
from .data import feeds_of
from .graph import numpy_helper, onnx

MOST_WEIGHTS = 1 << 16
MOST_RUNS = 1 << 20
# Of the root mean square of a layer's weights: far above what rounding makes of the outputs, far below what bends them.
STEP = 2.0 ** -6


def gradients(model, names, data, labels=None, *, subset_size, target="native", input_dims=None, file="", progress=None):
    """{name: float32 array} for the initializers `names` of a ModelProto; weights that are zero get zero.

    At most MOST_WEIGHTS weights, and as many samples as make MOST_RUNS runs; `labels` are one per sample.
    `progress(done, total)` counts weights. Raises Error for models too large, and for data or labels that do not fit.
    """
    weights = {t.name: np.array(numpy_helper.to_array(t)) for t in model.graph.initializer if t.name in set(names)}
    count = sum(int(np.count_nonzero(w)) for w in weights.values())
    if count > MOST_WEIGHTS:
        raise Error(f"criterion gradient without given gradients runs the model for each weight: expected at most {MOST_WEIGHTS} "
                    f"weights that are not zero, got {count}; give gradients, or exclude layers", file=file)
    opened = _opened(model, weights)
    with storage.as_source(opened) as (path, proto):
        source = Source(path or proto)
        inputs = [info for info in source.signature.inputs if info.name not in weights]
        size = min(subset_size, max(MOST_RUNS // max(count, 1), 1))
        feeds = list(feeds_of(data, inputs, size))
        compiled = compiler.compile(source, target=target, input_dims=input_dims, cache="off")
        calls = [compiled.bind({**feed, **weights}) for feed in feeds]
        outputs = [i for i, info in enumerate(compiled.get_outputs()) if info.dtype.startswith(("float", "bfloat"))]
        if not outputs:
            raise Error("criterion gradient: the model has no floating output", file=file)
        loss = _Outputs(calls, outputs) if labels is None else _Loss(calls, outputs[0], _checked(labels, len(feeds), size), file)
        return _differences(weights, loss, count, progress)


def _opened(model, weights):
    """A copy of the model with these initializers as inputs."""
    opened = storage.skeleton(model, lambda tensor: storage.stub(tensor) if tensor.name in weights else None)
    kept = [t for t in opened.graph.initializer if t.name not in weights]
    for name, array in weights.items():
        opened.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape))
    copies = [onnx.TensorProto.FromString(t.SerializeToString()) for t in kept]
    del opened.graph.initializer[:]
    opened.graph.initializer.extend(copies)
    return opened


def _differences(weights, loss, count, progress):
    found, done = {}, 0
    for name, array in weights.items():
        slopes, flat = np.zeros(array.size, np.float32), array.reshape(-1)
        step = np.float32(STEP * np.sqrt(np.mean(np.square(flat, dtype=np.float64))))
        for index in np.flatnonzero(flat):
            before = flat[index]
            flat[index] = before + step
            slopes[index] = loss.change() / (float(flat[index]) - float(before))
            flat[index] = before
            done += 1
            if progress and (done % 256 == 0 or done == count):
                progress(done, count)
        found[name] = slopes.reshape(array.shape)
    return found


class _Outputs:
    """The change of the outputs, as a length: root of the mean over samples, outputs weighed by their power."""

    def __init__(self, calls, picks):
        self._calls, self._picks = calls, picks
        self._before = [self._run(call) for call in calls]
        power = [np.mean([np.sum(np.square(sample[i])) for sample in self._before]) for i in range(len(picks))]
        self._scales = [1 / p if p else 1.0 for p in power]

    def _run(self, call):
        results = call()
        return [np.array(results[i], np.float64) for i in self._picks]

    def change(self):
        total = 0.0
        for call, before in zip(self._calls, self._before):
            total += sum(scale * float(np.sum(np.square(now - was))) for scale, now, was in zip(self._scales, self._run(call), before))
        return np.sqrt(total / len(self._calls))


class _Loss:
    """The change of the mean loss of the first floating output against labels."""

    def __init__(self, calls, pick, labels, file):
        self._calls, self._pick, self._labels = calls, pick, labels
        scores = [np.array(call()[pick], np.float64) for call in calls]
        self._is_class = all(np.issubdtype(label.dtype, np.integer) for label in labels)
        for number, (score, label) in enumerate(zip(scores, labels)):
            if self._is_class:
                classes = score.shape[-1] if score.ndim else 0
                fits = classes > 1 and label.size == score.size // classes and label.min() >= 0 and label.max() < classes
            else:
                fits = label.size == score.size
            if not fits:
                raise Error(f"label {number}: expected a class for each row of the output's shape {list(score.shape)}, or numbers of "
                            f"that shape, got {label.dtype.name} {label.tolist() if label.size < 5 else list(label.shape)}", file=file)
        # A model that ends in a softmax gives what others give the softmax of.
        self._is_share = self._is_class and all((s >= 0).all() and np.allclose(s.sum(-1), 1, atol=1e-3) for s in scores)
        self._before = self._mean()

    def _mean(self):
        return np.mean([self._of(np.array(call()[self._pick], np.float64), label) for call, label in zip(self._calls, self._labels)])

    def _of(self, score, label):
        if not self._is_class:
            return np.mean(np.square(score.reshape(-1) - label.reshape(-1)))
        rows = score.reshape(-1, score.shape[-1])
        right = rows[np.arange(len(rows)), label.reshape(-1)]
        if self._is_share:
            return -np.mean(np.log(np.maximum(right, np.finfo(np.float32).tiny)))
        top = rows.max(-1)
        return np.mean(np.log(np.sum(np.exp(rows - top[:, None]), -1)) + top - right)

    def change(self):
        return self._mean() - self._before


def _checked(labels, samples, asked):
    """A label per sample; Error where their number shows that they belong to other data."""
    labels = np.asarray(labels)
    if labels.ndim == 0 or labels.dtype.kind not in "iuf" or len(labels) < samples or (samples < asked and len(labels) != samples):
        raise Error(f"labels: expected a number for each of {samples} samples, got {labels.dtype.name} of shape {list(labels.shape)}")
    return [np.asarray(label) for label in labels[:samples]]
