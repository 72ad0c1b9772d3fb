# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis explain`: what the compiler decided for each layer, and why."""
import importlib.util

from . import common


@common.command("explain", common.MODEL_ARGUMENT, *common.COMPILE_OPTIONS, common.CACHE_OPTION)
def command(output, path, cache, **arguments):
    """Show per layer of MODEL (.so, .onnx, .mlir): storage, instruction, work and the reason.

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
    columns = list(dict.fromkeys(key for layer in layers for key in layer))
    if layers:
        output.table(*columns, rows=[[layer.get(key, "") for key in columns] for layer in layers])
    for key, value in report.items():
        if key != "layers" and not isinstance(value, (dict, list)):
            output.say(f"{key}: {value}")
    output.result(report)
