# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The cache of compiled libraries: what is a hit, and what is not trusted."""
import os
import stat

import numpy as np
import pytest
import tamis
from support import models
from tamis.cache import Cache

X = np.ones((1, 8), np.float32)


def libraries(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".so"))


def test_second_compilation_is_a_hit(tmp_path):
    tamis.compile(models.linear(1), cache=tmp_path / "c")
    before = libraries(tmp_path / "c")
    tamis.compile(models.linear(1), cache=tmp_path / "c")
    assert len(before) == 1 and libraries(tmp_path / "c") == before


def test_options_and_model_are_part_of_the_key(tmp_path):
    made = models.linear(1)
    tamis.compile(made, cache=tmp_path)
    tamis.compile(made, cache=tmp_path, strict=True)
    tamis.compile(made, cache=tmp_path, allow=["bf16"])
    made.graph.initializer[0].raw_data = bytes(len(made.graph.initializer[0].raw_data))
    tamis.compile(made, cache=tmp_path)
    assert len(libraries(tmp_path)) == 4


def test_folder_and_entries_are_private(tmp_path):
    tamis.compile(models.linear(1), cache=tmp_path / "c")
    assert stat.S_IMODE(os.stat(tmp_path / "c").st_mode) == 0o700
    (name,) = libraries(tmp_path / "c")
    assert stat.S_IMODE(os.stat(tmp_path / "c" / name).st_mode) == 0o600


def test_folder_others_can_write_is_refused(tmp_path):
    (tmp_path / "c").mkdir()
    os.chmod(tmp_path / "c", 0o777)
    with pytest.raises(tamis.Error, match="others can write"):
        tamis.compile(models.linear(1), cache=tmp_path / "c")


def test_entry_others_can_write_is_refused(tmp_path):
    tamis.compile(models.linear(1), cache=tmp_path)
    (name,) = libraries(tmp_path)
    os.chmod(tmp_path / name, 0o666)
    with pytest.raises(tamis.Error, match="others can write"):
        tamis.compile(models.linear(1), cache=tmp_path)


def test_linked_entry_is_refused(tmp_path):
    tamis.compile(models.linear(1), cache=tmp_path)
    (name,) = libraries(tmp_path)
    os.rename(tmp_path / name, tmp_path / "elsewhere")
    os.symlink("elsewhere", tmp_path / name)
    with pytest.raises(tamis.Error):
        tamis.compile(models.linear(1), cache=tmp_path)


def test_failed_compilation_leaves_nothing(tmp_path):
    made = models.one("Strange", [models.info("x", [2])], models.info("y", [2]))
    for _ in range(2):
        with pytest.raises(tamis.Error, match="Strange"):
            tamis.compile(made, cache=tmp_path)
    assert os.listdir(tmp_path) == []


def test_clear(tmp_path):
    tamis.compile(models.linear(1), cache=tmp_path)
    files, size = Cache(tmp_path).clear()
    assert files == 1 and size > 0 and libraries(tmp_path) == []


def test_off_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TAMIS_CACHE", str(tmp_path))
    model = tamis.compile(models.linear(1), cache="off")
    model(X)
    path = model._path
    del model
    assert os.listdir(tmp_path) == [] and not os.path.exists(path)


def test_open_dimensions_compile_once_per_shape(tmp_path):
    model = tamis.compile(models.conv_open(), cache=tmp_path)
    for size in (8, 9, 8):
        assert model(np.ones((1, 3, size, size), np.float32)).shape == (1, 4, size - 2, size - 2)
    assert len(libraries(tmp_path)) == 2


@pytest.mark.parametrize("left", [b"", b"\x7fELF" + bytes(4000)])
def test_damaged_entry_is_replaced(tmp_path, left):
    tamis.compile(models.linear(1), cache=tmp_path)
    (name,) = libraries(tmp_path)
    (tmp_path / name).write_bytes(left)
    tamis.compile(models.linear(1), cache=tmp_path)(X)
    assert libraries(tmp_path) == [name] and (tmp_path / name).stat().st_size > len(left)


def test_refused_floats_leave_nothing(tmp_path):
    with pytest.raises(tamis.Error, match="integer arithmetic is required"):
        tamis.compile(models.linear(1), cache=tmp_path, require_integer=True)
    assert os.listdir(tmp_path) == []


def test_clear_removes_what_interrupted_compilations_left(tmp_path):
    (tmp_path / "new-1.h").touch()
    (tmp_path / "new-2.so.x").mkdir()
    assert Cache(tmp_path).clear() == (0, 0) and os.listdir(tmp_path) == []


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(tamis.Error, match="cache folder: permission denied"):
        tamis.compile(models.linear(1), cache=tmp_path)
