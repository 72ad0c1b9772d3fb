# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sums of symmetric matrices in half their memory.

The upper triangle of a matrix of n columns is kept as a rectangle of n columns and h + 1 rows, h = ceil(n / 2): its first
h rows where they are, except that the rest of the triangle lies transposed below the diagonal of the first h columns
(rectangular full packed format; Gustavson et al., ACM TOMS 37, 2010). Axes before the last two are a batch.
"""
import numpy as np


def pack(matrix):
    """The float32 rectangle of a symmetric matrix."""
    n = matrix.shape[-1]
    packed = np.zeros((*matrix.shape[:-2], (n + 1) // 2 + 1, n), np.float32)
    add(packed, matrix)
    return packed


def is_packed(array):
    """True for an array that `pack` may have made."""
    return array.ndim > 1 and array.shape[-2] == (array.shape[-1] + 1) // 2 + 1


def add(packed, matrix):
    """Add a symmetric matrix to a rectangle, in place."""
    for part, source, mask in _parts(packed, matrix):
        np.add(part, source, out=part, where=mask)


def unpack(packed):
    """The matrix of a rectangle."""
    n = packed.shape[-1]
    matrix = np.empty((*packed.shape[:-2], n, n), packed.dtype)
    for part, target, mask in _parts(packed, matrix):
        np.copyto(target, part, where=mask)
        if mask is not True:
            np.copyto(target.swapaxes(-1, -2), part, where=mask)
    h = (n + 1) // 2
    matrix[..., h:, :h] = matrix[..., :h, h:].swapaxes(-1, -2)
    return matrix


def _parts(packed, matrix):
    """(view of the rectangle, view of the matrix, where they mean the same) of the three blocks."""
    n = packed.shape[-1]
    h, k = (n + 1) // 2, n // 2
    upper = np.tri(h, dtype=bool).T
    yield packed[..., :h, :h], matrix[..., :h, :h], upper
    yield packed[..., :h, h:], matrix[..., :h, h:], True
    yield packed[..., 1:k + 1, :k], matrix[..., h:, h:], np.tri(k, dtype=bool)
