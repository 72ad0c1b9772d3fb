# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis explain`: what the compiler decided for each layer, and why."""
import importlib.util

from . import common


@common.command("explain", common.MODEL_ARGUMENT, *common.COMPILE_OPTIONS, common.CACHE_OPTION)
def command(output, path, cache, **arguments):
    """Show per layer of MODEL (.so, .onnx, .mlir): instruction, tile and the storage of its weights, or the reason for none.

    Where weights could be stored without their zeros, also how much slower the cost model expects the other storage to be.

    For a device (--target vulkan): how many kernels run there, and which stay on the host, with the reason.

    Of an ONNX model also the zeros of each weight: their share, and the pattern they follow (N:M, RxC, channel).

    \b
    Example:
      tamis explain model.onnx --input-dim batch=1
    """
    options = common.make_options(arguments)
    model, source, _ = common.open_model(path, options, cache, output)
    if source:
        from .. import compiler

        if compiler.unbound_dims(source.signature, options) if source.signature else ():
            model.run(None, common.make_feed(model.get_inputs(), None, output.seed, options))
    report = model.report()
    layers = report.get("layers", [])
    if source and not source.is_mlir and importlib.util.find_spec("onnx"):
        from ..compression import storage, table

        zeros = table.sparsity(storage.load(path).model)
        for layer in layers:
            if layer.get("node") in zeros:
                pattern, share, _ = zeros[layer["node"]]
                layer.update(sparsity=round(share, 4), pattern=pattern)
    if layers:
        output.table("node", "types", "bounds", "instruction", "tile", "storage", "zeros", rows=[_row(layer) for layer in layers])
    if "device" in report:
        output.say(f"kernels on the device: {report['device']['kernels']}, on the host: {len(report['device']['host'])}")
        for kernel in report["device"]["host"]:
            output.say(f"  {kernel['kernel']}: {kernel['reason']}")
    for key, value in report.items():
        if key != "layers" and not isinstance(value, (dict, list)):
            output.say(f"{key}: {value}")
    output.result(report)


def _row(layer):
    zeros = f"{layer['sparsity']:.0%} {layer['pattern']}" if "sparsity" in layer else ""
    return [layer["node"], layer["types"], _sizes(layer["bounds"]), layer["instruction"], _sizes(layer.get("tile", ())),
            _storage(layer), zeros]


def _sizes(numbers):
    return "x".join(str(number) if number >= 0 else "?" for number in numbers)


def _storage(layer):
    """Storage of the weights and what the cost model says of the other one; of a layer without an instruction, the reason."""
    if "storage" not in layer:
        return layer.get("reason", "")
    text = layer["storage"]
    if "words" in layer:
        text += f", {layer['entries'] / layer['words']:.0%} of words"
    if "predicted" in layer:
        dense, stream = layer["predicted"]["dense"], layer["predicted"]["row_stream"]
        other, times = ("dense", dense / stream) if text.startswith("row stream") else ("row stream", stream / dense)
        text += f"; {other} {times:.1f}x slower (predicted)" if times >= 1 else f"; {other} {1 / times:.1f}x faster (predicted)"
    return text
