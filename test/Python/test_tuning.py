# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles and --tune: what is measured is written, what is written decides, and bad files are refused."""
import json
import os
import re

import numpy as np
import pytest
import tamis as package
from Import.oracle import Values, model, node
from onnx import helper
from support import models
from support.run import tamis
from tamis import compiler, options, tuning
from tamis.source import Source

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


@pytest.fixture
def path(tmp_path):
    return models.save(models.sparse(), tmp_path / "m.onnx")


def tuned(path, profile, **more):
    return tuning.tune(Source(path), options.make(**more), str(profile))


def layer_of(path, **more):
    layer, = package.compile(path, cache="off", **more).report()["layers"]
    return layer


def test_every_candidate_is_measured(tmp_path, path):
    file = tmp_path / "p.json"
    kernels = tuned(path, file)
    layer = layer_of(path, profile=file)
    times = json.loads(file.read_text())["measured"][layer["key"]]
    assert {k.candidate for k in kernels} == set(times) == set(layer["candidates"])
    assert any(name.startswith("dense") for name in times) and any(name.startswith("row stream") for name in times)
    assert all(times[name] == entry["measured"] > 0 for name, entry in layer["candidates"].items())
    assert layer["why"].endswith("(measured)")


def test_facts_are_documented(tmp_path, path):
    tuned(path, tmp_path / "p.json")
    facts = json.loads((tmp_path / "p.json").read_text())["facts"]
    documented = set(re.findall(r"^\| `([\w.]+)` \|", open(os.path.join(ROOT, "docs", "Profile.md"), encoding="utf8").read(), re.M))
    of_devices = {name for name in documented if name.startswith(("device.", "fragment."))}  # a profile of a CPU has none
    assert {re.sub(r"^instruction\..*", "instruction.NAME", name) for name in facts} == documented - of_devices


def force(path, file, prefix):
    """Rewrite the profile: candidates that begin with `prefix` took a microsecond, others two."""
    profile = json.loads(file.read_text())
    profile["measured"] = {key: {name: 1 if name.startswith(prefix) else 2 for name in times} for key, times in profile["measured"].items()}
    file.write_text(json.dumps(profile))
    return layer_of(path, profile=file)


def test_what_was_measured_decides_and_results_are_the_same(tmp_path, path):
    file = tmp_path / "p.json"
    tuned(path, file)
    x = np.random.default_rng(0).standard_normal(package.compile(path).get_inputs()[0].shape).astype(np.float32)
    want, = package.compile(path, cache="off").run(None, {"x": x})
    for prefix, storage in (("dense", "dense packed"), ("row stream", "row stream")):
        assert force(path, file, prefix)["storage"] == storage
        got, = package.compile(path, cache="off", profile=file).run(None, {"x": x})
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_same_profile_same_bytes(tmp_path, path):
    file = tmp_path / "p.json"
    tuned(path, file)
    made = []
    for _ in range(2):
        compiler.compile_to(Source(path), tmp_path / "m.o", options.make(profile=file, emit="obj"))
        made.append((tmp_path / "m.o").read_bytes())
    assert made[0] == made[1]


def test_the_profile_is_part_of_the_cache_key(tmp_path, path):
    file, other = tmp_path / "p.json", tmp_path / "q.json"
    tuned(path, file)
    other.write_text(file.read_text())
    plain, one, same = (compiler.cache_key(Source(path), options.make(profile=profile)) for profile in (None, file, other))
    assert plain != one == same
    force(path, other, "dense")
    assert compiler.cache_key(Source(path), options.make(profile=other)) != one


def test_facts_and_other_times_stay(tmp_path, path):
    file = tmp_path / "p.json"
    tuned(path, file)
    profile = json.loads(file.read_text())
    profile["facts"]["dense.share"] = 0.5
    profile["measured"]["another"] = {"dense 1x1x0": 7}
    file.write_text(json.dumps(profile))
    tuned(path, file)
    again = json.loads(file.read_text())
    assert again["facts"]["dense.share"] == 0.5 and again["measured"]["another"] == {"dense 1x1x0": 7}
    assert len(again["measured"]) == 2


def test_equal_layers_are_measured_once(tmp_path):
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("MatMul", ["x" if i == 0 else f"y{i - 1}", f"w{i}"], [f"y{i}"], name=f"m{i}") for i in range(3)]
    weights = [models.const(f"w{i}", rng.standard_normal((64, 64)).astype(np.float32)) for i in range(3)]
    made = models.model(nodes, [models.info("x", [32, 64])], [models.info("y2", [32, 64])], weights)
    kernels = tuned(models.save(made, tmp_path / "m.onnx"), tmp_path / "p.json")
    assert len({k.key for k in kernels}) == 1 and len(kernels) == len({k.candidate for k in kernels})


def test_open_rows_are_measured_at_a_typical_size(tmp_path):
    path = models.save(models.one("MatMul", [models.info("x", ["rows", 64])], models.info("y", ["rows", 128]),
                                  [models.const("w", np.ones((64, 128), np.float32))]), tmp_path / "m.onnx")
    kernels = tuned(path, tmp_path / "p.json", input_dims={"rows": (1, 512)})
    assert kernels and all(k.key.startswith("?x128x64 ") for k in kernels)
    assert all("measured" in times for times in layer_of(path, input_dims={"rows": (1, 512)}, profile=tmp_path / "p.json")["candidates"].values())


def test_blocks_of_few_bits_are_measured(tmp_path):
    v = Values()
    product = node("MatMulNBits", "x b s", domain="com.microsoft", K=64, N=24, bits=4, block_size=32, accuracy_level=4)
    file = tmp_path / "m.onnx"
    file.write_bytes(model([product], {"x": v.floats(3, 64)}, {"b": v.integers(np.uint8, 24, 2, 16), "s": v.scales(48)}))
    kernel, = tuned(file, tmp_path / "p.json")
    layer = layer_of(file, profile=tmp_path / "p.json")
    assert layer["storage"] == "dense nibbles" and layer["candidates"][kernel.candidate]["measured"] > 0


def test_explain_and_compile_tune(tmp_path, path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    file = tmp_path / "p.json"
    done = tamis("explain", path, "--tune", file)
    assert done.returncode == 0 and "(measured)" in done.stdout and "of 1 contractions" in done.stdout, done.stderr
    done = tamis("compile", path, "--tune", tmp_path / "q.json", "-o", tmp_path / "m.so")
    assert done.returncode == 0 and json.loads((tmp_path / "q.json").read_text())["measured"], done.stderr
    assert "(measured)" in tamis("explain", tmp_path / "m.so").stdout


def refused(*arguments):
    done = tamis(*arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    return " ".join(done.stderr.split())


def test_what_cannot_be_tuned(tmp_path, path):
    assert "one target, 'x86-64-v2,x86-64-v3' has 2" in refused("explain", path, "--target", "x86-64-v2,x86-64-v3", "--tune", tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()
    compiler.compile_to(Source(path), tmp_path / "m.so", options.make())
    assert "only a model can be tuned" in refused("explain", tmp_path / "m.so", "--tune", tmp_path / "p.json")
    assert "cannot write the profile" in refused("explain", path, "--tune", tmp_path / "none" / "p.json")


def test_what_is_no_profile(tmp_path, path):
    assert "cannot read the profile" in refused("explain", path, "--profile", tmp_path / "none.json")
    (tmp_path / "p.json").write_text("{}")
    assert "p.json': expected an object with" in refused("explain", path, "--profile", tmp_path / "p.json")
    assert "p.json': expected an object with" in refused("explain", path, "--tune", tmp_path / "p.json")
