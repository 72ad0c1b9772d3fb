# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Inputs for a model: from a file, or random but repeatable ones made from its signature."""
import os
import re
import struct
import zipfile
import zlib

import numpy as np

from . import files
from .errors import Error, reason
from .model import numpy_dtype

DEFAULT_SIZE = 1  # of an open dimension that nothing binds


def read(path, problem="cannot read the arrays"):
    """The array of an `.npy` or {name: array} of an `.npz`; an Error that says the `problem` for everything else."""
    path = os.fspath(path)
    try:
        with files.open_plain(path) as file:
            data = np.load(file, allow_pickle=False)
            return data if isinstance(data, np.ndarray) else {name: data[name] for name in data.files}
    except FileNotFoundError:
        raise Error("no such file", file=path) from None
    except Exception as error:  # of a damaged file: numpy's, zipfile's, zlib's and the tokenizer's of headers, and no memory
        known = isinstance(error, OSError) or path.endswith((".npz", ".npy"))
        raise Error(f"{problem}: {reason(error) if known else 'expected an .npz or .npy'}", file=path) from None


def load(path, inputs):
    """Feed from an `.npz` (arrays by input name) or, for a model with one input, an `.npy`."""
    data = read(path)
    if not isinstance(data, np.ndarray):
        return data
    if len(inputs) != 1:
        raise Error(f"one array for a model of {len(inputs)} inputs: expected an .npz with {', '.join(i.name for i in inputs)}",
                    file=path)
    return {inputs[0].name: data}


def save(path, outputs, names):
    """Write outputs as `.npz`."""
    with files.written(path, "the arrays") as file:
        try:
            with zipfile.ZipFile(file, "w") as archive:  # savez has parameters that outputs may have the names of
                for name, array in dict(zip(names, outputs)).items():
                    with archive.open(name + ".npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, array)
        except struct.error:
            raise Error("cannot write the arrays: an output has a name that is too long", file=path) from None


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
