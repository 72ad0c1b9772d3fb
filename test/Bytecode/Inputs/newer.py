# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Copies a bytecode file as version 3 of the dialect would have written it:  newer.py FROM TO"""
import sys

data = open(sys.argv[1], "rb").read()
VERSION = bytes([7, 3, 5])  # section "dialect version", its length 1 and the number 2, both as variable-length integers
at = data.index(VERSION)
assert at < 64, "no version of a dialect in the head of the file"
open(sys.argv[2], "wb").write(data[:at + 2] + bytes([7]) + data[at + 3:])
