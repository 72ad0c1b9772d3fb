# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the ONNX model that stands in a test's lines `PREFIX: text`, in ONNX's own syntax:  model.py TEST PREFIX OUT"""
import sys

import onnx.parser

HEADER = '< ir_version: 8, opset_import: ["": 18, "com.microsoft": 1, "own": 1] >\n'


def main(test, prefix, out):
    with open(test, encoding="utf8") as file:
        lines = [line.split(f"{prefix}: ", 1)[1] for line in file if line.startswith(f"{prefix}: ")]
    with open(out, "wb") as file:
        file.write(onnx.parser.parse_model(HEADER + "".join(lines)).SerializeToString())


main(*sys.argv[1:])
