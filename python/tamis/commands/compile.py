# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis compile`: a model file to a shared library, an object with its header, or an intermediate form."""
import os
import time

import click

from .. import compiler, files, options as option_list
from ..source import Source
from . import common


@common.command("compile", common.MODEL_ARGUMENT, *common.COMPILE_OPTIONS, common.TUNE_OPTION,
                click.option("-o", "--output", "target_path", metavar="FILE", help="Default: the model's name with the suffix of --emit."),
                click.option("--emit", type=click.Choice(list(option_list.EMIT)), default=None,
                             help="What to write; default: by the suffix of -o, else so."),
                click.option("--dump-stages", metavar="DIR", help="Write the module after each stage into this folder."))
def command(output, path, target_path, emit, dump_stages, tune_path, **arguments):
    """Compile MODEL (.onnx, .mlir) to native code.

    \b
    Example:
      tamis compile model.onnx -o model.so --input-dim batch=1 --input-dim seq=1:512
    """
    emit = emit or next((kind for kind, suffix in option_list.EMIT.items() if (target_path or "").endswith(suffix)), "so")
    options = common.make_options(arguments, emit=emit, dump_stages=dump_stages)
    target_path = target_path or os.path.splitext(path)[0] + option_list.EMIT[emit]
    source = Source(path)
    output.writes(target_path, *([compiler.header(target_path)] if emit in ("so", "obj") else ()))
    if dump_stages:
        with files.writing("the stages", dump_stages):
            os.makedirs(dump_stages, exist_ok=True)
    options = common.tune(source, options, tune_path, output)
    start = time.perf_counter()
    with output.progress() as bar:
        bar.add_task(f"compiling {os.path.basename(path)}", total=None)
        compiler.compile_to(source, target_path, options, output.message)
    seconds, size = time.perf_counter() - start, None
    if target_path != "-":
        size = os.path.getsize(target_path)
        output.say(f"{target_path}: {size / 1e6:.2f} MB in {seconds:.2f} s")
    output.result({"model": path, "output": target_path, "emit": emit, "bytes": size, "seconds": seconds})
