# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints the only code block of a language in a page:  block.py LANGUAGE PAGE.md"""
import re
import sys

blocks = re.findall(rf"^```{sys.argv[1]}\n(.*?)^```$", open(sys.argv[2], encoding="utf8").read(), re.M | re.S)
assert len(blocks) == 1, f"{len(blocks)} blocks of {sys.argv[1]}"
print(blocks[0], end="")
