# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Machines that cannot run a model for NVIDIA devices: what the error says. None of these needs a device."""
import os
import shutil

import pytest
import tamis
from support import models, vulkan
from tamis import compiler
from tamis.model import read_report
from tamis.source import Source


needs_ptxas = pytest.mark.skipif(not shutil.which("ptxas"), reason="no ptxas")


def library(folder, **options):
    path = folder / "model.so"
    compiler.compile_to(Source(models.add()), str(path), tamis.options.make(target="nvptx:sm_80", **options), MESSAGES.append)
    return path


MESSAGES = []


def program(folder, text):
    """An assembler of our own."""
    path = folder / "ptxas"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def code_of(path):
    """What the report says of the kernels' form, and whether the library holds a cubin: an ELF file for machine 190."""
    image = path.read_bytes()
    places = [at for at in range(1, len(image)) if image.startswith(b"\x7fELF", at)]
    return read_report(path)["device"]["code"], any(image[at + 18] == 190 for at in places)


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


@needs_ptxas
def test_cubin_first_then_ptx(tmp_path, driver):
    path = library(tmp_path)
    assert code_of(path) == ("cubin of sm_80, and PTX for other chips", True)
    for refused in ("ptx", "cubin"):
        assert vulkan.elsewhere(path, LD_LIBRARY_PATH=driver, FAKE_CUDA=refused) == "loaded\ndone\n"


def test_without_ptxas(tmp_path, driver, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = library(tmp_path)
    assert code_of(path) == ("PTX, for the driver to compile: there is no ptxas on PATH", False)
    assert vulkan.elsewhere(path, LD_LIBRARY_PATH=driver, FAKE_CUDA="cubin") == "loaded\ndone\n"
    assert "for which this model's kernels were not made" in vulkan.elsewhere(path, LD_LIBRARY_PATH=driver, FAKE_CUDA="ptx")


def test_ptxas_that_fails(tmp_path, monkeypatch):
    """One that was asked for is an error with its text; one that happens to be there is a warning."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    bad = program(tmp_path, "echo \"$1: 'mma' is not for this chip\" >&2\nexit 3\n")
    with pytest.raises(tamis.Error, match=f"ptxas '{bad}': -arch=sm_80: 'mma' is not for this chip"):
        library(tmp_path, ptxas=bad)
    assert not os.path.exists(tmp_path / "model.so")
    with pytest.raises(tamis.Error, match="ptxas '/nowhere/ptxas': .*No such file"):
        library(tmp_path, ptxas="/nowhere/ptxas")
    with pytest.raises(tamis.Error, match="status 3"):
        library(tmp_path, ptxas=program(tmp_path, "exit 3\n"))
    program(tmp_path, "echo too old\nexit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path) + ":/bin:/usr/bin")
    MESSAGES.clear()
    path = library(tmp_path)
    assert code_of(path) == ("PTX, for the driver to compile: ptxas failed", False)
    assert [m.severity for m in MESSAGES] == ["warning"] and "too old" in MESSAGES[0].text
    assert not list(temporary.iterdir())


def test_the_assembler_is_part_of_the_cache_key(tmp_path):
    def key():
        return tamis.options.make(target="nvptx:sm_80", ptxas=tmp_path / "ptxas").key()

    program(tmp_path, "exit 1\n")
    first = key()
    assert key() == first
    program(tmp_path, "exit 10\n")
    assert key() != first
    assert tamis.options.make(ptxas="a").key() != tamis.options.make(target="nvptx:sm_80", ptxas="a").key()
