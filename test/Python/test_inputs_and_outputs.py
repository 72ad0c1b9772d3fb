# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is read and written: damaged files are one line of text, outputs are whole or not there and never take an input's place."""
import os
import stat
import struct
import threading
import zipfile

import numpy as np
import onnx
import pytest
import tamis
from support import models
from tamis import cli, compiler, feeds, files
from tamis.commands import common
from tamis.options import make
from tamis.source import Source


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a model, one whose weight is in a file, and inputs."""
    monkeypatch.chdir(tmp_path)
    models.save(models.linear(2), "m.onnx")
    made = models.linear(2)
    onnx.save(made, "external.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    np.savez("x.npz", x=np.ones((2, 8), np.float32))
    (tmp_path / "samples").mkdir()
    np.savez("samples/x.npz", x=np.ones((2, 8), np.float32))
    return tmp_path


def refused(capsys, *arguments):
    """The one line that the command says; it has to fail."""
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    text = capsys.readouterr().err
    assert caught.value.code == 1 and text.startswith("error: ") and text.count("\n") == 1, text
    return text


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("arguments", [
    "run m.onnx --output m.onnx", "run m.onnx --json m.onnx", "run m.onnx --input x.npz --output x.npz", "compile m.onnx -o ./m.onnx",
    "compile external.onnx -o w.bin", "compile m.onnx --tune m.onnx", "check m.onnx --json ./m.onnx", "prune m.onnx -o m.onnx",
    "quantize m.onnx --data samples -o q.onnx --json samples/x.npz", "prune m.onnx -o p.onnx --calibration-cache m.onnx",
    "optimize m.onnx --data x.npz --report x.npz -o r.so", "compile link.onnx -o m.onnx", "compile m.onnx -o link.onnx"])
def test_an_output_is_no_input(folder, capsys, arguments):
    os.symlink("m.onnx", "link.onnx")
    before = contents(folder)
    assert "would overwrite a file that is read" in refused(capsys, *arguments.split())
    assert contents(folder) == before


@pytest.mark.parametrize("arguments", ["compile m.onnx -o m.so --json m.so", "compile m.onnx -o m.so --json m.h",
                                       "run m.onnx --output y --json y"])
def test_two_outputs_are_two_files(folder, capsys, arguments):
    assert "two outputs" in refused(capsys, *arguments.split())


def test_a_profile_is_updated_in_place(folder):
    """The one file that a command may read and write."""
    import tamis.commands.compile as command

    common.Output(None, 0, False, 0).take_files(command.command.params, {"profile": "p.json", "tune_path": "p.json"})
    with pytest.raises(tamis.Error):
        common.Output(None, 0, False, 0).take_files(command.command.params, {"profile": "p.json", "json_path": "p.json"})


def test_saving_spares_the_model(folder):
    model = tamis.compile("m.onnx", cache="off")
    with pytest.raises(tamis.Error, match="would overwrite a file that is read"):
        model.save("m.onnx")


def test_written_files_appear_as_a_whole(tmp_path):
    path = tmp_path / "real"
    path.write_text("earlier")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(ValueError), files.written(tmp_path / "link", "the text") as file:
        file.write(b"half")
        raise ValueError
    assert path.read_text() == "earlier"
    files.write_text(tmp_path / "link", "later", "the text")
    assert path.read_text() == "later" and sorted(os.listdir(tmp_path)) == ["link", "real"] and (tmp_path / "link").is_symlink()
    (tmp_path / "folder").mkdir()
    for place in ("folder", "none/file"):
        with pytest.raises(tamis.Error, match="cannot write the text: "):
            files.write_text(tmp_path / place, "later", "the text")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "real"]


def test_devices_and_pipes_stay_what_they_are(folder):
    os.mkfifo("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append(open("pipe").read()))
    reader.start()
    files.write_text("pipe", "through", "the text")
    reader.join()
    assert got == ["through"] and stat.S_ISFIFO(os.stat("pipe").st_mode)
    feeds.save("/dev/null", [np.ones(3)], ["y"])
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", ["file", "allow_pickle", "a/b", ""])
def test_outputs_of_any_name_are_saved(tmp_path, name):
    feeds.save(tmp_path / "y.npz", [np.arange(3)], [name])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npz")[name], np.arange(3))


def test_an_output_name_too_long_for_an_archive(tmp_path):
    with pytest.raises(tamis.Error, match="too long"):
        feeds.save(tmp_path / "y.npz", [np.arange(3)], ["y" * 70000])
    assert os.listdir(tmp_path) == []


def npy(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header


def damaged_archive(path, change):
    np.savez_compressed(path, x=np.random.default_rng(0).standard_normal((9, 9)))
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


@pytest.mark.parametrize("shape", ["((((2, 4)", "(1099511627776,)", "(True, 4)", "(-1,)"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_are_none(tmp_path, shape, suffix):
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        path.write_bytes(npy(shape))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", npy(shape))
    with pytest.raises(tamis.Error, match="cannot read the arrays: "):
        feeds.read(path)


@pytest.mark.parametrize("change", [lambda data: data.__setitem__(slice(60, 80), b"\xff" * 20),           # zlib
                                    lambda data: data.__setitem__(data.rfind(b"PK\1\2") + 10, 99),         # method of compression
                                    lambda data: (data.__setitem__(6, 1), data.__setitem__(data.rfind(b"PK\1\2") + 8, 1)),  # encrypted
                                    lambda data: data.__delitem__(slice(100, None)), bytearray.clear])
def test_damaged_archives(tmp_path, change):
    damaged_archive(tmp_path / "x.npz", change)
    with pytest.raises(tamis.Error, match="cannot read the arrays: ") as caught:
        feeds.read(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", ["prune m.onnx --no-protect --criterion gradient --data x.npz --labels bad.npy",
                                       "prune m.onnx --no-protect --criterion wanda --calibration-cache bad.npy",
                                       "run m.onnx --input bad.npy"])
def test_all_commands_know_damaged_arrays(folder, capsys, arguments):
    (folder / "bad.npy").write_bytes(b"")
    assert "bad.npy: " in refused(capsys, *arguments.split())


@pytest.mark.parametrize("command", ["check", "verify", "benchmark --rounds 1", "prune --no-protect", "optimize --dry-run"])
@pytest.mark.parametrize("damage", ["operator", "text", "output"])
def test_all_commands_know_damaged_models(folder, capsys, command, damage):
    data = (folder / "m.onnx").read_bytes()
    made = models.linear(2)
    node = made.graph.node.add()
    node.op_type = "Conv"
    node.input.extend(["x", "x"])
    at = data.find(b"Gemm") - 1
    (folder / "bad.onnx").write_bytes({"operator": data[:at] + b"\x7f" + data[at + 1:], "text": data.replace(b"Gemm", b"Ge\xff\xfe"),
                                       "output": made.SerializeToString()}[damage])
    assert "bad.onnx: " in refused(capsys, *command.split(), "bad.onnx")


@pytest.mark.parametrize("command", ["prune --no-protect", "quantize --activations float32", "verify"])
@pytest.mark.parametrize("rows", [4, 16])
def test_weights_of_another_size(folder, capsys, command, rows):
    made = models.linear(2)
    made.graph.initializer[0].dims[0] = rows
    (folder / "bad.onnx").write_bytes(made.SerializeToString())
    assert "bad.onnx: " in refused(capsys, *command.split(), "bad.onnx")


def test_bytes_have_no_external_data(folder):
    for compress in (tamis.prune, tamis.quantize):
        with pytest.raises(tamis.Error, match="lies in a file of its own"):
            compress((folder / "external.onnx").read_bytes())


@pytest.mark.parametrize("arguments, words", [
    ("run m.onnx --threads 2147483648", "threads: expected a positive number below"), ("benchmark m.onnx --engine ,", "engine ''"),
    ("compile m.onnx --input-dim b=9999999999999999999", "of at most 18 digits"),
    ("compile m.onnx --dump-stages x.npz", "cannot write the stages"),
    ("benchmark --suite none", "cannot read the list of models: no such file"),
    ("benchmark --suite m.onnx", "cannot read the list of models"),
    ("run m.onnx --json samples", "cannot write the result: is a directory"),
    ("optimize m.onnx --data x.npz --calibration-method ,", "calibration_methods"), ("run a\udc80.onnx", "the path is not UTF-8"),
    ("quantize m.onnx --data none", "no such file"), ("run pipe", "not a regular file"), ("prune pipe", "not a regular file")])
def test_odd_arguments(folder, capsys, arguments, words):
    os.mkfifo("pipe")
    assert words in refused(capsys, *arguments.split())


def test_no_memory_and_full_disks_are_one_line(folder, capsys, monkeypatch):
    assert "no space left on device" in refused(capsys, "run", "m.onnx", "--json", "/dev/full")

    def refuse(*_):
        raise MemoryError("unable to allocate 4 TiB")

    monkeypatch.setattr(feeds, "random", refuse)
    assert "unable to allocate" in refused(capsys, "run", "m.onnx")


def test_text_goes_to_standard_output_alone(folder, capfd):
    with pytest.raises(SystemExit) as caught:
        cli.main(["compile", "m.onnx", "-o", "-", "--emit", "mlir"])
    text = capfd.readouterr()
    assert caught.value.code == 0 and "llvm.func" in text.out and "MB in" not in text.out and text.err == ""


@pytest.mark.parametrize("output", ["m.so", "m.o"])
def test_a_library_stays_where_integers_are_required(folder, output):
    compiler.compile_to(Source("m.onnx"), output, make(emit="obj" if output == "m.o" else "so"))
    before = contents(folder)
    with pytest.raises(tamis.Error, match="integer arithmetic is required"):
        compiler.compile_to(Source("m.onnx"), output, make(emit="obj" if output == "m.o" else "so", require_integer=True))
    assert contents(folder) == before and not [name for name in os.listdir() if name.startswith("m.so.")]


def test_required_integers_are_written(folder):
    """With the symbols and the header of the name."""
    compiler.compile_to(Source(models.add()), "m.so", make(require_integer=True))
    assert "m_run" in (folder / "m.h").read_text() and tamis.load("m.so").get_inputs()


@pytest.mark.parametrize("path", ["module.onnx", "modules/net.onnx", "func.func/net.onnx", "a\nb.onnx"])
def test_paths_that_look_like_text(folder, path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    os.rename("m.onnx", path)
    assert Source(path).path == path
    if "\n" not in path:
        with pytest.raises(tamis.Error, match="no such file"):
            Source("none/" + path)


@pytest.mark.parametrize("text", ["module {}", "module @m {}", "  module attributes {} {}", "func.func @main() { return }", "// text\n"])
def test_text_that_is_no_path(text):
    assert Source(text).data == text.encode()


@pytest.mark.parametrize("location", ["/proc/kmsg", "/proc/self/mem", "../m.onnx", "pipe"])
def test_external_data_elsewhere_are_not_read(folder, location):
    """Nor waited for: the cache asks for their bytes before the compiler refuses them."""
    made = onnx.load("external.onnx", load_external_data=False)
    made.graph.initializer[0].external_data[0].value = location
    os.mkfifo("samples/pipe")
    onnx.save(made, "samples/m.onnx")
    with pytest.raises(tamis.Error, match="external data"):
        tamis.compile("samples/m.onnx", cache=folder / "cache")


def test_external_data_are_part_of_the_key(folder):
    (folder / "allowed").mkdir()
    before = Source("external.onnx").fingerprint("allowed")
    (folder / "w.bin").write_bytes(b"\1" * os.path.getsize("w.bin"))
    assert Source("external.onnx").fingerprint("allowed") != before and len(before) == 2
