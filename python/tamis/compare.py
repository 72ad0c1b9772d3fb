# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""When two results agree: the correctness rule that `verify`, `benchmark` and the model tests share.

The allowed error is a share of the output's range: 1e-4 for float models, 1e-2 where half precision and 2e-2 where
quantized arithmetic is involved, and never below four times what ONNX Runtime's own optimised graph, or its double
precision one, differs from its plain one, nor below what its plain graph of a quantized model makes of inputs that are
moved by a millionth (verification.judge). Integers and booleans of float models are equal, or differ where ONNX
Runtime differs from itself.
"""
import dataclasses

import numpy as np

TOLERANCE = {"float": 1e-4, "fp16": 1e-2, "quantized": 2e-2}
TIE = 1e-6
QUANTIZED_OPS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
                 "QLinearConv", "QLinearMatMul", "DynamicQuantizeLSTM"}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far one output is from the reference, as a share of its range; `problem` says why it does not count."""

    name: str
    error: float
    allowed: float
    problem: str = ""

    @property
    def agrees(self):
        return not self.problem

    def __str__(self):
        return f"{self.name}: " + (self.problem or f"error {self.error:.1e} (allowed {self.allowed:.1e})")


def model_class(graph_ops, dtypes):
    """"quantized", "fp16" or "float" from the operators and element types of a model."""
    if any(op in QUANTIZED_OPS or op.startswith("QLinear") for op in graph_ops):
        return "quantized"
    return "fp16" if {"float16", "bfloat16"} & set(dtypes) else "float"


def scale_of(values):
    """The range of one output over several calls; its magnitude where all values are the same."""
    finite = [v[np.isfinite(v)] for v in (np.asarray(value, np.float64).reshape(-1) for value in values)]
    finite = np.concatenate(finite) if finite else np.empty(0)
    if not finite.size:
        return 1.0
    low, high = finite.min(), finite.max()
    return float(high - low if high > low else max(abs(high), TIE))


def difference(got, want, scale=None):
    """Largest difference as a share of `scale` (the range of `want`), infinite where only one side is finite."""
    got, want = np.asarray(got), np.asarray(want)
    if want.dtype.kind == "c":
        return max(difference(got.real, want.real, scale), difference(got.imag, want.imag, scale))
    if want.dtype.kind == "b" or want.size == 0:
        return float(np.any(got != want))
    got, want = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(got[~finite], want[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    return float(np.abs(got[finite] - want[finite]).max() / (scale or scale_of([want])))


def compare(name, got, want, optimised=None, kind="float", classifier=False, scale=None, sensitivity=0.0):
    """Compare one output with the reference; `optimised` is the reference's own optimised result.

    `scale` is the output's range where more calls than this one are known (scale_of): one value has none. `sensitivity`
    is how much of it the reference itself moves for inputs that are equal but for rounding.
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return Comparison(name, float("inf"), 0, f"expected {want.dtype}{list(want.shape)}, got {got.dtype}{list(got.shape)}")
    own = difference(optimised, want, scale) if optimised is not None and np.shape(optimised) == want.shape else 0.0
    exact = want.dtype.kind in "biu" and kind != "quantized"
    allowed = max(0.0 if exact else TOLERANCE[kind], 4 * own, sensitivity)
    error = difference(got, want, scale)
    problem = "" if error <= allowed else f"error {error:.1e} of the range, allowed {allowed:.1e}"
    if not problem and classifier and want.ndim and want.shape[-1] > 1 and want.dtype.kind == "f":
        problem = _argmax_problem(got, want)
    return Comparison(name, error, allowed, problem)


def _argmax_problem(got, want):
    rows, wanted = got.reshape(-1, got.shape[-1]), want.reshape(-1, want.shape[-1])
    index = np.arange(len(rows))
    mine, theirs = rows.argmax(-1), wanted.argmax(-1)
    gap = wanted[index, theirs].astype(np.float64) - wanted[index, mine]
    wrong = np.flatnonzero((mine != theirs) & (gap > TIE))
    if not len(wrong):
        return ""
    return f"class {mine[wrong[0]]} instead of {theirs[wrong[0]]} in row {wrong[0]}"
