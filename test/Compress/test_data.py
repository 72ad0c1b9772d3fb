# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calibration data: every form it may have gives the same feeds, and what does not fit is named."""
import numpy as np
import pytest
import tamis
from tamis.compression.data import feeds_of
from tamis.signature import TensorInfo

FIXED = [TensorInfo("x", "float32", (1, 3))]
OPEN = [TensorInfo("x", "float32", ("n", 3))]
TWO = [TensorInfo("ids", "int64", ("b", "s")), TensorInfo("scale", "float32", ())]


@pytest.fixture
def rows():
    return np.arange(12, dtype=np.float32).reshape(4, 3)


def check(feeds, rows):
    feeds = list(feeds)
    assert [list(feed) for feed in feeds] == [["x"]] * len(rows)
    np.testing.assert_array_equal(np.concatenate([feed["x"] for feed in feeds]), rows)
    assert all(feed["x"].shape == (1, 3) for feed in feeds)


class Reader:
    """onnxruntime's CalibrationDataReader."""

    def __init__(self, feeds):
        self._feeds = iter(feeds)

    def get_next(self):
        return next(self._feeds, None)


class Tensor:
    """As torch's, only by what numpy asks of it."""

    def __init__(self, array, requires_grad=False):
        self._array, self._requires_grad, self.shape = array, requires_grad, array.shape

    def __array__(self, dtype=None, copy=None):
        if self._requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        return self._array


class Loader:
    """As torch's DataLoader: batches of tensors and labels, as often as one asks."""

    def __init__(self, rows):
        self._rows = rows

    def __iter__(self):
        for row in self._rows:
            yield [Tensor(row[None]), Tensor(np.int64([3]))]


@pytest.mark.parametrize("inputs", [FIXED, OPEN])
def test_every_form_gives_the_same_feeds(rows, inputs, tmp_path):
    feeds = [{"x": row[None]} for row in rows]
    np.savez(tmp_path / "all.npz", x=rows)
    np.save(tmp_path / "all.npy", rows)
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, row in enumerate(rows[::-1]):
        np.savez(folder / f"{3 - i}.npz", x=row[None])
    (folder / "notes.txt").write_text("not data")
    arrays = [row[None] for row in rows]
    for data in (feeds, iter(feeds), arrays, list(rows), rows, {"x": rows}, tmp_path / "all.npz", str(tmp_path / "all.npy"),
                 folder, [folder / f"{i}.npz" for i in range(4)], Reader(feeds), Reader(arrays), Loader(rows), [(row[None], 7) for row in rows], rows[:, None]):
        check(feeds_of(data, inputs), rows)


def test_folder_of_arrays(rows, tmp_path):
    for i, row in enumerate(rows):
        np.save(tmp_path / f"{i}.npy", row)
    check(feeds_of(tmp_path, FIXED), rows)


def test_batches_are_split_only_where_the_model_wants_it(rows):
    check(feeds_of([rows[:2], rows[2:]], FIXED), rows)
    (feed, other) = feeds_of([rows[:2], rows[2:]], OPEN)
    assert feed["x"].shape == other["x"].shape == (2, 3)


def test_batch_of_several(rows):
    pairs = [TensorInfo("x", "float32", (2, 3))]
    assert [feed["x"].tolist() for feed in feeds_of(rows, pairs)] == [rows[:2].tolist(), rows[2:].tolist()]
    (feed,) = feeds_of(rows[:2], pairs)
    assert feed["x"].shape == (2, 3)


def test_several_inputs_and_open_sizes(tmp_path):
    feeds = [{"ids": np.ones((1, length), np.int64), "scale": np.float32(2)} for length in (3, 5)]
    found = list(feeds_of(feeds, TWO))
    assert [feed["ids"].shape for feed in found] == [(1, 3), (1, 5)]
    assert found[0]["scale"].shape == ()
    np.savez(tmp_path / "one.npz", **feeds[0])
    (feed,) = feeds_of(tmp_path / "one.npz", TWO)
    assert feed["ids"].shape == (1, 3)
    (feed,) = feeds_of([(feeds[0]["ids"], feeds[0]["scale"], "label")], TWO)
    assert feed["scale"] == 2
    np.savez(tmp_path / "all.npz", ids=np.ones((2, 3), np.int64), scale=np.ones(2, np.float32))
    assert len(list(feeds_of(tmp_path / "all.npz", TWO))) == 2


