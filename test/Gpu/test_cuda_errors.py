# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Machines that cannot run a model for NVIDIA devices: what the error says. None of these needs a device."""
import pytest
import tamis
from support import models, vulkan
from tamis import compiler
from tamis.source import Source


def library(folder, target="nvptx:sm_80"):
    path = folder / "model.so"
    compiler.compile_to(Source(models.add()), str(path), tamis.options.make(target=target))
    return path


@pytest.fixture
def driver(tmp_path):
    """A folder with a CUDA driver of our own."""
    return vulkan.pretend(tmp_path, "libcuda.so.1", "fake_cuda.c")


def test_no_driver(tmp_path):
    """As good as none: a file that is no library."""
    path = library(tmp_path)
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    text = vulkan.elsewhere(path, LD_LIBRARY_PATH=str(tmp_path))
    assert "model.so" in text and "this model runs on an NVIDIA device, and there is no CUDA driver" in text


def test_driver_without_device(tmp_path, driver):
    for what in ("init", "devices"):
        text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver, FAKE_CUDA=what)
        assert "no NVIDIA device on this machine" in text


def test_device_that_is_not_there(tmp_path, driver):
    for wish in ("1", "first"):
        text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver, TAMIS_CUDA_DEVICE=wish)
        assert f"TAMIS_CUDA_DEVICE='{wish}': expected a number below 1" in text


def test_chip_the_kernels_are_not_for(tmp_path, driver):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver, FAKE_CUDA="chip")
    assert "the NVIDIA device 'fake' is sm_75, for which this model's kernels were not made" in text


def test_out_of_memory(tmp_path, driver):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver, FAKE_CUDA="memory")
    assert "the NVIDIA device 'fake' is out of memory (a buffer of" in text


def test_failures_of_a_run(tmp_path, driver):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver, FAKE_CUDA="launch")
    assert "loaded" in text and "_kernel failed: an invalid argument" in text
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver, FAKE_CUDA="run")
    assert "loaded" in text and "a run failed: an illegal address" in text


def test_launches_reach_the_driver(tmp_path, driver):
    assert vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=driver) == "loaded\ndone\n"
