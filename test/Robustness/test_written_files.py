# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the compiler writes is whole or not there: whatever the place, an earlier file stays until a new one is complete."""
import os
import stat

import numpy as np
import pytest
import tamis
from support import models
from tamis import compiler
from tamis.options import make
from tamis.source import Source


def compile_to(path, emit="so"):
    compiler.compile_to(Source(models.linear()), path, make(emit=emit))


def is_whole(path):
    made = models.linear()
    x = np.ones((2, 8), np.float32)
    np.testing.assert_allclose(tamis.load(path).run(None, {"x": x})[0], models.linear_result(made, x), rtol=1e-5, atol=1e-6)
    return True


@pytest.mark.parametrize("name", ["m.so", "100%/m%%.so", "ünicode and blanks/m.so"])
def test_names(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    compile_to(path)
    assert is_whole(path) and path.stat().st_mode & 0o100
    assert sorted(p.suffix for p in path.parent.iterdir() if p.is_file()) == [".h", ".so"]


def test_no_folder(tmp_path):
    with pytest.raises(tamis.Error) as caught:
        compile_to(tmp_path / "none" / "m.so")
    assert str(caught.value).endswith("m.so': cannot be written: No such file or directory") and "\n" not in str(caught.value)


@pytest.mark.parametrize("blocked", ["m.h", "m.so"])
def test_a_folder_of_that_name(tmp_path, blocked):
    """Neither the library nor the header is replaced if the other one cannot be."""
    compile_to(tmp_path / "m.so")
    os.remove(tmp_path / blocked)
    (tmp_path / blocked).mkdir()
    other = next(path for path in tmp_path.iterdir() if path.name != blocked)
    before = other.read_bytes(), other.stat().st_mtime_ns
    with pytest.raises(tamis.Error, match=f"{blocked}': cannot be written: Is a directory"):
        compile_to(tmp_path / "m.so")
    assert (other.read_bytes(), other.stat().st_mtime_ns) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.h", "m.so"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real.so").write_bytes(b"earlier")
    (tmp_path / "m.so").symlink_to("real.so")
    compile_to(tmp_path / "m.so")
    assert (tmp_path / "m.so").is_symlink() and is_whole(tmp_path / "real.so")


@pytest.mark.parametrize("emit", ["so", "llvm", "mlir", "asm"])
def test_a_device_stays_one(emit):
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full")
    with pytest.raises(tamis.Error, match="'/dev/full': cannot be written: No space left on device"):
        compiler.compile_to(Source(models.linear()), "/dev/full", make(emit=emit))
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_failed_compilation_leaves_the_earlier_one(tmp_path):
    compile_to(tmp_path / "m.so")
    before = (tmp_path / "m.so").read_bytes()
    broken = models.linear()
    broken.graph.node[0].op_type = "Unknown"
    with pytest.raises(tamis.Error):
        compiler.compile_to(Source(broken), tmp_path / "m.so", make(emit="so"))
    assert (tmp_path / "m.so").read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_objects_appear_as_a_whole(tmp_path):
    compile_to(tmp_path / "m.o", emit="obj")
    assert (tmp_path / "m.o").read_bytes()[:4] == b"\x7fELF" and not (tmp_path / "m.o").stat().st_mode & 0o111
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.h", "m.o"]


def test_a_library_is_not_called_like_its_header(tmp_path):
    with pytest.raises(tamis.Error, match="its header would have the same name"):
        compile_to(tmp_path / "m.h")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tamis", "tamis_abi"])
def test_names_of_the_runtime_are_its_own(tmp_path, name):
    compile_to(tmp_path / f"{name}.so")
    assert is_whole(tmp_path / f"{name}.so") and f"model_{name}_run" in (tmp_path / f"{name}.h").read_text()
