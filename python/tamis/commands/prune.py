# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis prune`: a model with fewer weights, as ONNX."""
import click

from ..compression import api
from . import compression


@compression.command(
    "prune", compression.common.MODEL_ARGUMENT, *compression.SHARED,
    click.option("--sparsity", type=float, metavar="SHARE", help="Share of the weights to drop (default: 0.5, or what the pattern fixes)."),
    click.option("--threshold", type=float, metavar="X", help="Drop what scores no more than this instead."),
    click.option("--pattern", default="unstructured", show_default=True,
                 help="unstructured, N:M (2:4), RxC (1x4, 32x64), channel, head, neuron or auto."),
    click.option("--criterion", default="magnitude", show_default=True,
                 help="magnitude, random, l1, l2, activation, gradient, wanda, sparsegpt."),
    click.option("--scope", type=click.Choice(["local", "global", "time"]), default="local", show_default=True,
                 help="Each layer its share, all weights in one order, or zeros where they save most time."),
    click.option("--gradients", type=compression.common.READ, metavar="FILE",
                 help="Gradients by initializer (.npz), for criterion gradient."),
    click.option("--labels", type=compression.common.READ, metavar="FILE",
                 help="One label a sample, as .npy, for criterion gradient without --gradients."),
    click.option("--protect/--no-protect", default=True, show_default=True, help="Leave the first, the last and small layers alone."),
    click.option("--dead-channels", is_flag=True, help="Only remove channels that do not depend on the input."),
    click.option("--order-channels", is_flag=True, help="Exchange channels so that more words of 8-bit weights are zero."),
    click.option("--format", type=click.Choice(api.ZEROS), default="zeros", show_default=True, help="How zeros are stored."))
def command(output, path, data, output_path, exclude, **options):
    """Set the least important weights of MODEL (.onnx) to zero, or remove whole channels, and write it as ONNX.

    \b
    Example:
      tamis prune model.onnx --sparsity 0.9 -o model.pruned.onnx
      tamis prune model.onnx --pattern 2:4 --criterion wanda --data calib.npz -o model.pruned.onnx
      tamis prune model.onnx --pattern channel --sparsity 0.3 -o model.pruned.onnx
    """
    compression.run(output, api.prune, path, data, output_path, ".pruned.onnx",
                    {**options, "nodes_to_exclude": exclude, "seed": output.seed})