def test_subset_and_laziness(rows):
    def endless():
        while True:
            yield rows[:1]

    check(feeds_of(endless(), FIXED, 2), np.concatenate([rows[:1]] * 2))
    with pytest.raises(tamis.Error, match="subset_size: expected a positive number below 2.63, got 0"):
        list(feeds_of(rows, FIXED, 0))


@pytest.mark.parametrize("data, message", [
    ([], "calibration data are empty"),
    ({"x": np.zeros((0, 3), np.float32)}, "calibration data are empty"),
    (17, "expected calibration data as arrays, a path, an iterable or an object with get_next"),
    ([{"y": np.zeros((1, 3), np.float32)}], "sample 0: missing input 'x', unknown input 'y'"),
    ([np.zeros((1, 3), np.float32), np.zeros((1, 3))], r"sample 1: input 'x': expected float32\[1, 3\], got float64\[1, 3\]"),
    ([np.zeros((1, 4), np.float32)], r"sample 0: input 'x': expected float32\[1, 3\], got float32\[1, 4\]"),
    ([[]], "expected 1 arrays a sample"),
    ({}, "sample 0: missing input 'x'"),
    (b"rows.npz", "expected calibration data as arrays, a path.* got bytes"),
    (Reader([{"x": np.zeros((1, 3), np.int32)}]), r"sample 0: input 'x': expected float32\[1, 3\], got int32\[1, 3\]"),
    (Reader([]), "calibration data are empty"),
    ([None], "cannot take NoneType as a tensor"),
    ([{"x": {}}], "cannot take dict as a tensor"),
    ([Tensor(np.zeros((1, 3), np.float32), requires_grad=True)], "cannot take Tensor as a tensor: Can't call numpy"),
    (["rows.txt"], "rows.txt: no such file"),
    ([np.zeros((1, 3), ">f4")], r"sample 0: input 'x': expected float32\[1, 3\], got >f4"),
    (np.zeros((2, 1, 1, 3), np.float32), r"sample 0: input 'x': expected float32\[1, 3\], got float32\[2, 1, 1, 3\]"),
])
def test_what_does_not_fit_is_named(data, message):
    with pytest.raises(tamis.Error, match=message):
        list(feeds_of(data, FIXED))


def test_inputs_that_disagree():
    with pytest.raises(tamis.Error, match="different numbers of samples: 'ids' 2, 'scale' 3"):
        list(feeds_of({"ids": np.ones((2, 3), np.int64), "scale": np.ones(3, np.float32)}, TWO))
    with pytest.raises(tamis.Error, match="one array for a model of 2 inputs"):
        list(feeds_of(np.ones((2, 3)), TWO))


def test_paths_that_do_not_fit(tmp_path):
    for path, message in ((tmp_path / "none.npz", "no such file"), (tmp_path, "expected .npz or .npy files in the folder, found none")):
        with pytest.raises(tamis.Error, match=message) as caught:
            list(feeds_of(path, FIXED))
        assert str(tmp_path) in str(caught.value)
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(tamis.Error, match="cannot read the arrays"):
        list(feeds_of(tmp_path, FIXED))


def test_the_file_of_a_sample_that_does_not_fit(rows, tmp_path):
    np.savez(tmp_path / "a.npz", x=rows)
    np.savez(tmp_path / "b.npz", x=rows[:, :2])
    with pytest.raises(tamis.Error, match=r"b.npz: sample 4: input 'x': expected float32\[1, 3\], got float32\[1, 2\]"):
        list(feeds_of(tmp_path, FIXED))


@pytest.mark.parametrize("name, content, message", [
    ("cut.npz", lambda whole: whole[:-40], "cannot read the arrays"), ("cut.npy", lambda whole: b"\x93NUMPY\x01\x00", "cannot read the arrays"),
    ("rows.txt", lambda whole: b"1 2 3", "cannot read the arrays: expected an .npz or .npy"),
    ("empty.npz", lambda whole: b"", "cannot read the arrays")])
def test_files_that_cannot_be_read(rows, tmp_path, name, content, message):
    np.savez(tmp_path / "whole.npz", x=rows)
    (tmp_path / name).write_bytes(content((tmp_path / "whole.npz").read_bytes()))
    with pytest.raises(tamis.Error, match=f"{name}: {message}"):
        list(feeds_of(tmp_path / name, FIXED))


def test_an_error_of_the_callers_own_stays_its_own():
    def rows():
        yield np.zeros((1, 3), np.float32)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(feeds_of(rows(), FIXED))
