# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A compiled model as Python sees it, in the shape of onnxruntime's InferenceSession."""
import collections
import contextlib
import json
import os
import shutil
import threading

import numpy as np

from . import _tamis, files
from .errors import Error
from .options import check_threads
from .signature import ModelMeta, TensorInfo

SHAPES_KEPT = 16  # compiled shapes a model with open dimensions holds at a time


def numpy_dtype(name):
    """The numpy dtype of an element type's name; the types numpy lacks come from ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        raise Error(f"element type {name}: install the package ml_dtypes to use it") from None


def as_array(value):
    """A numpy view of an array, a DLPack tensor or a number; nothing is cast."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (TypeError, ValueError, RuntimeError, BufferError) as error:
            raise Error(f"cannot take the tensor by DLPack: {error}") from None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Error(f"cannot take {type(value).__name__} as a tensor: {error}") from None
    if array.dtype == object:
        raise Error(f"cannot take {type(value).__name__} as a tensor")
    return array


def describe(dtype, shape):
    """`float32[1, 3, h, w]`, for messages."""
    if shape is None:
        return f"{dtype} of any shape"
    return f"{dtype}[{', '.join('?' if d is None else str(d) for d in shape)}]"


def check_names(inputs, feed):
    """Error names what `feed` has beside the model's inputs, or lacks of them."""
    names = [info.name for info in inputs]
    unknown = [name for name in feed if name not in names]
    missing = [name for name in names if name not in feed]
    if unknown or missing:
        problems = [f"missing input '{name}'" for name in missing] + [f"unknown input '{name}'" for name in unknown]
        raise Error(f"{', '.join(problems)}: the model's inputs are {', '.join(names) or 'none'}")


def check_feed(inputs, feed):
    """Arrays in the order of `inputs`, contiguous and aligned; Error names the input that does not fit."""
    if not isinstance(feed, collections.abc.Mapping):
        raise Error(f"expected the inputs as a dict of arrays by name, got {type(feed).__name__}")
    check_names(inputs, feed)
    arrays = []
    for info in inputs:
        array = as_array(feed[info.name])
        fits = info.shape is None or (array.ndim == len(info.shape) and all(
            not isinstance(want, int) or want == got for want, got in zip(info.shape, array.shape)))
        if array.dtype != numpy_dtype(info.dtype) or not fits:
            raise Error(f"input '{info.name}': expected {describe(info.dtype, info.shape)}, "
                        f"got {describe(array.dtype.name if array.dtype.isnative else array.dtype, array.shape)}")
        arrays.append(np.require(array, requirements=("C", "A")))
    return arrays


def _info(entry):
    name, dtype, dims = entry
    return TensorInfo(name, dtype, tuple(int(d) if d.lstrip("-").isdigit() else d if d and d != "?" else None for d in dims))


def _aligned(shape, dtype, alignment=64):
    """An uninitialised array that begins at a cache line."""
    size = int(np.prod(shape)) * dtype.itemsize
    data = np.empty(size + alignment, np.uint8)
    start = -data.ctypes.data % alignment
    return data[start:start + size].view(dtype).reshape(shape)


class BoundCall:
    """A call with its arrays fixed: `call()` runs the model on them, `outputs` holds the results.

    `inputs` holds the given arrays, or copies of those that are not contiguous or not aligned. They may be overwritten in
    place between calls; nothing is checked or allocated any more, nor copied but integers narrower than a byte.
    """

    def __init__(self, native, file, arrays, outputs):
        self.inputs, self.outputs, self._file = arrays, outputs, file
        raw = _raw(arrays)
        self._narrow = [(array, wide) for array, wide in zip(arrays, raw) if array.dtype.name in NARROW]
        self._call = native.bind(raw, _raw(outputs))

    def __call__(self):
        for array, wide in self._narrow:
            np.copyto(wide, array, casting="unsafe")
        try:
            self._call()
        except RuntimeError as error:
            raise Error(str(error), file=self._file) from None
        return self.outputs


# Compiled code holds these one to a byte, extended; ml_dtypes leaves the upper bits undefined.
NARROW = {"int4": np.int8, "uint4": np.uint8, "int2": np.int8, "uint2": np.uint8}


def _raw(arrays):
    """The arrays as the native module takes them: numpy's own element types only."""
    raw = []
    for array in arrays:
        if array.dtype.name in NARROW:
            array = array.astype(NARROW[array.dtype.name])
        elif array.dtype.kind == "V" or array.dtype.num > 23:
            array = array.view(f"u{array.dtype.itemsize}")
        raw.append(array)
    return raw


def _result(data, shape, name):
    """An output from its bytes."""
    if name in NARROW:
        return data.view(NARROW[name]).astype(numpy_dtype(name)).reshape(shape)
    return data.view(numpy_dtype(name)).reshape(shape)


