# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures --tamis-expand-math against float64 on every exponent, the usual range and the special values."""
import math
import sys

import numpy as np

from kernels import Module, generic, host_targets

N = 1 << 17
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-45, -1e-45, 1.17549435e-38, 3.4e38, -3.4e38, 88.7, 88.73,
                    -87.3, -103.9, -104.5, 1e-30, 2, 0.5, -2, -0.5, 128, 127.9999, -126, -149, -149.5, -150.5, 3.92, 4.5,
                    9.1, -10, 1e-8, 5e-8, -5e-8, 3, 1e9], np.float32)
# Function: meaning in float64, usual range (None: all positive numbers), units in the last place allowed.
FUNCTIONS = {
    "exp": (np.exp, (-104, 89), 1.5), "exp2": (np.exp2, (-150, 129), 1.5), "expm1": (np.expm1, (-20, 89), 2),
    "tanh": (np.tanh, (-10, 10), 3), "erf": (np.vectorize(math.erf), (-5, 5), 7), "log": (np.log, None, 1.5),
    "log2": (np.log2, None, 1.5), "log10": (np.log10, None, 3), "log1p": (np.log1p, (-0.9999999, 100), 2),
    "sin": (np.sin, (-1000, 1000), 2), "cos": (np.cos, (-1000, 1000), 2),
    "rsqrt": (lambda x: 1 / np.sqrt(x), None, 2),
}
BOUNDED = ("tanh", "erf")  # never beyond 1, and 1 at infinity


def error(got, wanted):
    """Largest error in units in the last place; infinite if an infinity or NaN is missed."""
    rounded = wanted.astype(np.float32)
    finite = np.isfinite(rounded) & np.isfinite(got)
    if np.any(~finite & ~((np.isnan(rounded) & np.isnan(got)) | (rounded == got))):
        return math.inf
    unit = np.maximum(np.spacing(np.abs(rounded[finite])), np.float32(1e-45)).astype(np.float64)
    return np.max(np.abs(got[finite].astype(np.float64) - wanted[finite]) / unit)


def main(folder):
    rng = np.random.default_rng(1)
    np.seterr(all="ignore")
    vector = ("memref<?xf32>", "d0")
    text = "".join(generic(name, [vector], [vector], "p", f"    %r = math.{name} %x0 : f32\n    linalg.yield %r : f32")
                   for name in FUNCTIONS)
    text += generic("pow", [vector] * 2, [vector], "p", "    %r = math.powf %x0, %x1 : f32\n    linalg.yield %r : f32")
    failed = 0
    for target in host_targets():
        module = Module(text, target, folder)
        for name, (meaning, usual, allowed) in FUNCTIONS.items():
            values = [SPECIAL, rng.integers(0, 1 << 32, N, dtype=np.uint64).astype(np.uint32).view(np.float32),
                      rng.uniform(*usual, N) if usual else 10.0 ** rng.uniform(-3, 3, N),
                      (rng.uniform(-1, 1, N) * 10.0 ** rng.uniform(-6, 0.5, N)) if usual else 1 + rng.uniform(-0.1, 0.1, N)]
            x = np.concatenate([value.astype(np.float32) for value in values])
            y = np.zeros_like(x)
            module(name, x, y)
            worst = error(y, meaning(x.astype(np.float64)))
            if name in BOUNDED and (np.nanmax(np.abs(y)) > 1 or np.any(np.abs(y[np.isinf(x)]) != 1)):
                worst = math.inf
            failed += not worst <= allowed
            print(f"{target} {name}: {worst:.2f} ulp, {allowed} allowed")
        x = np.concatenate([np.repeat(SPECIAL, len(SPECIAL)), 10 ** rng.uniform(-4, 4, N), rng.uniform(-5, 5, N)])
        p = np.concatenate([np.tile(SPECIAL, len(SPECIAL)), rng.uniform(-8, 8, N), rng.integers(-9, 9, N)])
        x, p = x.astype(np.float32), p.astype(np.float32)
        y = np.zeros_like(x)
        module("pow", x, p, y)
        worst = error(y, np.power(x.astype(np.float64), p.astype(np.float64)))
        failed += not worst <= 1
        print(f"{target} pow: {worst:.2f} ulp, 1 allowed")
    print("all errors within bounds" if failed == 0 else f"{failed} functions out of bounds")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
