# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `tamis quantize` and `tamis prune` share: options, recipes from earlier runs, the table, writing the model."""
import contextlib
import os
import time

import click

from ..errors import Error
from . import common

SHARED = (
    click.option("--data", type=common.READ, metavar="PATH", help="Samples: .npz, .npy or a folder of them."),
    click.option("-o", "--output", "output_path", metavar="FILE", help="The compressed model (default: beside MODEL)."),
    click.option("--exclude", multiple=True, metavar="NAME", help="A node to leave as it is; may be repeated."),
    click.option("--ignored-scope", multiple=True, metavar="REGEX",
                 help="Nodes or tensors to leave, by regular expression; may be repeated."),
    click.option("--subset-size", type=click.IntRange(1, 2**63 - 1), default=300, show_default=True, help="Most samples to use."),
    click.option("--calibration-cache", type=common.WRITTEN, metavar="FILE", help="Keep measurements here, and use them again."),
    click.option("--target", default="native", show_default=True, metavar="TARGET", help="Processor the result is meant for."),
    click.option("--input-dim", "input_dims", multiple=True, metavar="NAME=SIZE", help="Bind an open dimension while measuring."),
)


def run(output, function, path, data, output_path, suffix, options):
    """Compress `path` into `output_path`, print the table and the sizes."""
    from ..compression import flow, storage, table

    output_path = output_path or os.path.splitext(path)[0] + suffix
    output.writes(output_path, storage.data_path(output_path))
    if not output_path.endswith(".onnx"):
        raise Error("expected an output that ends with .onnx", file=output_path)
    options["input_dims"] = options.pop("input_dims") or None
    told = {}
    start = time.perf_counter()
    loaded = storage.load(path)
    with _progress(output, os.path.basename(path)) as progress:
        model = function(loaded, data, report=told.update, progress=progress, **options)
    storage.save(model, output_path, loaded.external)
    seconds = time.perf_counter() - start
    for line in table.lines(told["layers"]):
        output.say(line)
    for entry in told["notes"]:
        if output.level > 0:
            output.say(": ".join(str(entry[k]) for k in ("pass", "layer", "tensor", "decision", "reason") if entry.get(k)))
    changed = sum(row["decision"] != "left as it is" for row in told["layers"])
    output.say(f"{output_path}: {changed} of {len(told['layers'])} layers, weights {told['bytes_before'] / 1e6:.2f} -> "
               f"{told['bytes_after'] / 1e6:.2f} MB in {seconds:.1f} s")
    output.result(flow.plain({"model": path, "output": output_path, "seconds": seconds, **told}))


@contextlib.contextmanager
def _progress(output, name):
    with output.progress() as bar:
        task = bar.add_task(f"measuring {name}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


command = common.command
