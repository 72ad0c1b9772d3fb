# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The model a caller hands over: a path, ONNX bytes, an onnx.ModelProto or MLIR text."""
import mmap
import os

from . import cache, signature
from .errors import Error


class Source:
    """A model to compile; exactly one of `path` and `data` is set."""

    def __init__(self, model):
        self.path, self.data = None, None
        if isinstance(model, (bytes, bytearray, memoryview)):
            self.data = bytes(model)
        elif hasattr(model, "SerializeToString"):
            self.data = model.SerializeToString()
        elif isinstance(model, str) and ("\n" in model or model.lstrip().startswith(("module", "func.func"))):
            self.data = model.encode()
        elif isinstance(model, (str, os.PathLike)):
            self.path = os.fspath(model)
            if os.path.isdir(self.path):
                raise Error("expected a model file, found a folder", file=self.path)
            try:
                open(self.path, "rb").close()
            except OSError as error:
                raise Error(f"cannot read the model: {error.strerror.lower()}", file=self.path) from None
        else:
            raise Error(f"expected a path, bytes, an onnx.ModelProto or MLIR text, got {type(model).__name__}")
        self._signature = None

    @property
    def name(self):
        return self.path or ""

    @property
    def is_mlir(self):
        """True for MLIR text or bytecode; everything else is read as ONNX."""
        if self.path is not None:
            return self.path.endswith((".mlir", ".mlirbc"))
        return self.data.startswith(b"ML\xefR") or self.data[:64].lstrip().startswith(
            (b"module", b"func.func", b"//", b"#", b"!", b"ml_program"))

    @property
    def signature(self):
        """The ONNX model's Signature, or None for MLIR."""
        if self._signature is None and not self.is_mlir:
            try:
                self._signature = self._read(signature.read)
            except Error as error:
                raise Error(error.text, file=self.name) from None
        return self._signature

    def _read(self, function):
        if self.path is None:
            return function(self.data)
        with open(self.path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise Error("the file is empty", file=self.path)
            # Unmapped when the last view goes: an error's traceback may hold one for a while.
            return function(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))

    def external_paths(self, folder=""):
        """Paths of the external data files the initializers name, those that exist."""
        if self.is_mlir:
            return []
        folder = folder or (os.path.dirname(self.path) if self.path else "")
        paths = [os.path.join(folder, name) for name in self.signature.external_files] if folder or self.path else []
        return [path for path in paths if os.path.isfile(path)]

    def fingerprint(self, folder=""):
        """What the model's bytes contribute to a cache key."""
        own = cache.hash_file(self.path) if self.path else cache.make_key([self.data])
        return [own, *(cache.hash_file(path) for path in self.external_paths(folder))]

    def state(self, folder=""):
        """Identity, size and times of the files read: equal before and after means nobody changed them between."""
        paths = ([self.path] if self.path else []) + self.external_paths(folder)
        return [(s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in map(os.stat, paths)]
