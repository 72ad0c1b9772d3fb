# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tamis.prune and tamis.quantize as a script of its own:  tamis_compress.py MODEL FEEDS.npz OUT.onnx STEPS"""
import os
import sys

from feeds import measured, read_feeds

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(path, feeds, out, text):
    import onnx
    import tamis
    from methods import steps

    model = path
    for verb, options in steps(text):
        model = getattr(tamis, verb)(model, read_feeds(feeds), **options)
    large = model.ByteSize() > 2**31 - 2**20
    onnx.save(model, out, save_as_external_data=large, location=os.path.basename(out) + ".data" if large else None)


if __name__ == "__main__":
    with measured():
        main(*sys.argv[1:])
