# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a model to a compiled library: the one place that calls the native compiler."""
import contextlib
import dataclasses
import json
import os
import platform
import tempfile

from . import _tamis, cache, files, options as option_list
from .errors import Diagnostic, Error
from .source import Source


def compile_to(source, output, options, on_message=None):
    """Compile `source` into the file `output`, where an earlier one stays if that fails.

    Raises Error; `on_message` receives warnings and remarks.
    """
    output = files.native(output)
    if not options.require_integer:
        _compile(source, output, options, on_message)
    elif not _tells_types(options) or output == "-" or files.is_special(output):
        _refuse_floats(source, float_layers(source, options))
        _compile(source, output, options, on_message)
    else:
        with files.beside(output, "the library") as folder:
            made = os.path.join(folder, os.path.basename(output))  # of the same name: the symbols carry it
            found = _compile(source, made, options, on_message)
            _refuse_floats(source, float_layers(source, options, made, found))
            files.move([(header(made), header(output)), (made, output)], "the library")


def header(path):
    """The header beside a library."""
    return os.path.splitext(path)[0] + ".h"


def _compile(source, output, options, on_message):
    """The compiler's warnings and remarks; raises Error."""
    found = [Diagnostic(*message) for message in _tamis.compile(source.path, source.data, output, dataclasses.asdict(options))]
    errors = [d for d in found if d.severity == "error"]
    if errors:
        raise Error.from_diagnostics(errors, source.name)
    for diagnostic in found if on_message else ():
        on_message(diagnostic)
    return found


def _refuse_floats(source, reasons):
    if reasons:
        raise Error.from_diagnostics([Diagnostic("error", f"integer arithmetic is required, but {reason}", node)
                                      for node, reason in reasons.items()], source.name)


@contextlib.contextmanager
def _private(path):
    """Around what makes the library `path`, which nobody links: without its header, and without itself after an error."""
    try:
        yield path
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(header(path))


def _tells_types(options):
    """True where the library that is made can be asked for its types: one for this machine."""
    return options.emit == "so" and options.target == "native"


def float_layers(source, options, path=None, messages=(), on_message=None):
    """{node: reason} for every contraction that reads floats, from the report of the library at `path`.

    Without a path, or where the path is no library for this machine, the model is compiled once more; `on_message` then
    gets what the compiler says.
    """
    if path is None or not _tells_types(options):
        plain = dataclasses.replace(options, emit="so", target="native", require_integer=False, dump_stages="", profile="")
        with _private(temporary_file()) as again:
            messages = _compile(source, again, plain, on_message)
            reasons = float_layers(source, plain, again, messages)
        os.remove(again)
        return reasons
    told = {m.node: m.text.removeprefix("contraction left in float: ") for m in messages if "left in float" in m.text}
    reasons = {}
    for layer in json.loads(_tamis.Model(os.fspath(path), 1).report).get("layers", ()):
        if layer["types"].split(" x ")[0].startswith(("f", "bf")):
            reason = layer.get("reason") or told.get(layer["node"]) or "its operands are not quantized"
            reasons.setdefault(layer["node"], reason)
    return reasons


def _compiler_identity():
    """Changes whenever the compiler does, also between two builds of one version."""
    status = os.stat(_tamis.library_path())
    return f"{_tamis.version} {status.st_size} {status.st_mtime_ns}"


def cache_key(source, options):
    """SHA-256 of everything the compiled bytes depend on."""
    return cache.make_key([_compiler_identity(), platform.machine(), _tamis.host_features(), options.key(),
                           *source.fingerprint(options.allow_external)])


def compile_cached(source, options, folder=None, on_message=None):
    """The path of a compiled library for `source`, from the cache if it is there.

    `folder` None is the user's cache; "off" compiles into a private temporary file that the caller owns.
    Returns (path, temporary).
    """
    if folder == "off":
        with _private(temporary_file()) as path:
            compile_to(source, path, options, on_message)
        return path, True
    store = cache.Cache(folder)
    state = source.state(options.allow_external), options.key()
    key = cache_key(source, options)
    path = store.find(key)
    if path and _is_whole(path):
        return path, False
    with _private(store.temporary()) as path:
        compile_to(source, path, options, on_message)
        if (source.state(options.allow_external), options.key()) != state:
            raise Error("the model file or the profile changed while it was compiled", file=source.name)
        return store.add(key, path), False


