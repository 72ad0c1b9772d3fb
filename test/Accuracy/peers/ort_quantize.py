# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX Runtime's quantizer with its default settings:  ort_quantize.py MODEL FEEDS.npz OUT.onnx [dynamic|weight4[:BLOCK]]

Runs in an environment with sympy, which its shape inference needs. `dynamic` finds the scales of activations at run time;
`weight4` is its 4-bit weight-only quantizer, with a scale for 32 elements of a sum or for BLOCK.
"""
import os
import sys
import tempfile

from feeds import measured, read_feeds
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def weight4(model, out, block):
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(onnx.load(model), block_size=block, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(out, True)


def eight_bits(model, feeds, out, kind=""):
    prepared = out + ".prepared.onnx"
    try:
        quant_pre_process(model, prepared)
    except Exception as error:  # its symbolic shape inference fails on some graphs; ONNX's own is what it then offers
        print(f"without symbolic shapes: {str(error)[:120]}")
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
    if kind == "dynamic":
        quantize_dynamic(prepared, out)
    else:
        quantize_static(prepared, out, Reader(read_feeds(feeds)), quant_format=QuantFormat.QDQ)
    os.remove(prepared)


if __name__ == "__main__":
    paths, kind = [os.path.abspath(path) for path in sys.argv[1:4]], sys.argv[4:]
    # Its shape inference leaves files behind where it runs.
    with tempfile.TemporaryDirectory() as folder, measured():
        os.chdir(folder)
        name, _, block = "".join(kind).partition(":")
        if name == "weight4":
            weight4(paths[0], paths[2], int(block or 32))
        else:
            eight_bits(*paths, *kind)
        os.chdir(os.path.dirname(paths[2]))
