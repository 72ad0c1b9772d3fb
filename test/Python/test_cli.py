# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line, run as a user runs it."""
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper
from support import models
from support.run import tamis

import tamis as tamis_package
from tamis import cli
from tamis.commands import common

COMMANDS = ("compile", "run", "quantize", "prune", "benchmark", "optimize", "explain", "check", "verify", "hardware", "cache clear", "cache info")


@pytest.fixture
def onnx_path(tmp_path):
    return models.save(models.linear(2), tmp_path / "m.onnx")


def works(*arguments):
    done = tamis(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version():
    import tamis as package

    assert package.__version__ in works("--version")


def test_every_command_has_help_with_an_example():
    assert "Example" in works("--help")
    for command in COMMANDS:
        text = works(*command.split(), "--help")
        for word in ("Example", f"tamis {command}", "--json", "--verbose", "--quiet", "--seed"):
            assert word in text, (command, word)


def test_compile_and_run(tmp_path, onnx_path):
    x = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    assert "m.so" in works("compile", onnx_path, "-o", tmp_path / "m.so", "--json", tmp_path / "c.json")
    assert json.load(open(tmp_path / "c.json"))["bytes"] == (tmp_path / "m.so").stat().st_size
    works("run", tmp_path / "m.so", "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["y"], models.linear_result(models.linear(2), x), rtol=1e-4, atol=1e-5)


def test_arrays_of_no_input(tmp_path, onnx_path):
    """Named, with what the model has instead; for engines that would not look too."""
    x = np.zeros((2, 8), np.float32)
    np.savez(tmp_path / "x.npz", x=x, mask=x)
    for command in ("run", "benchmark"):
        result = tamis(command, onnx_path, "--input", tmp_path / "x.npz")
        assert result.returncode == 1 and "unknown input 'mask': the model's inputs are x" in result.stderr, result.stderr


def test_default_output_name(tmp_path, onnx_path):
    works("compile", onnx_path)
    assert (tmp_path / "m.so").exists()


def test_emit_by_suffix(tmp_path, onnx_path):
    works("compile", onnx_path, "-o", tmp_path / "m.o")
    assert (tmp_path / "m.o").read_bytes()[:4] == b"\x7fELF" and (tmp_path / "m.h").exists()
    works("compile", onnx_path, "-o", tmp_path / "m.ll")
    assert "define" in (tmp_path / "m.ll").read_text()


def test_levels_of_optimization_compute_the_same_by_other_code(tmp_path):
    """Rows of softmax: loops whose addresses level 1 leaves as they are."""
    path = models.save(models.one("Softmax", [models.info("x", [9, 50])], models.info("y", [9, 50])), tmp_path / "m.onnx")
    x, results, code = np.random.default_rng(0).standard_normal((9, 50)).astype(np.float32), [], []
    for level in (1, 2, 3):
        works("compile", path, "-O", str(level), "-o", tmp_path / "m.s")
        code.append((tmp_path / "m.s").read_text())
        results.append(tamis_package.compile(path, opt_level=level, cache="off")(x))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_allclose(results[2], results[1], rtol=1e-5)
    assert len(set(code)) == 3


def test_levels_of_optimization_are_three(onnx_path):
    assert tamis("compile", onnx_path, "-O", "4").returncode == 2
    with pytest.raises(tamis_package.Error, match="opt_level: expected one of 1, 2, 3, got 0"):
        tamis_package.compile(onnx_path, opt_level=0)


def test_dump_stages(tmp_path, onnx_path):
    works("compile", onnx_path, "-o", tmp_path / "m.so", "--dump-stages", tmp_path / "stages")
    assert any(path.suffix == ".mlir" for path in (tmp_path / "stages").iterdir())


def test_output_does_not_overwrite_the_model(onnx_path):
    done = tamis("compile", onnx_path, "-o", onnx_path)
    assert done.returncode == 1 and "overwrite" in done.stderr


def test_run_without_input_is_repeatable(onnx_path):
    first, again, other = (works("run", onnx_path, "--seed", seed) for seed in (1, 1, 2))
    assert first == again != other


def test_json_on_standard_output(onnx_path):
    data = json.loads(works("run", onnx_path, "--json", "-", "-q"))
    assert data["outputs"] == [{"name": "y", "dtype": "float32", "shape": [2, 4], "finite": True}]


def test_verify(onnx_path, tmp_path):
    assert "agrees with ONNX Runtime" in works("verify", onnx_path, "--per-node", "--json", tmp_path / "v.json")
    data = json.load(open(tmp_path / "v.json"))
    assert data["agrees"] and len(data["nodes"]) == 2


def test_verify_finds_a_wrong_library(tmp_path, onnx_path):
    made = models.linear(2)
    made.graph.initializer[1].CopyFrom(models.const("b", np.full(4, 9, np.float32)))
    other = models.save(made, tmp_path / "other.onnx")
    works("compile", other, "-o", tmp_path / "other.so")
    done = tamis("verify", onnx_path, "--compiled", tmp_path / "other.so")
    assert done.returncode == 1 and "differs from ONNX Runtime" in done.stdout


def test_check_names_float_nodes(onnx_path):
    done = tamis("check", onnx_path, "--require-integer")
    assert done.returncode == 1 and "node 'gemm' (Gemm)" in done.stdout
    assert tamis("check", onnx_path).returncode == 0


def quantized(tmp_path, scale=np.float32(0.02)):
    """y = Q(DQ(x) @ DQ(w)) with this scale of w along its first axis, behind a float Abs node."""
    nodes = [helper.make_node("Abs", ["x"], ["a"], name="abs"),
             helper.make_node("QuantizeLinear", ["a", "xs", "xz"], ["xq"], name="quantize"),
             helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["f"], name="activations"),
             helper.make_node("DequantizeLinear", ["wq", "ws"], ["w"], name="weights", axis=0),
             helper.make_node("MatMul", ["f", "w"], ["m"], name="product"),
             helper.make_node("QuantizeLinear", ["m", "xs", "xz"], ["y"], name="result")]
    weights = np.random.default_rng(0).integers(-127, 128, (16, 8)).astype(np.int8)
    made = models.model(nodes, [models.info("x", [4, 16])], [models.info("y", [4, 8], TensorProto.UINT8)],
                        [models.const("xs", np.float32(0.1)), models.const("xz", np.uint8(100)), models.const("wq", weights),
                         models.const("ws", scale)], opset=21)
    return models.save(made, tmp_path / "q.onnx")


def test_check_passes_a_quantized_model(tmp_path):
    path = quantized(tmp_path)
    done = tamis("check", path, "--require-integer", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "node 'abs' (Abs)" in done.stdout and "'product'" not in done.stdout and "1 nodes in integer, 1 in float" in done.stdout
    works("compile", path, "-o", tmp_path / "q.so", "--require-integer")


def test_check_of_nodes_that_read_their_own_results(tmp_path):
    nodes = [helper.make_node("Identity", ["b"], ["a"]), helper.make_node("Reshape", ["a", "s"], ["b"]),
             helper.make_node("MatMul", ["a", "x"], ["y"])]
    models.save(models.model(nodes, [models.info("x", [2, 2])], [models.info("y", [2, 2])],
                             [models.const("s", np.array([2, 2]))]), tmp_path / "m.onnx")
    assert "(MatMul)" in works("check", tmp_path / "m.onnx")


def test_check_knows_what_the_compiler_leaves_in_float(tmp_path):
    path = quantized(tmp_path, np.full(16, 0.02, np.float32))
    done = tamis("check", path, "--require-integer")
    assert done.returncode == 1 and "node 'product' (MatMul): its second operand's scales follow a dimension that is summed over" in done.stdout


def test_compile_refuses_float_where_integers_are_required(tmp_path, onnx_path):
    done = tamis("compile", onnx_path, "-o", tmp_path / "m.so", "--require-integer")
    assert done.returncode == 1 and "node 'gemm'" in done.stderr and "integer arithmetic is required" in done.stderr
    assert not (tmp_path / "m.so").exists()


def test_verify_compares_groups_of_a_quantized_model(tmp_path):
    text = works("verify", quantized(tmp_path), "--per-node", "--strict")
    assert "nodes agree on their own" in text and "product" not in text


def test_benchmark(tmp_path, onnx_path):
    text = works("benchmark", onnx_path, "--rounds", 8, "--json", tmp_path / "b.json")
    assert "median" in text and "limit" in text
    data = json.load(open(tmp_path / "b.json"))
    assert [row["engine"] for row in data["rows"]] == ["tamis", "onnxruntime", "openvino"]
    assert all(row["rounds"] == 8 and not row["problem"] and not row["difference"] for row in data["rows"])


def test_benchmark_of_a_library_compares_with_its_model(tmp_path, onnx_path):
    works("compile", onnx_path, "-o", tmp_path / "m.so")
    works("benchmark", tmp_path / "m.so", "--compare", onnx_path, "--engine", "tamis,onnxruntime", "--rounds", 8)
    assert tamis("benchmark", tmp_path / "m.so").returncode == 1


def test_explain(onnx_path):
    text = works("explain", onnx_path)
    assert "gemm" in text and "vector_fma" in text and "* dense" in text and "no row stream" in text


def test_explain_says_what_the_other_candidates_would_cost(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    path = models.save(models.sparse(), tmp_path / "m.onnx")
    text = works("explain", path, "--target", "x86-64-v3")
    assert re.search(r"\* blocks \d+x\d+, 6\.2% +\d+\.\d +dense is \d+\.\d+x slower \(predicted\)", text)
    assert re.search(r"  dense \S+ +\d+\.\d ", text)
    layer, = json.loads(works("explain", path, "--target", "x86-64-v3", "--json", "-", "-q"))["layers"]
    assert (layer["node"], layer["storage"], layer["entries"], layer["words"]) == ("sparse", "block list", 4 * 128 // 16, 64 * 128 // 16)
    times = {name: times["predicted"] for name, times in layer["candidates"].items()}
    assert layer["chosen"].startswith("blocks") and times[layer["chosen"]] < min(t for name, t in times.items() if "dense" in name)
    full = models.one("MatMul", [models.info("x", [64, 64])], models.info("y", [64, 128]), [models.const("w", np.ones((64, 128), np.float32))])
    text = works("explain", models.save(full, tmp_path / "full.onnx"), "--target", "x86-64-v3")
    assert re.search(r"\* dense \S+ .*a row stream is (only )?\d+\.\d+x (slower|faster) \(predicted\)", text)


def test_hardware():
    data = json.loads(works("hardware", "--seconds", 0.01, "--json", "-", "-q"))
    assert data["cores"] >= 1 and data["features"] and all(rate > 0 for rate in data["limits"].values())


def test_cache_commands(tmp_path, onnx_path):
    works("run", onnx_path, "--cache", tmp_path / "c")
    assert "1 files" in works("cache", "info", "--cache", tmp_path / "c")
    assert "removed 1 files" in works("cache", "clear", "--cache", tmp_path / "c")


def test_usage_errors_have_status_2():
    for arguments in (["nonsense"], ["compile"], ["run", "m.onnx", "--nonsense"], ["benchmark"]):
        assert tamis(*arguments).returncode == 2


def test_quiet_says_nothing(tmp_path, onnx_path):
    done = tamis("compile", onnx_path, "-o", tmp_path / "m.so", "-q")
    assert done.stdout == "" and done.stderr == ""


def test_compile_waits_for_no_other_command():
    """What draws and what searches is imported by those who draw and search."""
    code = ("import sys, tamis.cli; tamis.cli.tamis.get_command(None, 'compile'); "
            "print([name for name in ('rich', 'tamis.commands.optimize', 'tamis.compression.optimize') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_is_listed():
    listed = works("--help")
    for name in cli.COMMANDS:
        assert f"\n  {name} " in listed, name


def test_output_escapes_control_characters(capsys):
    common.Output(None, 0, False, 0).say("a\x1b[31mb\nc\td")
    assert capsys.readouterr().out == "a\\x1b[31mb\nc\\td\n"


def test_tables_show_names_as_they_are(capsys):
    """No markup, and nothing that a terminal obeys."""
    common.Output(None, 0, False, 0).table("a", "b", rows=[("y[/b]", "[red]z\x1b]0;t\x07")])
    assert capsys.readouterr().out.splitlines()[1].split() == ["y[/b]", "[red]z\\x1b]0;t\\x07"]


def test_quiet_output_says_nothing(capsys):
    common.Output(None, 0, True, 0).say("a")
    assert capsys.readouterr().out == ""
