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
                click.option("--reference", type=common.READ, metavar="FILE",
                             help="The float model MODEL was made from: compares each node with it too."),
                click.option("--min-snr", type=float, metavar="DB", 
                             help="With --reference: fail where a node's SNR is lower (10 dB is named anyway)."),
                click.option("--compiled", type=common.READ, metavar="FILE", help="Verify this library instead of compiling MODEL."),
                *common.COMPILE_OPTIONS, common.CACHE_OPTION)
def command(output, path, input_path, seeds, per_node, reference, min_snr, compiled, cache, **arguments):
    """Compare MODEL (.onnx) compiled by Tamis with ONNX Runtime, graph optimisation off.

    The allowed error is a share of each output's range: 1e-4 for float models, 1e-2 with half precision, 2e-2 for
    quantized models, never below four times what ONNX Runtime's optimised graph differs from its plain one.

    With --reference each node of the compiled model is compared with the unfused quantized graph (what compiling
    changed) and with the float graph (what compressing cost); the first node that departs is named.

    \b
    Example:
      tamis verify model.onnx --input x.npz
      tamis verify model.int8.onnx --reference model.onnx
    """
    options = common.make_options(arguments)
    if common.is_library(path):
        raise Error("expected an ONNX model; give the library with --compiled", file=path)
    if reference and compiled:
        raise Error("inner tensors can only be seen where MODEL is compiled here: --reference and --compiled exclude each other")
    if min_snr is not None and not reference:
        raise Error("--min-snr needs --reference")
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
    found = []
    if reference:
        found, good = _departures(output, path, reference, feeds, options, min_snr)
        agrees = agrees and good
    output.say(f"{path}: {'agrees with' if agrees else 'differs from'} ONNX Runtime on {count} inputs")
    output.result({"model": path, "agrees": agrees, "inputs": count,
                   "outputs": [{"name": r.name, "error": r.error, "allowed": r.allowed, "problem": r.problem} for r in results],
                   "nodes": [{"node": n, "op": op, "problem": str(getattr(r, "problem", r))} for n, op, r in nodes],
                   "against_reference": [row.plain() for row in found]})
    return int(not agrees)


def _departures(output, path, reference, feeds, options, min_snr):
    """Show each node beside the unfused and the float graph; (rows, whether all is well)."""
    from .. import departures
    from ..compression.plots import number

    rows = departures.find(path, reference, feeds, options)
    output.table("node", "operator", ">steps", ">differ", ">SNR dB", ">cosine", ">float SNR dB", ">float cosine", rows=[
        (r.name, r.op, *(("", "") if r.steps is None else (r.steps, f"{r.share:.2%}")), number(r.snr), number(r.cosine, 6),
         number(r.float_snr), number(r.float_cosine, 6)) for r in rows])
    if not any(r.float_snr == r.float_snr for r in rows):
        raise Error("no tensor of the model has the name and shape of one of this model: was it made from it?", file=reference)
    own, passed = departures.first_from_unfused(path, rows, feeds[0], options)
    if own:
        output.say(f"from the unfused quantized graph, node '{own.name}' ({own.op}) departs first: {own.problem}")
    elif passed:
        output.say(f"from the unfused quantized graph, node '{passed[0].name}' differs first; on equal inputs every node agrees")
    else:
        output.say("no node departs from the unfused quantized graph")
    least = departures.LEAST_SNR if min_snr is None else min_snr
    low = departures.first_from_float(rows, least)
    if low:
        output.say(f"from the float graph, node '{low.name}' ({low.op}) departs first: {low.float_snr:.1f} dB, expected {least:g}")
    else:
        output.say(f"no node is below {least:g} dB against the float graph")
    return rows, own is None and (low is None or min_snr is None)
