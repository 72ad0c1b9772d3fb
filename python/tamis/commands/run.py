# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis run`: one call of a compiled library or of a model."""
import time

import click
import numpy as np

from .. import feeds
from ..model import describe
from . import common


@common.command("run", common.MODEL_ARGUMENT, common.INPUT_OPTION,
                click.option("--output", "output_path", type=common.WRITTEN, metavar="FILE", help="Write the outputs as .npz."),
                *common.COMPILE_OPTIONS, common.CACHE_OPTION)
def command(output, path, input_path, output_path, cache, **arguments):
    """Run MODEL (.so, .onnx, .mlir) once and show or write its outputs.

    \b
    Example:
      tamis run model.so --input x.npz --output y.npz
    """
    options = common.make_options(arguments)
    model, _, _ = common.open_model(path, options, cache, output)
    feed = common.make_feed(model.get_inputs(), input_path, output.seed, options)
    start = time.perf_counter()
    results = model.run(None, feed)
    seconds = time.perf_counter() - start
    names = [info.name for info in model.get_outputs()]
    rows, data = [], []
    for name, value in zip(names, results):
        head = ", ".join(f"{v:.6g}" if v.dtype.kind in "fc" else str(v) for v in value.reshape(-1)[:5])
        rows.append((name, describe(value.dtype, value.shape), head + (", ..." if value.size > 5 else "")))
        finite = value.dtype.kind != "f" or bool(np.isfinite(value).all())
        data.append({"name": name, "dtype": str(value.dtype), "shape": list(value.shape), "finite": finite})
    output.table("output", "type", "values", rows=rows)
    if output_path:
        feeds.save(output_path, results, names)
    output.result({"model": path, "seconds": seconds, "outputs": data})
