# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests that need a Vulkan device, and those that pretend to have one."""
import functools
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tamis

from . import models


def pretend(folder, library, source):
    """Put a driver library of our own, compiled from test/Gpu/Inputs, into a folder; the folder."""
    compiler = shutil.which("clang-22") or shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    inputs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Gpu", "Inputs")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", os.path.join(folder, library), os.path.join(inputs, source)],
                   check=True)
    return str(folder)


@functools.cache
def missing():
    """Why there is no Vulkan device here; empty if there is one."""
    try:
        tamis.compile(models.add(), target="vulkan", cache="off", lazy=False)
    except tamis.Error as error:
        return str(error)
    return ""


def both(made, feed, **options):
    """Results of the device, after checking them beside the CPU's: integers equal, floats within 1e-3."""
    if missing():
        pytest.skip(missing())
    device = tamis.compile(made, target="vulkan", cache="off", **options)
    results = device.run(None, feed)
    compare(results, tamis.compile(made, target="x86-64", cache="off", **options).run(None, feed))
    return results


def compare(results, expected):
    assert len(results) == len(expected)
    for got, want in zip(results, expected):
        assert got.dtype == want.dtype and got.shape == want.shape
        if got.dtype.kind in "iub":
            np.testing.assert_array_equal(got, want)
        else:
            scale = np.abs(want[np.isfinite(want)]).max(initial=1e-30)
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3 * scale)


PROGRAM = """import sys, numpy, tamis
try:
    model = tamis.load(sys.argv[1])
    print('loaded')
    model.run(None, {i.name: numpy.zeros(i.shape, numpy.float32) for i in model.get_inputs()})
    print('done')
except tamis.Error as error:
    print(error)
"""


def elsewhere(path, **environment):
    """What another process prints that loads and runs the library at `path` with these variables set."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], env={**os.environ, **environment}, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
