# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis check`: names the nodes of a quantized model that run in float."""
import collections

from .. import lint
from ..source import Source
from . import common


@common.command("check", common.MODEL_ARGUMENT, *common.COMPILE_OPTIONS)
def command(output, path, **arguments):
    """Name every node of MODEL (.onnx) that would run in float, and why.

    With --require-integer the exit status is 1 if a convolution, matrix product or recurrence is among them.

    \b
    Example:
      tamis check model.int8.onnx --require-integer
    """
    options = common.make_options(arguments)
    source = Source(path)
    source.signature  # a clear error for what is no ONNX file
    findings, counts = lint.check(source, options)
    heavy = [finding for finding in findings if finding.heavy]
    for finding in findings:
        if finding.heavy or output.level > 0:
            output.say(str(finding))
    light = collections.Counter(finding.op for finding in findings if not finding.heavy)
    if light and output.level == 0:
        output.say("float element-wise and other nodes (-v names them): " + ", ".join(f"{op} {n}" for op, n in light.most_common()))
    failed = options.require_integer and bool(heavy)
    output.say(f"{counts['integer']} nodes in integer, {counts['float']} in float, of these {len(heavy)} convolutions, matrix "
               f"products or recurrences" + (": integer arithmetic is required" if failed else ""))
    output.result({"model": path, **counts, "passed": not failed,
                   "nodes": [{"node": f.node, "op": f.op, "reason": f.reason, "contraction": f.heavy} for f in findings]})
    return int(failed)
