# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis explain`: what the compiler decided for each layer, and why."""
import importlib.util
import os

from .. import compiler, model
from ..errors import Error
from ..source import Source
from . import common


@common.command("explain", common.MODEL_ARGUMENT, *common.COMPILE_OPTIONS, common.TUNE_OPTION, common.CACHE_OPTION)
def command(output, path, cache, tune_path, **arguments):
    """Show per layer of MODEL (.so, .onnx, .mlir) how it could be computed, in microseconds, and why it is as marked (*).

    A candidate is a storage of the weights and a tile: dense panels, a row stream of the words, a bitmask of the units or a
    list of the blocks (so many percent) that are not zero, windows that have slots for so many percent of all weights, N of
    every M weights, codes of a table, or panels bounded for so many steps in a sum of 16 bits and so many percent more beside
    them. Predicted times are the cost model's, measured ones the profile's, which decide where there are all of them.

    For a device (--target vulkan, nvptx:sm_80): how many kernels run there, and which stay on the host, with the reason.
    Neither it nor the processor of the target has to be here.

    Of an ONNX model also the zeros of each weight: their share, and the pattern they follow (N:M, RxC, channel).

    \b
    Example:
      tamis explain model.onnx --input-dim batch=1 --tune profile.json
    """
    options = common.make_options(arguments)
    if tune_path and common.is_library(path):
        raise Error("only a model can be tuned, not a library", file=path)
    source = None if common.is_library(path) else Source(path)
    report = _report(source, options, cache, tune_path, output) if source else model.read_report(path)
    layers = report.get("layers", [])
    if source and not source.is_mlir and importlib.util.find_spec("onnx"):
        from ..compression import storage, table

        zeros = table.sparsity(storage.load(path).model)
        for layer in layers:
            if layer.get("node") in zeros:
                pattern, share, _ = zeros[layer["node"]]
                layer.update(sparsity=round(share, 4), pattern=pattern)
    if layers:
        output.table("layer", "  candidate", ">predicted", ">measured", "reason", rows=[row for layer in layers for row in _rows(layer)])
    if "device" in report:
        output.say(f"kernels on the device: {report['device']['kernels']}, on the host: {len(report['device']['host'])}")
        if "code" in report["device"]:
            output.say(f"their code: {report['device']['code']}")
        if report["device"]["others"]:
            output.table("kernel", "mapping", ">calls", ">predicted", rows=[
                (k["kernel"], k["mapping"], str(k["calls"]), _time(k["predicted"])) for k in report["device"]["others"]])
        for pair in report["device"]["attention"]:
            output.say(f"  attention, {pair['layer']}: " + (
                pair["reason"] if "reason" in pair else f"one kernel, {pair['rows']} rows of at most {pair['length']} scores at once"))
        for kernel in report["device"]["host"]:
            output.say(f"  {kernel['kernel']}: {kernel['reason']}")
    for key, value in report.items():
        if key != "layers" and not isinstance(value, (dict, list)):
            output.say(f"{key}: {value}")
    output.result(report)


def _report(source, options, cache, tune_path, output):
    """The report of a compilation; dimensions that are open are bound to those of random inputs."""
    options = common.tune(source, options, tune_path, output)
    if source.signature and compiler.unbound_dims(source.signature, options):
        feed = common.make_feed(source.signature.inputs, None, output.seed, options)
        options = compiler.bind_dims(source.signature, options, feed)
    library, temporary = compiler.compile_cached(source, options, cache, output.message)
    try:
        return model.read_report(library)
    finally:
        if temporary:
            os.remove(library)


def _rows(layer):
    """Rows of the table: on the left what the layer is, on the right its candidates, the chosen one marked."""
    left = [layer["node"], layer["types"], f"{_sizes(layer['bounds'])} {layer['instruction']}"]
    if layer.get("sparsity"):
        left.append(f"{layer['sparsity']:.0%} zeros, {layer['pattern']}")
    candidates = sorted(layer.get("candidates", {}).items(), key=lambda item: item[1]["predicted"])
    right = [("* " if name == layer["chosen"] else "  ") + name for name, _ in candidates]
    numbers = [(_time(times["predicted"]), _time(times["measured"]) if "measured" in times else "") for _, times in candidates]
    reasons = [layer.get("reason") or layer.get("why", "")]
    for lines, empty in ((left, ""), (right, ""), (numbers, ("", "")), (reasons, "")):
        lines.extend([empty] * (max(len(left), len(right)) - len(lines)))
    return [[one, other, *times, reason] for one, other, times, reason in zip(left, right, numbers, reasons)]


def _sizes(numbers):
    return "x".join(str(number) if number >= 0 else "?" for number in numbers)


def _time(microseconds):
    return f"{microseconds:.1f}" if microseconds < 1e3 else f"{microseconds:.0f}"
