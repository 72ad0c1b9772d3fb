# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Inputs for a model: from a file, or random but repeatable ones made from its signature."""
import os
import re
import zipfile
import zlib

import numpy as np

from .errors import Error
from .model import numpy_dtype

DEFAULT_SIZE = 1  # of an open dimension that nothing binds


def load(path, inputs):
    """Feed from an `.npz` (arrays by input name) or, for a model with one input, an `.npy`."""
    path = os.fspath(path)
    try:
        data = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise Error("no such file", file=path) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = error if path.endswith((".npz", ".npy")) else "expected an .npz or .npy"
        raise Error(f"cannot read the arrays: {reason}", file=path) from None
    if isinstance(data, np.ndarray):
        if len(inputs) != 1:
            raise Error(f"one array for a model of {len(inputs)} inputs: expected an .npz with {', '.join(i.name for i in inputs)}",
                        file=path)
        return {inputs[0].name: data}
    with data:
        try:
            return {name: data[name] for name in data.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise Error(f"cannot read the arrays: {error}", file=path) from None


def save(path, outputs, names):
    """Write outputs as `.npz`, by way of a temporary file."""
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **dict(zip(names, outputs)))
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise Error(f"cannot write the arrays: {error.strerror}", file=path) from None


def shape_of(info, dims):
    """The shape random data get: bound dimensions as bound (a range: its upper end), open ones 1."""
    if info.shape is None:
        raise Error(f"input '{info.name}' has no shape: give its data with --input")
    shape = []
    for axis, size in enumerate(info.shape):
        if not isinstance(size, int):
            text = dims.get(f"{info.name}:{axis}", dims.get(size, str(DEFAULT_SIZE)))
            size = int(re.split(":", text)[-1])
        shape.append(size)
    return tuple(shape)


def random(inputs, seed=0, dims=()):
    """{name: array}: floats normal with sigma 0.5, integers 0 to 9, booleans true; the same for the same seed."""
    feed, dims = {}, dict(dims)
    for info in inputs:
        rng = np.random.default_rng([seed, zlib.crc32(info.name.encode())])
        shape, dtype = shape_of(info, dims), numpy_dtype(info.dtype)
        if info.dtype == "bool":
            array = np.ones(shape)
        elif dtype.kind in "iu":
            array = rng.integers(0, 10, shape)
        elif dtype.kind in "fV" or info.dtype.startswith(("bfloat", "float")):
            array = rng.standard_normal(shape) * 0.5
        else:
            raise Error(f"input '{info.name}' has the type {info.dtype}: give its data with --input")
        feed[info.name] = np.asarray(array).astype(dtype).reshape(shape)
    return feed
