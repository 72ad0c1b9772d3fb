# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures engines against each other on one model, fairly.

The contestants take turns, in reversed order every second round, each after an untimed call; eight seeded inputs go
round; the machine's own limit loop runs in between; the median decides and the minimum is shown; the outputs of the
timed calls are checked afterwards. Nothing is cached between calls, and every call's arrays are bound before.
"""
import dataclasses
import os
import statistics
import time

from . import _tamis, reference, verification
from .errors import Error

INPUTS = 8
ROUNDS, SLOW_ROUNDS, SLOW = 30, 5, 0.2  # at least so many rounds; fewer where a call takes longer than SLOW seconds
SETTLE = 1.0  # seconds of rounds that small models get beyond the least number


class TamisEngine:
    """A model compiled by Tamis, its arrays bound."""

    name = "tamis"

    def __init__(self, model, feeds, **_):
        self.version = _tamis.version
        self.clock = model.device_seconds
        self.bound = [model.bind(feed) for feed in feeds]
        self.names = [info.name for info in model.get_outputs()]

    def call(self, index):
        self.bound[index]()

    def outputs(self, index):
        return dict(zip(self.names, self.bound[index].outputs))


class UnboundTamisEngine:
    """A model with outputs whose shape only the data decides: `run` is the only way to call it."""

    name = "tamis"

    def __init__(self, model, feeds, **_):
        self.version = _tamis.version
        self.model, self.feeds, self.results, self.clock = model, feeds, {}, model.device_seconds
        self.names = [info.name for info in model.get_outputs()]

    def call(self, index):
        self.results[index] = self.model.run(None, self.feeds[index])

    def outputs(self, index):
        return dict(zip(self.names, self.results[index]))


class OnnxRuntimeEngine:
    """ONNX Runtime: all optimisations, fixed threads, IO binding."""

    name, provider = "onnxruntime", "CPUExecutionProvider"

    def __init__(self, path, feeds, threads, **_):
        ort = reference.require("onnxruntime")
        self.version = ort.__version__
        if self.provider not in ort.get_available_providers():
            raise Error(f"this onnxruntime has no {self.provider}: pip install onnxruntime-gpu")
        self.session = reference.session(path, optimised=True, threads=threads, provider=self.provider)
        self.names = [o.name for o in self.session.get_outputs()]
        self.bindings = []
        for feed in feeds:
            binding = self.session.io_binding()
            for name, array in feed.items():
                binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
            for name, value in zip(self.names, self.session.run(None, feed)):
                # Results of a fixed size go to memory bound once.
                binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(value))
            self.bindings.append(binding)
        try:
            self.unbound = False
            self.session.run_with_iobinding(self.bindings[0])
        except Exception:  # a shape that contradicts the model's: it takes no memory of ours, nor its own a second time
            self.unbound = True

    def call(self, index):
        binding = self.bindings[index]
        if self.unbound:
            binding.clear_binding_outputs()
            for name in self.names:
                binding.bind_output(name)
        self.session.run_with_iobinding(binding)

    def outputs(self, index):
        return dict(zip(self.names, self.bindings[index].copy_outputs_to_cpu()))


class OpenVinoEngine:
    """OpenVINO: latency hint, one stream, fixed threads, static shapes, tensors set before the call."""

    name = "openvino"

    def __init__(self, path, feeds, threads, kind, **_):
        ov = reference.require("openvino")
        self.version = ov.__version__.split("-")[0]
        core = ov.Core()
        config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads)}
        if kind == "float":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            model = core.read_model(path)
            shapes = {}
            for port in model.inputs:
                name = next((n for n in feeds[0] if n in port.get_names()), None)
                if name is not None:
                    shapes[port] = list(feeds[0][name].shape)
            model.reshape(shapes)
            compiled = core.compile_model(model, "CPU", config)
            self.requests, self.ports = [], compiled.outputs
            for feed in feeds:
                request = compiled.create_infer_request()
                for port in compiled.inputs:
                    name = next((n for n in feed if n in port.get_names()), None)
                    if name is not None:
                        request.set_tensor(port, ov.Tensor(feed[name], shared_memory=True))
                request.infer()
                self.requests.append(request)
        except RuntimeError as error:
            raise Error(f"openvino refuses the model: {str(error).strip().splitlines()[-1]}", file=path) from None

    def call(self, index):
        self.requests[index].infer()

    def outputs(self, index):
        return {name: self.requests[index].get_tensor(port).data.copy() for port in self.ports for name in port.get_names()}


class OnnxRuntimeCudaEngine(OnnxRuntimeEngine):
    """The same on an NVIDIA device; inputs and outputs are on the host, as for a model compiled by Tamis."""

    name, provider = "onnxruntime-cuda", "CUDAExecutionProvider"


class PyTorchEngine:
    """PyTorch on an NVIDIA device, the model read by onnx2torch; inputs come from the host, outputs go back."""

    name = "pytorch"

    def __init__(self, path, feeds, **_):
        torch = reference.require("torch")
        self.version = torch.__version__
        if not torch.cuda.is_available():
            raise Error("this torch finds no CUDA device")
        self.model = reference.require("onnx2torch").convert(path).eval().cuda()
        names = reference.session(path)
        order, self.names = [i.name for i in names.get_inputs()], [o.name for o in names.get_outputs()]
        self.torch, self.feeds, self.results = torch, [[torch.from_numpy(feed[name]) for name in order] for feed in feeds], {}

    def call(self, index):
        with self.torch.inference_mode():
            results = self.model(*(tensor.cuda() for tensor in self.feeds[index]))
            self.results[index] = [r.cpu() for r in (results if isinstance(results, (tuple, list)) else (results,))]

    def outputs(self, index):
        return {name: result.numpy() for name, result in zip(self.names, self.results[index])}


PEERS = {"onnxruntime": OnnxRuntimeEngine, "openvino": OpenVinoEngine, "onnxruntime-cuda": OnnxRuntimeCudaEngine,
         "pytorch": PyTorchEngine}


@dataclasses.dataclass
class Row:
    """What one engine did."""

    name: str
    version: str = ""
    seconds: list = dataclasses.field(default_factory=list)
    device_seconds: list = dataclasses.field(default_factory=list)  # of the same calls, by a device's own clock
    problem: str = ""       # it could not run
    difference: str = ""    # it ran, with other results than the reference

    @property
    def median(self):
        return statistics.median(self.seconds) if self.seconds else float("nan")

    @property
    def minimum(self):
        return min(self.seconds, default=float("nan"))

    @property
    def device_median(self):
        return statistics.median(self.device_seconds) if self.device_seconds else None

    def plain(self):
        """For `--json`."""
        return {"engine": self.name, "version": self.version, "median_s": self.median if self.seconds else None,
                "device_median_s": self.device_median,
                "min_s": self.minimum if self.seconds else None, "rounds": len(self.seconds),
                "problem": self.problem, "difference": self.difference}


def limit_loop(kind):
    """The name of the machine's loop that bounds models of `kind`, the fastest it has for their products ("memory": that reads)."""
    names = _tamis.limit_loops()
    wanted = {"quantized": ("amx", "vnni", "maddubs"), "memory": ("read",)}.get(kind, ("fma",))
    return next((name for start in wanted for name in names if name.startswith(start)), names[0])


