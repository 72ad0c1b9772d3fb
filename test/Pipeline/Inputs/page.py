# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the table of a page with what `tamis-opt --help` says about the stages:  page.py Pipeline.md MODULE.mlir"""
import re
import subprocess
import sys

text = open(sys.argv[1], encoding="utf8").read()
page = re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.M)
printed = subprocess.run(["tamis-opt", "--help"], capture_output=True, text=True, check=True).stdout
table = dict(re.findall(r"--tamis-stage-(\w+)\s+-\s+(.+)", printed))
for name, promise in page:
    assert table.get(name) == promise, f"{name}: the page says '{promise}', the table '{table.get(name)}'"
assert set(table) == {name for name, _ in page}, f"stages {sorted(table)}"

# The order, from what the compiler says about each pair the wrong way round.
for (first, _), (second, _) in zip(page, page[1:]):
    done = subprocess.run(["tamis-compile", sys.argv[2], "--from", second, "--to", first], capture_output=True, text=True)
    assert f"stage '{first}' does not come after '{second}'" in done.stderr, done.stderr
