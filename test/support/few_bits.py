# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products by weights of few bits, and what their definition gives in float64."""
import numpy as np
from Import.oracle import Values, node


def unpack(packed, bits, count):
    """(rows, count) integers of `bits`, lowest first in each byte."""
    parts = [(packed.reshape(packed.shape[0], -1) >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, -1).reshape(packed.shape[0], -1)[:, :count].astype(np.float64)


def spread(parameter, block, k):
    """(rows, blocks) to (rows, k)."""
    return np.repeat(parameter, block, axis=1)[:, :k]


def rounded(x, block):
    """Activations in blocks of 8 bits, as accuracy_level 4 permits."""
    k = x.shape[-1]
    parts = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -k % block)]).reshape(*x.shape[:-1], -1, block)
    scale = np.maximum(np.abs(parts).max(-1, keepdims=True), np.finfo(np.float32).tiny * 128) * np.float32(1 / 127)
    return (np.clip(np.rint(parts / scale), -128, 127) * scale.astype(np.float64)).reshape(*x.shape[:-1], -1)[..., :k]


class Product:
    """A MatMulNBits node with its parameters and what it gives."""

    def __init__(self, k, n, bits=4, block=32, zeros="none", level=0, seed=0):
        v, blocks = Values(seed), -(-k // block)
        self.parameters = {"b": v.integers(np.uint8, n, blocks, block * bits // 8),
                           "s": v.scales(n * blocks).astype(np.float16).astype(np.float32)}
        codes = unpack(self.parameters["b"], bits, k)
        zero = np.full((n, blocks), 2.0 ** (bits - 1))
        if zeros == "float":
            zero = 7 + v.floats(n, blocks)
            self.parameters["z"] = zero.reshape(-1)
        elif zeros == "integer":
            self.parameters["z"] = v.integers(np.uint8, n * ((blocks * bits + 7) // 8))
            zero = unpack(self.parameters["z"].reshape(n, -1), bits, blocks)
        self.weights = (codes - spread(zero, block, k)) * spread(self.parameters["s"].reshape(n, blocks), block, k)
        self.node = node("MatMulNBits", " ".join(["x", *self.parameters]), domain="com.microsoft", K=k, N=n, bits=bits,
                         block_size=block, accuracy_level=level)
        self.block, self.level = block, level

    def __call__(self, x):
        x = x.astype(np.float32)
        return (rounded(x, self.block) if self.level == 4 else x.astype(np.float64)) @ self.weights.T