class Model:
    """A compiled model. Calls may run at the same time from several threads."""

    def __init__(self, native, path, file, owned, recipe=None):
        self._native, self._path, self._file, self._recipe = native, path, file, recipe
        self._inputs = [_info(entry) for entry in native.inputs]
        self._outputs = [_info(entry) for entry in native.outputs]
        if owned:  # mapped by now: the name may go, `save` reads the mapping's file
            self._owned = owned

    @classmethod
    def loaded(cls, path, threads=0, temporary=False, recipe=None, file=None):
        """The model in the library at `path`; a temporary file is removed with the model.

        `recipe` is the compiler.Recipe of a model that was compiled in this process, `file` what its user knows it by, empty
        if that was no file: errors name it instead of the library.
        """
        path = os.path.abspath(files.native(path))
        check_threads(threads, least=0)
        owned = _Removed(path) if temporary else None
        try:
            native = _tamis.Model(path, threads)
        except RuntimeError as error:
            raise Error(str(error).removeprefix(f"'{path}': "), file=path if file is None else file) from None
        return cls(native, path, path if file is None else file, owned, recipe)

    @staticmethod
    def specialised(source, options, cache, on_message=None):
        """A model with open dimensions, compiled at the first call of each shape."""
        return SpecialisedModel(source, options, cache, on_message)

    def get_inputs(self):
        """Inputs as objects with `name`, `shape` and `type` (`tensor(float)`)."""
        return list(self._inputs)

    def get_outputs(self):
        """Outputs as objects with `name`, `shape` and `type`."""
        return list(self._outputs)

    def get_states(self):
        """The outputs that continue an input, as {output: input}: `bind` takes one array for both."""
        return {entry["name"]: entry["state"] for entry in self.report().get("outputs", ()) if "state" in entry}

    def get_modelmeta(self):
        """Producer, graph name and `custom_metadata_map` of the model it was compiled from."""
        return ModelMeta(producer_name=self._native.producer, custom_metadata_map=dict(self._native.metadata))

    def get_providers(self):
        """The execution providers, for code written for onnxruntime."""
        return ["TamisExecutionProvider"]

    def run(self, output_names, feed, run_options=None):
        """Run the model: a list of arrays, one per name in `output_names` (None: all outputs).

        `run_options` is accepted for onnxruntime's signature and has no meaning here.
        """
        picks = self._picks(output_names)
        outputs = self._run(check_feed(self._inputs, feed))
        return [outputs[i] for i in picks]

    def _picks(self, output_names):
        names = [info.name for info in self._outputs]
        for name in output_names or ():
            if name not in names:
                raise Error(f"unknown output '{name}': the model's outputs are {', '.join(names)}")
        return range(len(names)) if output_names is None else [names.index(name) for name in output_names]

    def _run(self, arrays):
        try:
            results = self._native.run(_raw(arrays))
        except RuntimeError as error:
            raise Error(str(error), file=self._file) from None
        return [_result(data, shape, info.dtype) for (data, shape), info in zip(results, self._outputs)]

    def __call__(self, *args, **feed):
        """Run with positional arrays in the order of the inputs, one dict, or keywords.

        Returns the output, or a list if there are several.
        """
        if len(args) == 1 and isinstance(args[0], collections.abc.Mapping) and not feed:
            feed = args[0]
        elif args:
            if len(args) > len(self._inputs):
                raise Error(f"got {len(args)} arrays, the model has {len(self._inputs)} inputs")
            feed = {**dict(zip((info.name for info in self._inputs), args)), **feed}
        outputs = self.run(None, feed)
        return outputs[0] if len(outputs) == 1 else outputs

    def bind(self, feed, outputs=None):
        """A BoundCall on these inputs; `outputs` gives arrays to write to, by name.

        An output may be the array of the input it continues (`get_states`): what is in it is then changed where it is.
        No other array to write to may overlap an input, nor another output.
        """
        outputs = {} if outputs is None else outputs
        if not isinstance(outputs, collections.abc.Mapping):
            raise Error(f"expected the outputs as a dict of arrays by name, got {type(outputs).__name__}")
        self._picks(outputs)
        arrays = check_feed(self._inputs, feed)
        try:
            shapes = self._native.output_dims(_raw(arrays))
        except RuntimeError as error:
            raise Error(str(error), file=self._file) from None
        results = []
        for info, shape in zip(self._outputs, shapes):
            if min(shape, default=0) < 0:
                raise Error(f"output '{info.name}': its shape depends on the data, so it cannot be bound")
            if info.dtype in NARROW:
                raise Error(f"output '{info.name}': {info.dtype} cannot be bound")
            dtype, given = numpy_dtype(info.dtype), outputs.get(info.name)
            if given is None:
                given = _aligned(shape, dtype)
            elif not isinstance(given, np.ndarray):
                raise Error(f"output '{info.name}': expected an array to write to, got {type(given).__name__}")
            elif given.dtype != dtype or given.shape != tuple(shape) or not given.flags.carray:
                raise Error(f"output '{info.name}': expected a contiguous {describe(info.dtype, shape)}, "
                            f"got {describe(given.dtype, given.shape)}")
            else:
                self._check_apart(info.name, given, arrays, results)
            results.append(given)
        return BoundCall(self._native, self._file, arrays, results)

    def _check_apart(self, name, given, arrays, results):
        for info, other in zip(self._outputs, results):
            if np.may_share_memory(given, other):
                raise Error(f"output '{name}' overlaps output '{info.name}'")
        for info, array in zip(self._inputs, arrays):
            if np.may_share_memory(given, array) and not (
                    self.get_states().get(name) == info.name and given.ctypes.data == array.ctypes.data):
                raise Error(f"output '{name}' overlaps input '{info.name}', which it does not continue in place")

    def device_seconds(self):
        """Seconds of the last call by the device's own clock, None without one. The first answer comes after the first call that follows."""
        seconds = self._native.device_seconds()
        return seconds if seconds >= 0 else None

    def device_copy(self, size):
        """Bytes a second, read and written, of copies of `size` bytes on the device; None where that cannot be measured."""
        rate = self._native.device_copy(size)
        return rate if rate > 0 else None

    def save(self, path):
        """Write the library to `path`, as `tamis compile -o` does: `x.so` exports `x_run` and has `x.h` beside it.

        Its C symbols carry its name, so it is compiled again. A model that came from `tamis.load` is copied: it keeps
        the symbols it has, and its header is the one written with it.
        """
        path = files.native(path)
        if self._recipe:
            self._recipe.compile_to(path)
            return
        with files.written(path, "the library") as file, open(self._path, "rb") as library:
            shutil.copyfileobj(library, file)

    def report(self):
        """What the compiler decided, as plain data: see `tamis explain`."""
        return json.loads(self._native.report or "{}")


