# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Machines that cannot run a model for Vulkan: what the error says. None of these needs a device."""
import numpy as np
import pytest
import tamis
from support import models, vulkan


def library(folder, made=None):
    path = folder / "model.so"
    tamis.compile(made or models.add(), target="vulkan", cache="off", lazy=True).save(str(path))
    return path


def quantize():
    """A model whose kernels store bytes."""
    return models.one("QuantizeLinear", [models.info("x", [64])], models.info("y", [64], models.UINT8),
                      [models.const("s", np.float32(0.1)), models.const("z", np.uint8(3))])


@pytest.fixture
def loader(tmp_path):
    """A folder with a Vulkan loader of our own."""
    return vulkan.pretend(tmp_path, "libvulkan.so.1", "fake_vulkan.c")


def test_no_loader(tmp_path):
    """As good as none: a file that is no library."""
    path = library(tmp_path)
    (tmp_path / "libvulkan.so.1").write_bytes(b"")
    text = vulkan.elsewhere(path, LD_LIBRARY_PATH=str(tmp_path))
    assert "model.so" in text and "there is no Vulkan loader" in text


def test_no_driver(tmp_path):
    if "no Vulkan loader" in vulkan.missing():
        pytest.skip(vulkan.missing())
    nowhere = str(tmp_path / "nowhere.json")
    text = vulkan.elsewhere(library(tmp_path), VK_ICD_FILENAMES=nowhere, VK_DRIVER_FILES=nowhere)
    assert "no Vulkan driver on this machine" in text


def test_no_device(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, FAKE_VULKAN="devices")
    assert "no Vulkan device on this machine" in text


def test_device_of_another_name(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, TAMIS_VULKAN_DEVICE="other")
    assert "no Vulkan device matches TAMIS_VULKAN_DEVICE='other', found 0 'fake'" in text
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, TAMIS_VULKAN_DEVICE="1")
    assert "no Vulkan device matches TAMIS_VULKAN_DEVICE='1'" in text


def test_device_chosen_by_name(tmp_path, loader):
    for wish in ("fak", "0"):
        assert vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, TAMIS_VULKAN_DEVICE=wish) == "loaded\ndone\n"


def test_missing_feature(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path, quantize()), LD_LIBRARY_PATH=loader, FAKE_VULKAN="features")
    assert "the Vulkan device 'fake' lacks 8-bit" in text and "which this model needs" in text


def test_plain_floats_need_no_feature(tmp_path, loader):
    assert vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, FAKE_VULKAN="features") == "loaded\ndone\n"


def test_out_of_memory(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, FAKE_VULKAN="memory")
    assert "the Vulkan device 'fake' is out of memory (a buffer of 256 bytes)" in text


def test_out_of_memory_during_a_run(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, FAKE_VULKAN="little")
    assert text.startswith("loaded\n") and "the Vulkan device 'fake' is out of memory (a buffer of 256 bytes)" in text


def test_operand_beyond_the_devices_limit(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, FAKE_VULKAN="ranges")
    assert "operand 0 has 24 bytes, the Vulkan device 'fake' takes 16" in text


def test_device_that_is_lost(tmp_path, loader):
    text = vulkan.elsewhere(library(tmp_path), LD_LIBRARY_PATH=loader, FAKE_VULKAN="lost")
    assert "the Vulkan device 'fake': submitting failed (-4)" in text


def test_unknown_target():
    with pytest.raises(tamis.Error, match="unknown target or feature 'vulcan', expected .*vulkan"):
        tamis.compile(models.add(), target="vulcan", cache="off", lazy=False)


def test_device_stands_alone():
    with pytest.raises(tamis.Error, match="target 'vulkan': expected no other target beside it"):
        tamis.compile(models.add(), target="vulkan,x86-64-v3", cache="off", lazy=False)