def _is_whole(path):
    """False for an entry of the cache that is damaged, as when the machine stopped while it was written."""
    try:
        _tamis.read_report(path)
    except RuntimeError:
        return False
    return True


class Recipe:
    """What a library was compiled from: makes it again under another name, which its C symbols carry."""

    def __init__(self, source, options):
        self._source, self._options = source, options
        self._state = source.state(options.allow_external), options.key()

    def compile_to(self, path):
        """Compile into `path`; Error if that is a file of the model, or these are not what they were."""
        files.check_apart([path], self._source.files(self._options.allow_external))
        try:
            same = (self._source.state(self._options.allow_external), self._options.key()) == self._state
        except (OSError, Error):
            same = False
        if not same:
            raise Error("cannot save: the model file or the profile changed after it was compiled", file=self._source.name)
        compile_to(self._source, path, self._options)


def temporary_file():
    """The path of a new empty file for a library; the caller removes it."""
    handle, path = tempfile.mkstemp(prefix="tamis-", suffix=".so")
    os.close(handle)
    return path


def compile(model, *, target="native", threads=1, input_dims=None, allow=(), strict=False, require_integer=False,
            allow_external=None, profile=None, ptxas=None, optimize_for="speed", opt_level=2, cache=None, lazy=True, on_message=None):
    """Compile a model and load it: `tamis.compile("model.onnx")(x)`.

    `model` is a path, ONNX bytes, an onnx.ModelProto or MLIR text. `input_dims` binds open dimensions
    (`{"batch": 1, "seq": (1, 512)}`). Dimensions left open are bound at the first call, once per shape; `lazy=False`
    compiles right away. `profile` is a file that `--tune` writes, `ptxas` NVIDIA's assembler (default: the one on PATH,
    if any; for targets nvptx). `optimize_for="size"` takes the smallest storage of each weight instead of the fastest.
    `opt_level` is 1 (compiles faster, the code is a little slower), 2, or 3 (LLVM's whole standard pipeline).
    `cache` is a folder or "off".
    """
    from .model import Model

    source = model if isinstance(model, Source) else Source(model)
    options = option_list.make(target, threads, input_dims, allow, strict, require_integer, allow_external, profile, ptxas,
                               optimize_for, opt_level)
    if lazy and source.signature and unbound_dims(source.signature, options):
        return Model.specialised(source, options, cache, on_message)
    recipe = Recipe(source, options)
    path, temporary = compile_cached(source, options, cache, on_message)
    return Model.loaded(path, threads=threads, temporary=temporary, recipe=recipe, file=source.name)


def unbound_dims(signature, options):
    """Names of the open dimensions that the options neither bind nor give a range."""
    bound = {name for name, _ in options.input_dims}
    missing = []
    for info in signature.inputs:
        for axis, symbol in info.open_dims:
            if symbol not in bound and f"{info.name}:{axis}" not in bound:
                missing.append(symbol or f"{info.name}:{axis}")
    return list(dict.fromkeys(missing))


def bind_dims(signature, options, feed):
    """Options with every unbound dimension bound to the shapes of `feed` (arrays by input name)."""
    bound = dict(options.input_dims)
    for info in signature.inputs:
        for axis, symbol in info.open_dims:
            size, name = feed[info.name].shape[axis], symbol or f"{info.name}:{axis}"
            if f"{info.name}:{axis}" in bound or (name in bound and name in dict(options.input_dims)):
                continue
            if bound.setdefault(name, str(size)) != str(size):
                # The model gives two dimensions one name; these shapes say they differ.
                bound[f"{info.name}:{axis}"] = str(size)
    return dataclasses.replace(options, input_dims=tuple(sorted(bound.items())))