class _Removed:
    """Removes a temporary file when the model that maps it goes."""

    def __init__(self, path):
        self.path = path

    def __del__(self, remove=os.remove):
        with contextlib.suppress(OSError):
            remove(self.path)


class SpecialisedModel(Model):
    """A model with open dimensions: a compiled library per shape, the least recently used dropped."""

    def __init__(self, source, options, cache, on_message):
        self._source, self._options, self._cache, self._on_message = source, options, cache, on_message
        self._inputs, self._outputs = list(source.signature.inputs), list(source.signature.outputs)
        self._models, self._lock = collections.OrderedDict(), threading.Lock()

    def get_modelmeta(self):
        return self._source.signature.meta

    def _model(self, arrays):
        from . import compiler

        shapes = tuple(array.shape for array in arrays)
        with self._lock:
            model = self._models.pop(shapes, None)
            if model is None:
                feed = {info.name: array for info, array in zip(self._inputs, arrays)}
                options = compiler.bind_dims(self._source.signature, self._options, feed)
                recipe = compiler.Recipe(self._source, options)
                path, temporary = compiler.compile_cached(self._source, options, self._cache, self._on_message)
                model = Model.loaded(path, options.threads, temporary, recipe, self._source.name)
            self._models[shapes] = model
            if len(self._models) > SHAPES_KEPT:
                self._models.popitem(last=False)
        return model

    def _run(self, arrays):
        return self._model(arrays)._run(arrays)

    def bind(self, feed, outputs=None):
        return self._model(check_feed(self._inputs, feed)).bind(feed, outputs)

    def _single(self, what):
        if len(self._models) != 1:
            from . import compiler

            names = ", ".join(compiler.unbound_dims(self._source.signature, self._options))
            raise Error(f"cannot {what}: the dimensions {names} are open; bind them with input_dims or call the model "
                        "with one shape first", file=self._source.name)
        return next(iter(self._models.values()))

    def save(self, path):
        self._single("save").save(path)

    def get_states(self):
        return self._single("name its states").get_states()

    def report(self):
        return self._single("report").report()

    def device_seconds(self):
        return self._single("time").device_seconds()

    def device_copy(self, size):
        return self._single("measure").device_copy(size)


def read_report(path):
    """What `report()` says of the library at `path`, which may be for another processor or a device that is not here."""
    try:
        return json.loads(_tamis.read_report(os.path.abspath(files.native(path))))
    except RuntimeError as error:
        raise Error(str(error), file=path) from None


def load(path, threads=None):
    """Load a library that `tamis compile` wrote. A library is code: load only what you trust."""
    path = files.native(path)
    if not os.path.isfile(path):
        raise Error("no such file", file=path)
    return Model.loaded(path, threads or 0)


class InferenceSession:
    """Drop-in for `onnxruntime.InferenceSession`: the same methods on a model compiled by Tamis.

    `providers` and `sess_options` are accepted; of the options only `intra_op_num_threads` is used.
    """

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None, **options):
        from . import compiler

        threads = options.pop("threads", None) or getattr(sess_options, "intra_op_num_threads", 0) or 1
        self._model = compiler.compile(path_or_bytes, threads=threads, **options)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model, name)
