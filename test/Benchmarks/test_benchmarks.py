# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The benchmarks run and say what they measured; no time is judged."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
COMPILER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "bin", "tamis-compile")


def run(script, *arguments):
    return subprocess.run([sys.executable, os.path.join(HERE, script), *arguments], capture_output=True, text=True)


def test_a_kernel_has_a_time_and_its_share_of_the_limit():
    done = run("kernels.py", "--benchmark_filter=product/int8/128x384x1536", "--benchmark_format=json", "--benchmark_min_time=0.05s")
    kernel, = json.loads(done.stdout)["benchmarks"]
    assert kernel["name"].startswith("product/int8/128x384x1536") and kernel["iterations"] > 1
    assert 0 < kernel["limit"] and 0 < kernel["GMAC/s"] and kernel["real_time"] > 0


def test_every_kernel_has_a_name_of_its_own():
    names = run("kernels.py", "--benchmark_list_tests").stdout.split()
    assert len(names) > 20 and len(set(names)) == len(names)


def test_a_build_is_no_regression_of_itself(tmp_path):
    found = tmp_path / "ratios.json"
    done = run("regression.py", COMPILER, "--only", "rows/softmax", "--most", "1000", "--json", str(found))
    assert done.returncode == 0 and re.search(r"\| rows/softmax/1536x128 \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|  \|", done.stdout), done.stderr
    assert json.loads(found.read_text())["rows/softmax/1536x128"]["difference"] == 0


def test_a_slower_build_is_named_and_is_the_exit_status():
    done = run("regression.py", COMPILER, "--only", "rows/softmax", "--most", "0")
    assert done.returncode == 1 and "| slower |" in done.stdout


def test_a_compiler_that_fails_is_an_error_not_a_ratio(tmp_path):
    broken = tmp_path / "tamis-compile"
    broken.write_text("#!/bin/sh\necho 'error: no such thing' >&2\nexit 1\n")
    broken.chmod(0o755)
    done = run("regression.py", str(broken), "--only", "rows/softmax")
    assert done.returncode == 1 and done.stderr.strip().endswith("error: no such thing") and "Traceback" not in done.stderr
