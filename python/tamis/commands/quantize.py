# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis quantize`: a float model to an integer one, as ONNX."""
import click

from ..compression import api
from . import compression


@compression.command(
    "quantize", compression.common.MODEL_ARGUMENT, *compression.SHARED,
    click.option("--activations", type=click.Choice([*api.ACTIVATIONS, "float32"]), default="uint8", show_default=True,
                 help="Type of what layers read; float32 quantizes the weights alone."),
    click.option("--weights", type=click.Choice([*api.WEIGHTS, api.RECOVER]), metavar="TYPE", default="int8", show_default=True,
                 help=f"Type of weights: {api.WEIGHT_NAMES}; recover: what they were before they were stored as floats."),
    click.option("--fraction-bits", type=click.IntRange(-100, 100), metavar="P",
                 help="Weights of fixed2 to fixed16 are integers times 2^-P (default: what fits)."),
    click.option("--per-channel/--per-tensor", default=True, show_default=True, help="A scale per output channel, or one a weight."),
    click.option("--block-size", type=click.IntRange(1, 2**31 - 1), metavar="N", help="A scale for every N elements of a sum."),
    click.option("--symmetric-activations", is_flag=True, help="No zero point for activations."),
    click.option("--embeddings", type=click.Choice(api.EMBEDDINGS), default="int8", show_default=True,
                 help="Type of tables that Gather reads."),
    click.option("--attention", is_flag=True, help="Products of two activations too."),
    click.option("--calibration-method", type=click.Choice(api.METHODS), default="minmax", show_default=True,
                 help="How ranges follow from the samples."),
    click.option("--percentile", type=float, default=99.99, show_default=True, help="Share inside the range, for percentile."),
    click.option("--correction", "corrections", multiple=True, type=click.Choice([*sorted(set(api.CORRECTIONS.values())), "none"]),
                 help="Make up for rounding; may be repeated. Default: smooth and bias where activations are quantized."),
    click.option("--op-types-to-quantize", multiple=True, metavar="TYPE",
                 help="Only nodes of this type; may be repeated."),
    click.option("--format", type=click.Choice(api.FORMATS), default="qdq", show_default=True, help="Form of the result."))
def command(output, path, data, output_path, exclude, op_types_to_quantize, corrections, **options):
    """Quantize MODEL (.onnx) with the samples of --data and write it as ONNX, which ONNX Runtime runs too.

    \b
    Example:
      tamis quantize model.onnx --data calib.npz -o model.int8.onnx
      tamis quantize model.onnx --weights int4 --block-size 32 --activations float32 -o model.int4.onnx
      tamis quantize model.onnx --weights codebook4 -o model.codebook4.onnx
    """
    compression.run(output, api.quantize, path, data, output_path, ".int8.onnx" if options["weights"] == "int8" else
                    f".{options['weights']}.onnx", {**options, "nodes_to_exclude": exclude,
                                                    "corrections": [c for c in corrections if c != "none"] if corrections else None,
                                                    "op_types_to_quantize": op_types_to_quantize or None, "seed": output.seed})
