# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis verify`: the compiled model against ONNX Runtime."""
import click

from .. import verification
from ..compare import Comparison
from ..errors import Error
from . import common


@common.command("verify", common.MODEL_ARGUMENT, common.INPUT_OPTION,
                click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Number of random inputs."),
                click.option("--per-node/--end-to-end", default=None, help="Compare each node alone; default: only if the model differs."),
                click.option("--compiled", metavar="FILE", help="Verify this library instead of compiling MODEL."),
                *common.COMPILE_OPTIONS, common.CACHE_OPTION)
def command(output, path, input_path, seeds, per_node, compiled, cache, **arguments):
    """Compare MODEL (.onnx) compiled by Tamis with ONNX Runtime, graph optimisation off.

    The allowed error is a share of each output's range: 1e-4 for float models, 1e-2 with half precision, 2e-2 for
    quantized models, never below four times what ONNX Runtime's optimised graph differs from its plain one.

    \b
    Example:
      tamis verify model.onnx --input x.npz
    """
    options = common.make_options(arguments)
    if common.is_library(path):
        raise Error("expected an ONNX model; give the library with --compiled", file=path)
    model, _, _ = common.open_model(compiled or path, options, cache, output)
    count = 1 if input_path else seeds
    feeds = [common.make_feed(model.get_inputs(), input_path, output.seed + i, options) for i in range(count)]
    results = verification.end_to_end(model, path, feeds, verification.numeric_class(path))
    output.table("output", ">error", ">allowed", "verdict",
                 rows=[(r.name, f"{r.error:.1e}", f"{r.allowed:.1e}", r.problem or "agrees") for r in results])
    agrees = all(r.agrees for r in results)
    nodes = []
    if per_node or (per_node is None and not agrees):
        with output.progress() as bar:
            nodes = list(verification.node_by_node(path, feeds[0], options, bar))
        bad = [entry for entry in nodes if not isinstance(entry[2], Comparison) or not entry[2].agrees]
        output.table("node", "operator", "problem", rows=[(name, op, getattr(r, "problem", "") or r) for name, op, r in bad])
        output.say(f"{len(nodes) - len(bad)} of {len(nodes)} nodes agree on their own")
        agrees = agrees and not (per_node and bad)
    output.say(f"{path}: {'agrees with' if agrees else 'differs from'} ONNX Runtime on {count} inputs")
    output.result({"model": path, "agrees": agrees, "inputs": count,
                   "outputs": [{"name": r.name, "error": r.error, "allowed": r.allowed, "problem": r.problem} for r in results],
                   "nodes": [{"node": n, "op": op, "problem": str(getattr(r, "problem", r))} for n, op, r in nodes]})
    return int(not agrees)
