# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Opens a Session on a prepared model, with its dimensions as the samples need them."""
import contextlib
import itertools

from .. import compiler, options as option_list
from ..errors import Error
from ..source import Source
from . import storage
from .calibration import LOOK_AHEAD
from .data import feeds_of
from .session import Session


@contextlib.contextmanager
def open_session(request, prepared):
    """A Session of the prepared model, freed at the end; large models go by way of a file."""
    options = option_list.make(target=request.target, input_dims=request.input_dims)
    loaded = prepared.loaded
    with contextlib.ExitStack() as stack:
        if loaded.path and not prepared.changed:
            source = loaded.path
        else:
            path, data = stack.enter_context(storage.as_source(prepared.model, loaded.external))
            source = path or data
        names = _ambiguous_dims(request, Source(source).signature, options)
        if names:
            source, _ = stack.enter_context(storage.as_source(prepared.model, external=True))
            storage.forget_dims(source, names)
        try:
            session = Session(source, options)
        except Error as error:
            bound = _bound(request, source, options)
            if bound is None:
                raise Error.from_diagnostics(error.diagnostics, loaded.name) from None
            session = Session(source, bound)
        stack.callback(session.close)
        yield session


def _first(request, signature, count):
    """The first samples, which stay in the request's data."""
    feeds = feeds_of(request.data, signature.inputs, request.subset_size)
    ahead = list(itertools.islice(feeds, count))
    request.data = itertools.chain(ahead, feeds)
    return ahead


def _ambiguous_dims(request, signature, options):
    """Names that the model gives to dimensions whose sizes differ in a sample; ONNX Runtime does not compare inputs either."""
    places = {}
    for info in signature.inputs:
        for axis, symbol in info.open_dims:
            places.setdefault(symbol, []).append((info.name, axis))
    shared = {name: group for name, group in places.items() if name and len(group) > 1 and name not in dict(options.input_dims)}
    if request.data is None or not shared:
        return set()
    return {name for feed in _first(request, signature, LOOK_AHEAD) for name, group in shared.items()
            if len({feed[tensor].shape[axis] for tensor, axis in group}) > 1}


def _bound(request, source, options):
    """Options with all open dimensions bound as in the first sample: some models have no meaning without."""
    signature = Source(source).signature
    if request.data is None or not compiler.unbound_dims(signature, options):
        return None
    return compiler.bind_dims(signature, options, *_first(request, signature, 1))
