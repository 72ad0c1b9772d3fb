# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the command in a process of its own and checks how it refuses bad input."""
import os
import subprocess
import sys
import time

import onnx

SECONDS = 20  # a refusal takes under a second; the rest is the start of Python on a busy machine


def tamis(*arguments, cwd=None):
    """The finished `tamis` command and its time in `seconds`."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tamis", *map(str, arguments)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=cwd)
    out, err = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    done.seconds = time.monotonic() - start
    return done


def refused(model, tmp_path, *words, options=(), name="model.onnx"):
    """Compile a model that has to be refused: an `error:` with these words, no crash, no file left behind."""
    path = tmp_path / name
    if isinstance(model, bytes):
        path.write_bytes(model)
    elif model is not None:
        onnx.save(model, path)
    before = set(os.listdir(tmp_path))
    done = tamis("compile", path, "-o", tmp_path / "out.so", *options)
    _check_refusal(done, words)
    left = set(os.listdir(tmp_path)) - before
    assert not left, f"left behind: {left}"
    assert done.seconds < SECONDS
    return done.stderr


def _check_refusal(done, words):
    assert done.returncode >= 0, f"crashed with signal {-done.returncode}: {done.stderr[-2000:]}"
    assert done.returncode == 1, f"status {done.returncode}: {done.stdout}{done.stderr}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors, f"no error line: {done.stderr}"
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, f"'{word}' is not in: {done.stderr}"


def run_refused(tmp_path, model, arrays, *words, options=()):
    """Run a model on arrays that it has to refuse."""
    import numpy as np

    onnx.save(model, tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", **arrays)
    done = tamis("run", tmp_path / "model.onnx", "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz", *options)
    _check_refusal(done, words)
    assert not (tmp_path / "y.npz").exists()
    return done.stderr
