# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The model a caller hands over: a path, ONNX bytes, an onnx.ModelProto or MLIR text."""
import mmap
import os
import re

from . import cache, files, signature
from .errors import Error, reason


# What no path begins with.
MLIR_TEXT = re.compile(r"\s*(module\s*\{|module\s+(@|attributes\b)|func\.func\s)")


class Source:
    """A model to compile; exactly one of `path` and `data` is set."""

    def __init__(self, model):
        self.path, self.data = None, None
        if isinstance(model, (bytes, bytearray, memoryview)):
            self.data = bytes(model)
        elif hasattr(model, "SerializeToString"):
            try:
                self.data = model.SerializeToString()
            except Exception as error:  # protobuf's own errors
                raise Error(f"cannot take the model's bytes: {reason(error)}") from None
        elif isinstance(model, str) and not os.path.exists(model) and ("\n" in model or MLIR_TEXT.match(model)):
            self.data = files.native(model, "the MLIR text").encode()
        elif isinstance(model, (str, os.PathLike)):
            self.path = files.native(model)
            if os.path.isdir(self.path):
                raise Error("expected a model file, found a folder", file=self.path)
            with self._reading():
                files.open_plain(self.path).close()
        else:
            raise Error(f"expected a path, bytes, an onnx.ModelProto or MLIR text, got {type(model).__name__}")
        self._signature = None

    def _reading(self):
        return files.reading("the model", self.name)

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
        with self._reading(), files.open_plain(self.path) as file:
            if not os.fstat(file.fileno()).st_size:
                raise Error("the file is empty", file=self.path)
            # Unmapped when the last view goes: an error's traceback may hold one for a while.
            return function(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))

    def external_paths(self, allowed=""):
        """Paths of the external data files the initializers name: those that lie where the compiler lets them.

        That is the folder of the model, which one in memory has not, or the `allowed` one.
        """
        if self.is_mlir or not (self.path or allowed):
            return []
        folder = os.path.dirname(self.path) if self.path else allowed
        roots = [os.path.realpath(root) for root in (folder, allowed or folder)]
        paths = [os.path.join(folder, name) for name in self.signature.external_files]
        return [path for path in paths if os.path.isfile(path) and any(
            os.path.commonpath((root, os.path.realpath(path))) == root for root in roots)]

    def files(self, allowed=""):
        """Paths of all files the model is read from."""
        return ([self.path] if self.path else []) + self.external_paths(allowed)

    def fingerprint(self, allowed=""):
        """What the model's bytes contribute to a cache key."""
        own = [] if self.path else [cache.make_key([self.data])]
        with self._reading():
            return own + [cache.hash_file(path) for path in self.files(allowed)]

    def state(self, allowed=""):
        """Identity, size and times of the files read: equal before and after means nobody changed them between."""
        with self._reading():
            return [(s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in map(os.stat, self.files(allowed))]
