# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs lit and ends with `N passed, N failed`:  run_lit.py BUILD_TEST_FOLDER [lit options]

Tests this machine cannot run (a missing CPU feature) are named and counted apart; an expected failure that passes and
a test that does not resolve are failures.
"""
import collections
import json
import os
import subprocess
import sys
import tempfile


def main(arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "lit.json")
        lit = os.path.join(os.path.dirname(sys.executable), "lit")
        done = subprocess.run([lit, "-sv", "--output", path, *arguments])
        if not os.path.exists(path):
            return done.returncode or 1
        with open(path, encoding="utf8") as file:
            results = json.load(file)["tests"]
    codes = collections.Counter(result["code"] for result in results)
    for result in results:
        if result["code"] == "UNSUPPORTED":
            print(f"not run here: {result['name']}")
    passed = codes["PASS"] + codes["XFAIL"] + codes["FLAKYPASS"]
    skipped = codes["UNSUPPORTED"] + codes["EXCLUDED"] + codes["SKIPPED"]
    print(f"{skipped} not run")
    print(f"{passed} passed, {len(results) - passed - skipped} failed")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
