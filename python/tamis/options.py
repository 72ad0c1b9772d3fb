# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The options of a compilation, one definition for the API, the command line and the cache key."""
import dataclasses
import os
import re
import shutil
from collections.abc import Iterable, Mapping

from . import cache, files
from .errors import Error

EMIT = {"so": ".so", "obj": ".o", "llvm": ".ll", "mlir": ".mlir", "asm": ".s", "ptx": ".ptx"}
ALLOW = ("bf16",)
GOALS = ("speed", "size")
OPT_LEVELS = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class Options:
    """What `tamis.compile` and `tamis compile` accept; each field is the flag of the same name."""

    target: str = "native"
    threads: int = 1
    input_dims: tuple = ()        # (("batch", "1"), ("seq", "1:512"))
    allow: tuple = ()
    strict: bool = False
    require_integer: bool = False
    allow_external: str = ""
    profile: str = ""             # file of what the cost models know of the target (docs/Profile.md)
    ptxas: str = ""               # NVIDIA's assembler; empty: the one on PATH, if any
    optimize_for: str = "speed"   # or the smallest storage of each weight: "size"
    opt_level: int = 2            # 1 compiles faster, 3 runs LLVM's whole standard pipeline
    emit: str = "so"
    oracle: bool = False          # every contraction by its definition instead of a generated kernel
    dump_stages: str = ""

    def key(self):
        """The part of the cache key that the options make: of a profile its bytes, of the assembler which file it is.

        Raises Error if the profile cannot be read.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del fields["dump_stages"]
        if self.profile:
            with files.reading("the profile", self.profile):
                fields["profile"] = cache.hash_file(self.profile).hex()
        if self.target.startswith("nvptx"):
            fields["ptxas"] = _file_state(shutil.which(self.ptxas or "ptxas"))
        return repr(sorted(fields.items()))


# What every command that compiles has, and `tamis.optimize` passes on.
SHARED = tuple(f.name for f in dataclasses.fields(Options) if f.name not in ("emit", "oracle", "dump_stages"))


def _file_state(path):
    """What changes when another file lies at `path`; None without one."""
    status = os.stat(path) if path else None
    return status and (os.path.realpath(path), status.st_size, status.st_mtime_ns)


def parse_dim(text):
    """`batch=1` or `seq=1:512` as (name, value); the name may also be `INPUT:AXIS`."""
    name, equals, value = text.rpartition("=")
    match = re.fullmatch(r"([0-9]{1,18})(?::([0-9]{1,18}))?", value)
    if not equals or not name or not match or (match[2] and int(match[2]) < int(match[1])):
        raise Error(f"input dimension '{text}': expected NAME=SIZE or NAME=MIN:MAX, of at most 18 digits")
    return files.native(name, "the name of an input dimension"), value


def make(target="native", threads=1, input_dims=None, allow=(), strict=False, require_integer=False,
         allow_external=None, profile=None, ptxas=None, optimize_for="speed", opt_level=2, emit="so", oracle=False, dump_stages=None):
    """Checked Options from what a caller wrote."""
    dims = _bindings(input_dims or {})
    allow = (allow,) if isinstance(allow, str) or not isinstance(allow, Iterable) else tuple(allow)
    for name in allow:
        if name not in ALLOW:
            raise Error(f"allow '{name}': expected one of {', '.join(ALLOW)}")
    if optimize_for not in GOALS:
        raise Error(f"optimize_for '{optimize_for}': expected one of {', '.join(GOALS)}")
    if isinstance(opt_level, bool) or not isinstance(opt_level, int) or opt_level not in OPT_LEVELS:
        raise Error(f"opt_level: expected one of {', '.join(map(str, OPT_LEVELS))}, got {opt_level!r}")
    if emit not in EMIT:
        raise Error(f"emit '{emit}': expected one of {', '.join(EMIT)}")
    check_threads(threads)
    return Options(files.native(target, "the target"), threads, dims, allow, bool(strict), bool(require_integer),
                   *(files.native(path or "") for path in (allow_external, profile, ptxas)), optimize_for, opt_level, emit,
                   bool(oracle), files.native(dump_stages or ""))


def check_threads(threads, least=1):
    """Error if it is no number of threads."""
    if isinstance(threads, bool) or not isinstance(threads, int) or not least <= threads < 2**31:
        raise Error(f"threads: expected a positive number below 2^31, got {threads!r}")


def _bindings(dims):
    """The (name, value) pairs of `input_dims`, sorted."""
    try:
        pairs = dims.items() if isinstance(dims, Mapping) else [d if isinstance(d, tuple) else parse_dim(d) for d in dims]
        return tuple(sorted(parse_dim(f"{name}={_dim_text(value)}") for name, value in pairs))
    except (AttributeError, TypeError, ValueError):
        raise Error(f"input_dims: expected {{name: size}}, {{name: (least, most)}} or texts as NAME=SIZE, got {dims!r}") from None


def _dim_text(value):
    if not isinstance(value, (tuple, list)):
        return str(value)
    least, most = value
    return f"{least}:{most}"
