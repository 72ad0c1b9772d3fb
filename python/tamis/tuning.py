# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the candidates of a model's contractions and writes them into a profile, which later compilations read.

Each distinct contraction is compiled alone with its own weights, once for each candidate: a profile that calls one candidate
fast and the others slow makes the compiler take it. All take turns on one core, so that weights leave the caches between
calls as far as they do in the model; the lower quartile of processor time counts (compression/evaluate.py has the reason).
"""
import contextlib
import dataclasses
import json
import os
import tempfile
import time

from . import _tamis, benchmarking, compiler, feeds, files
from .compression import evaluate
from .errors import Diagnostic, Error
from .model import Model

OPEN_SIZE = "128"  # of a dimension that only run time knows
ROUNDS, MOST_ROUNDS, SECONDS = 12, 200, 3.0  # at least so many rounds, and at most; between them, so many seconds
SHORT = 20e-6  # a call that takes less is repeated until it takes so many seconds


@dataclasses.dataclass(eq=False)
class Kernel:
    """One contraction with one candidate, compiled alone."""

    key: str
    candidate: str
    path: str
    call: object = None
    repeats: int = 1
    samples: list = dataclasses.field(default_factory=list)

    @property
    def seconds(self):
        """Of a call."""
        return evaluate.undisturbed(self.samples)


def tune(source, options, path, on_message=None, progress=None):
    """Measure the model in `source` and write the profile to the file `path`.

    What the file, or the options' own profile, already says of other contractions stays, as do its facts. Returns the
    Kernels that were measured. Raises Error where the target is not one that this machine runs.
    """
    base = options.profile or (path if os.path.isfile(path) else "")
    options = dataclasses.replace(options, threads=1, emit="so", dump_stages="", require_integer=False, profile=base)
    if source.signature and compiler.unbound_dims(source.signature, options):
        feed = feeds.random(source.signature.inputs, 0, options.input_dims)
        options = compiler.bind_dims(source.signature, options, feed)
    profile = read(options)
    with tempfile.TemporaryDirectory(prefix="tamis-tune-") as folder, _one_core():
        kernels = _compile_all(source, options, profile, folder, on_message, progress)
        kernels = [kernel for kernel in kernels if kernel.path and _bind(kernel)]
        measure(kernels, progress)
    for kernel in kernels:
        profile["measured"].setdefault(kernel.key, {})[kernel.candidate] = round(kernel.seconds * 1e6, 3)
    write(path, profile)
    return kernels


def read(options):
    """The profile of the options' one target as plain data: their own file, else the built-in facts."""
    text, messages = _tamis.profile_text(dataclasses.asdict(options))
    _report(messages, "", None)
    return json.loads(text)


def write(path, profile):
    """Write what `read` returns; the file appears whole or not at all."""
    files.write_text(path, json.dumps(profile, indent=1, sort_keys=True) + "\n", "the profile")


def _report(messages, name, on_message):
    found = [Diagnostic(*message) for message in messages]
    errors = [d for d in found if d.severity == "error"]
    if errors:
        raise Error.from_diagnostics(errors, name)
    for diagnostic in found if on_message else ():
        on_message(diagnostic)


def _compile_all(source, options, profile, folder, on_message, progress):
    """A Kernel for every contraction and candidate, by as many compilations of the model as one has candidates."""
    task = progress.add_task("compiling candidates", total=None) if progress else None
    candidates, done, forced = {}, {}, {}
    while True:
        part = os.path.join(folder, str(len(done)))
        os.mkdir(part)
        file = os.path.join(part, "profile.json")
        write(file, {**profile, "measured": forced})
        made, messages = _tamis.compile_kernels(source.path, source.data, part,
                                                dataclasses.asdict(dataclasses.replace(options, profile=file)), list(done))
        _report(messages, source.name, on_message)
        before = len(done)
        for key, candidate, names, path in made:
            candidates.setdefault(key, {}).update(dict.fromkeys(names))
            done.setdefault((key, candidate), Kernel(key, candidate, path))
        left = {key: next((n for n in names if (key, n) not in done), None) for key, names in candidates.items()}
        if progress:
            progress.update(task, completed=len(done), total=sum(len(names) for names in candidates.values()))
        if len(done) == before or not any(left.values()):
            return list(done.values())
        forced = {key: {name: 1.0 if name == wanted else 2.0 for name in candidates[key]} for key, wanted in left.items()}


def _bind(kernel):
    """Load a kernel and bind its arrays; False where arguments of a typical size do not fit together."""
    model = Model.loaded(kernel.path, 1)
    inputs = model.get_inputs()
    dims = [(size, OPEN_SIZE) for info in inputs for size in info.shape if not isinstance(size, int)]
    try:
        kernel.call = model.bind(feeds.random(inputs, 0, dims))
        kernel.call()
    except Error:
        return False
    return True


def measure(kernels, progress=None):
    """Call all kernels in turns, in reversed order every second round; fills `samples`."""
    for kernel in kernels:
        kernel.repeats = max(1, int(SHORT / max(_time(kernel), 1e-9)))
    task = progress.add_task("measuring", total=MOST_ROUNDS) if progress else None
    start, done = time.perf_counter(), 0
    while kernels and (done < ROUNDS or (done < MOST_ROUNDS and time.perf_counter() - start < SECONDS)):
        for kernel in kernels if done % 2 == 0 else reversed(kernels):
            # What the layer before has just written.
            for array in kernel.call.inputs:
                array.reshape(-1).view("u1").max(initial=0)
            kernel.samples.append(_time(kernel))
        done += 1
        if progress:
            progress.update(task, completed=done)


def _time(kernel):
    now = evaluate.clock({"threads": 1})
    begin = now()
    for _ in range(kernel.repeats):
        kernel.call()
    return (now() - begin) * 1e-9 / kernel.repeats


@contextlib.contextmanager
def _one_core():
    before = os.sched_getaffinity(0)
    benchmarking.pin(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
