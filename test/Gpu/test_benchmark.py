# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis benchmark` for devices: on software Vulkan, on a pretended NVIDIA device, and where there is none."""
import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import tamis
from support import models, vulkan


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "add.onnx"
    path.write_bytes(models.add().SerializeToString())
    return path


@pytest.fixture
def driver(tmp_path):
    return vulkan.pretend(tmp_path, "libcuda.so.1", "fake_cuda.c")


def benchmark(model, target, *arguments, **environment):
    """(status, what it prints, its JSON or None)."""
    result = model.parent / "times.json"
    done = subprocess.run([sys.executable, "-m", "tamis", "benchmark", str(model), "--target", target, "--rounds", "8", "--json", str(result),
                           "--cache", str(model.parent / "cache"), *arguments], env={**os.environ, **environment}, text=True,
                          capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr, json.loads(result.read_text()) if result.exists() else None


def test_vulkan(model):
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    status, text, times = benchmark(model, "vulkan")
    assert status == 0 and "device ms" in text
    mine, peer = times["rows"]
    assert (mine["engine"], peer["engine"]) == ("tamis", "onnxruntime") and mine["rounds"] == 8
    assert not mine["problem"] and not mine["difference"]
    assert 0 < mine["device_median_s"] < mine["median_s"] and peer["device_median_s"] is None
    assert times["limit_loop"] == "device copy (bytes)" and times["limit_median"] > 1e8


def test_vulkan_clock():
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    compiled, feed = tamis.compile(models.add(), target="vulkan", cache="off"), {n: np.ones((2, 3), np.float32) for n in "ab"}
    want = compiled.run(None, feed)
    assert compiled.device_seconds() is None  # asked for the first time
    np.testing.assert_array_equal(compiled.run(None, feed), want)
    assert 0 < compiled.device_seconds() < 1
    assert compiled.device_copy(1 << 20) > 0
    np.testing.assert_array_equal(compiled.run(None, feed), want)


def test_cpu_has_no_device_clock():
    compiled = tamis.compile(models.add(), cache="off")
    assert compiled.device_seconds() is None and compiled.device_copy(1 << 20) is None


def test_nvidia(model, driver):
    """The device computes nothing and its clock counts events: the table is there, with the peers that are not."""
    status, text, times = benchmark(model, "nvptx:sm_80", LD_LIBRARY_PATH=driver)
    mine, runtime, torch = times["rows"]
    assert status == 1 and mine["difference"] and mine["device_median_s"] == pytest.approx(1e-3)
    assert times["limit_loop"] == "device copy (bytes)" and times["limit_median"] == pytest.approx(2 * 8 * (32 << 20) / 1e-3)
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert runtime["problem"] == "this onnxruntime has no CUDAExecutionProvider: pip install onnxruntime-gpu"
        assert runtime["problem"].split(":")[0] in " ".join(text.split())
    assert torch["problem"].startswith(("the package torch is needed", "this torch finds no CUDA device", "the package onnx2torch"))


@pytest.mark.parametrize("fails", ["event", "copy"])
def test_nvidia_without_a_clock(model, driver, fails):
    status, _, times = benchmark(model, "nvptx:sm_80", "--engine", "tamis", LD_LIBRARY_PATH=driver, FAKE_CUDA=fails)
    assert times["rows"][0]["rounds"] == 8 and times["limit_loop"] != "device copy (bytes)"
    assert (times["rows"][0]["device_median_s"] is None) == (fails == "event")


def test_nvidia_without_a_driver(model, tmp_path):
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    status, text, times = benchmark(model, "nvptx:sm_80", LD_LIBRARY_PATH=str(tmp_path))
    assert status == 1 and times is None
    assert "this model runs on an NVIDIA device, and there is no CUDA driver" in " ".join(text.split()) and "Traceback" not in text
