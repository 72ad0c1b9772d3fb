# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists of models to test and measure, and repeatable inputs for them.

A list is a text file with one line per model, fields split by " | ":
    key | kinds (first = main kind) | package (PyPI pin) | file in the wheel | SHA-256 of that file, first 12 digits | inputs
inputs, split by "; ":  NAME: DTYPE SHAPE [<HI | =VALUE]
    SHAPE "-" is a scalar; "<HI" draws integers 0..HI-1, "=V" is constant, else normal with sigma 0.5.
Only numpy is imported here: the scripts that fetch and export models use this file from other environments.
"""
import dataclasses
import os
import re
import zlib

import numpy as np

DTYPES = {"f32": np.float32, "f16": np.float16, "i64": np.int64, "i32": np.int32}


@dataclasses.dataclass(frozen=True)
class Input:
    """How to make one input."""

    name: str
    dtype: type
    shape: tuple
    high: int = None
    value: float = None


@dataclasses.dataclass(frozen=True)
class Model:
    """One line of a list; `root` is the folder that holds the fetched packages."""

    key: str
    kinds: tuple
    package: str
    source: str
    sha: str
    inputs: tuple
    root: str

    @property
    def exported(self):
        """True if the ONNX file is made from what the package ships."""
        return "exported" in self.kinds

    @property
    def source_file(self):
        """The shipped file, relative to the root."""
        return os.path.join("pkg", self.package.replace("==", "-"), self.source)

    @property
    def file(self):
        """The ONNX file, relative to the root."""
        return f"exported/{self.key}.onnx" if self.exported else self.source_file

    @property
    def path(self):
        return os.path.join(self.root, self.file)

    @property
    def classifier(self):
        return "classifier" in self.kinds

    @property
    def light(self):
        """Constant weights: counts for correctness, never for speed."""
        return "light" in self.kinds

    @property
    def numeric_class(self):
        """The class of the correctness rule (see compare.py)."""
        return "quantized" if "quantized" in self.kinds else "fp16" if "fp16" in self.kinds else "float"


def _input(text):
    match = re.fullmatch(r"(\S+): (\w+) (\S+)(?: <(\d+))?(?: =(\S+))?", text)
    if not match:
        raise ValueError(f"cannot read the input '{text}'")
    name, dtype, shape, high, value = match.groups()
    return Input(name, DTYPES[dtype], () if shape == "-" else tuple(map(int, shape.split("x"))),
                 high and int(high), value and float(value))


def read(path, root=None):
    """{key: Model} of a list. `root` defaults to $TAMIS_MODELS, else to build/models of the working tree."""
    path = os.path.abspath(path)
    root = root or os.environ.get("TAMIS_MODELS") or os.path.join(os.path.dirname(path), "..", "..", "build", "models")
    models = {}
    with open(path, encoding="utf8") as lines:
        for line in lines:
            line = line.strip()
            if line and line[0] != "#":
                key, kinds, package, source, sha, inputs = line.split(" | ")
                models[key] = Model(key, tuple(kinds.split()), package, source, sha,
                                    tuple(map(_input, inputs.split("; "))), os.path.abspath(root))
    return models


def select(models, names):
    """The models of a comma-separated list of keys, all without one."""
    if not names:
        return list(models.values())
    unknown = [name for name in names.split(",") if name not in models]
    if unknown:
        raise SystemExit(f"error: no such model: {', '.join(unknown)}")
    return [models[name] for name in names.split(",")]


def feeds(model, seed=0):
    """{name: array}; the same for the same model and seed."""
    rng, out = np.random.default_rng([seed, zlib.crc32(model.key.encode())]), {}
    for i in model.inputs:
        if i.value is not None:
            x = np.full(i.shape, i.value)
        elif i.high is not None:
            x = rng.integers(0, i.high, i.shape)
        else:
            x = rng.standard_normal(i.shape) * 0.5
        out[i.name] = np.ascontiguousarray(np.asarray(x).astype(i.dtype)).reshape(i.shape)
    return out