def pin(threads):
    """Keep this process on `threads` cores, the last ones it may use; returns them."""
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    if len(cores) < threads:
        raise Error(f"{threads} threads asked for, {len(cores)} cores to run on")
    os.sched_setaffinity(0, cores)
    return cores


def make_engine(name, model, path, feeds, threads, kind):
    """(engine, Row); the engine is None and the row says why if it cannot run the model."""
    try:
        if name == "tamis":
            try:
                engine = TamisEngine(model, feeds)
            except Error as error:
                if "depends on the data" not in error.text:
                    raise
                engine = UnboundTamisEngine(model, feeds)
        else:
            engine = PEERS[name](path, feeds, threads=threads, kind=kind)
        engine.call(0)
    except Error as error:
        return None, Row(name, problem=str(error))
    return engine, Row(name, engine.version)


def measure(engines, limit, rounds=None, progress=None):
    """Time the engines in turns; fills their rows and returns what `limit()` says of the machine, one number per round."""
    slowest = 0.0
    for engine, _ in engines:
        if hasattr(engine, "clock"):
            engine.clock()  # starts it
        start = time.perf_counter()
        engine.call(1 % INPUTS)
        slowest = max(slowest, time.perf_counter() - start)
    least = rounds or (SLOW_ROUNDS if slowest > SLOW else ROUNDS)
    limits, start, done = [], time.perf_counter(), 0
    task = progress.add_task("rounds", total=least) if progress else None
    while done < least or (rounds is None and time.perf_counter() - start < SETTLE and done < 20 * ROUNDS):
        limits.append(limit())
        index = done % INPUTS
        for engine, row in engines if done % 2 == 0 else reversed(engines):
            engine.call((index + 1) % INPUTS)
            begin = time.perf_counter_ns()
            engine.call(index)
            row.seconds.append((time.perf_counter_ns() - begin) * 1e-9)
            seconds = engine.clock() if hasattr(engine, "clock") else None
            if seconds is not None:
                row.device_seconds.append(seconds)
        done += 1
        if progress:
            progress.update(task, completed=done, total=max(least, done))
    return limits


def check_outputs(engines, path, feeds, kind, classifier=False):
    """Compare what the timed calls left behind with ONNX Runtime's plain graph; fills `difference`."""
    names = [output.name for output in reference.session(path).get_outputs()]
    for engine, row in engines:
        count = min(len(feeds), len(row.seconds))
        results = [[engine.outputs(index).get(name) for name in names] for index in range(count)]
        wrong = [result for result in verification.judge(path, feeds[:count], results, kind, classifier) if not result.agrees]
        row.difference = str(wrong[0]) if wrong else ""


def ratio(rows, peer):
    """Time of `peer` over the time of tamis; None where either did not run."""
    by_name = {row.name: row for row in rows}
    mine, theirs = by_name.get("tamis"), by_name.get(peer)
    if not mine or not theirs or not mine.seconds or not theirs.seconds:
        return None
    return theirs.median / mine.median
