# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NNCF's post-training quantization of an ONNX model:  nncf_quantize.py MODEL FEEDS.npz OUT.onnx [transformer|weight4]

Default settings; `transformer` sets its model type; `weight4` is its 4-bit symmetric weight compression, groups of 32.
"""
import sys

import nncf
import onnx
from feeds import measured, read_feeds


def main(path, feeds, out, kind=""):
    model = onnx.load(path)
    data = nncf.Dataset(read_feeds(feeds))
    if kind == "weight4":
        made = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=32, ratio=1.0)
    else:
        options = {"model_type": nncf.ModelType.TRANSFORMER} if kind == "transformer" else {}
        made = nncf.quantize(model, data, subset_size=300, **options)
    onnx.save(made, out)


if __name__ == "__main__":
    with measured():
        main(*sys.argv[1:])
