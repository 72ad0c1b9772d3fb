# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The study: it resumes, is shared, refuses what is not its own, and finds the fastest model within the bound."""
import concurrent.futures
import itertools
import os
import sqlite3
import subprocess
import sys

import optuna
import pytest
import tamis
from support import compressor
from tamis.compression import optimize, search, space

WORKER = """
import sys
sys.path.insert(0, sys.argv[2])
from support import compressor
from tamis.compression import optimize
compressor.install()
feeds, labels = compressor.data()
optimize.optimize(compressor.network(), feeds, labels=labels, max_drop=0.2, trials=14, storage=sys.argv[1], study="shared",
                  weights=("int8",), patterns=("dense", "2:4"))
"""


def run(**options):
    compressor.install()
    feeds, labels = compressor.data()
    small = {"max_drop": 0.2, "trials": 6, "labels": labels, "weights": ("int8",), "patterns": ("dense", "2:4"),
             "calibration_methods": ("minmax",)}
    return tamis.optimize(compressor.network(), feeds, **{**small, **options})


def trials_of(path, name):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}").get_trials()


def counted(path, name):
    return sum(t.state.is_finished() and "uniform" not in t.user_attrs for t in trials_of(path, name))


def test_finds_a_faster_model_within_the_bound_and_reports_the_last_part():
    events = []
    result = run(progress=events.append, weights=("int8", "int4"))
    report = result.report
    assert report["latency"]["speedup"] > 1.5 and report["samples"] == {"calibrate": 20, "search": 20, "report": 20}
    assert report["metric"]["float"] == 1.0 and report["metric"]["drop"] == pytest.approx(1 - report["metric"]["compressed"])
    assert {r["layer"] for r in report["layers"]} == {"first", "second"} and sum(not t["uniform"] for t in report["trials"]) == 6
    chosen = next(t for t in report["trials"] if t["number"] == report["chosen"])
    assert search.feasible(chosen, 0.2) and report["chosen"] in report["pareto"]
    assert any("test asked" in r["reason"] for r in report["layers"]) and "alone as" in report["layers"][0]["reason"]
    assert "no faster" in report["refused"]["int4"]  # in the stand-in's clock int4 takes int8's time
    assert {e["stage"] for e in events} >= {"every layer int8", "search", "report"}


def test_the_float_model_is_kept_where_nothing_is_good_enough():
    result = run(max_drop=0, patterns=("unstructured",), sparsities=(0.9,), weights=("float32",), metric="cosine")
    assert result.recipe.steps == () and "the float model is kept" in result.report["why"] and result.report["metric"]["drop"] <= 1e-6


def test_second_run_resumes(tmp_path):
    path = tmp_path / "study.db"
    run(storage=path, study="s", trials=3)
    assert counted(path, "s") == 3
    measured = []
    report = run(storage=path, study="s", trials=5, progress=lambda e: measured.append(e["stage"])).report
    assert counted(path, "s") == 5 and len(report["trials"]) == len(trials_of(path, "s"))
    assert not any("alone" in stage or "every layer" in stage for stage in measured)
    run(storage=path, study="s", trials=5)
    assert counted(path, "s") == 5


def test_another_model_or_metric_is_refused(tmp_path):
    run(storage=tmp_path / "study.db", study="s", trials=2)
    with pytest.raises(tamis.Error, match="study 's' is about another metric"):
        run(storage=tmp_path / "study.db", study="s", metric="cosine")
    with pytest.raises(tamis.Error, match="another maximum drop"):
        run(storage=tmp_path / "study.db", study="s", max_drop="1%")


def test_two_workers_share_one_study(tmp_path):
    path = tmp_path / "study.db"
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, path, folder], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        _, error = worker.communicate(timeout=200)
        assert worker.returncode == 0, error
    finished = [t for t in trials_of(path, "shared") if t.state.is_finished() and "uniform" not in t.user_attrs]
    assert 14 <= len(finished) <= 15 and len({t.user_attrs["worker"] for t in finished}) == 2


def test_a_database_that_refuses_midway_is_an_error(tmp_path):
    def damage(event):
        if event["stage"] == "search":
            with sqlite3.connect(tmp_path / "study.db") as database:
                database.execute("DROP TABLE IF EXISTS trial_values")

    with pytest.raises(tamis.Error, match="cannot go on with the study in '.*study.db': .*no such table: trial_values"):
        run(storage=tmp_path / "study.db", study="s", progress=damage)


def test_no_trial_is_taken_twice(tmp_path):
    def take(study):
        trials = []
        while (trial := study._study.ask()) and trial.number < 40:
            trials.append(trial.number)
        return trials

    first, second = (search.Study(tmp_path / "study.db", "s", {}) for _ in range(2))
    first.suggest_first([{"x": number} for number in range(40)])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        taken = list(itertools.chain(*pool.map(take, (first, second))))
    assert sorted(taken) == list(range(40))


@pytest.mark.parametrize("sampler", ["random", "nsga2", "grid"])
def test_other_samplers(sampler):
    report = run(sampler=sampler, trials=8).report
    assert report["latency"]["speedup"] > 1.5 and report["sampler"] == sampler


def test_gaussian_process_needs_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(tamis.Error, match="the package torch is needed"):
        run(sampler="gp")


def test_failing_candidates_are_counted_and_named(monkeypatch):
    compressor.install()
    from tamis.compression import api

    def fail(*_, **__):
        raise tamis.Error("no scale fits", node="first")

    monkeypatch.setattr(compressor, "quantize", fail)
    monkeypatch.setattr(api, "quantize", fail)
    with pytest.raises(tamis.Error, match="nothing to search over: int8: no scale fits"):
        run(weights=("int8",), patterns=("dense",))


def test_a_recipe_is_applied_instead_of_searching(tmp_path):
    found = run()
    found.recipe.save(tmp_path / "r.yaml")
    again = run(recipe=tmp_path / "r.yaml")
    assert again.recipe == found.recipe and again.onnx.graph == found.onnx.graph and again.report["trials"] == []
    again.save(tmp_path / "m.so")
    again.save(tmp_path / "m.onnx")
    assert (tmp_path / "m.so").read_bytes()[:4] == b"\x7fELF" and (tmp_path / "m.onnx").stat().st_size > 100


@pytest.mark.parametrize("options, words", [
    ({"sampler": "best"}, "sampler 'best'"), ({"trials": 0}, "trials: expected a positive number"),
    ({"max_drop": "much"}, "maximum drop 'much'"),
    ({"storage": "/nowhere/s.db"}, "no such folder for the study"), ({"storage": "mysql+gone://u:secret@h/d"}, "cannot open the study"),
    ({"labels": [1]}, "60 samples, but 1 labels")])
def test_bad_arguments_are_refused(options, words):
    with pytest.raises(tamis.Error) as caught:
        run(**options)
    assert words in str(caught.value) and "secret" not in str(caught.value)


def test_models_without_layers_and_missing_packages(monkeypatch):
    from support import models

    with pytest.raises(tamis.Error, match="nothing to compress"):
        tamis.optimize(models.add(), [{"a": a, "b": a} for a in __import__("numpy").ones((3, 2, 3), "f4").cumsum(0)])
    with pytest.raises(tamis.Error, match="expected an ONNX model, got MLIR"):
        tamis.optimize("module {\n}", [])
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(tamis.Error, match=r"pip install tamis\[search\]"):
        run()


@pytest.mark.skipif("TAMIS_TEST_POSTGRES" not in os.environ, reason="needs the URL of a PostgreSQL server")
def test_study_on_a_postgresql_server():
    name = f"tamis-test-{os.getpid()}"
    url = os.environ["TAMIS_TEST_POSTGRES"]
    try:
        before = len(run(storage=url, study=name, trials=3).report["trials"])
        assert len(run(storage=url, study=name, trials=4).report["trials"]) == before + 1
    finally:
        optuna.delete_study(study_name=name, storage=url)


def test_pareto_and_best():
    trials = [{"number": i, "ratio": r, "drop": d, "error": 0.0} for i, (r, d) in enumerate([(1, 0), (0.5, 0.1), (0.6, 0.2), (0.4, 0.3)])]
    trials.append({"number": 4, "ratio": None, "drop": None, "error": None})
    assert [t["number"] for t in search.pareto(trials)] == [3, 1, 0]
    assert search.best(trials, 0.15)["number"] == 1 and search.best(trials, -1) is None
    assert optimize.NOTHING


def test_real_passes_and_clock_end_to_end():
    import numpy as np
    from onnx import helper
    from support import models
    from tamis.compression import layers, report

    compressor.uninstall()
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["c"], ["r"], name="relu"),
             helper.make_node("Conv", ["r", "v"], ["d"], name="deep", pads=[1, 1, 1, 1]),
             helper.make_node("GlobalAveragePool", ["d"], ["y"])]
    net = models.model(nodes, [models.info("x", [1, 8, 16, 16])], [models.info("y", [1, 32, 1, 1])],
                       [models.const("w", rng.standard_normal((32, 8, 3, 3), np.float32)),
                        models.const("v", rng.standard_normal((32, 32, 3, 3), np.float32))])
    data = rng.random((24, 8, 16, 16), np.float32)
    result = tamis.optimize(net, data, max_drop=0.02, trials=2, weights=("int8",), patterns=("dense",),
                            calibration_methods=("minmax",))
    figures = result.report
    assert figures["metric"]["name"] == "cosine" and figures["metric"]["within"], report.headline(figures)
    # Which of the two is chosen is the clock's to say: without VNNI an int8 layer may be no faster than a float one.
    whole = next(t for t in figures["trials"] if t["uniform"])
    assert whole["drop"] < 0.02 and whole["bytes"] < 36864 / 2 and whole["seconds"] > 0, whole
    if figures["chosen"] is None:
        assert result.recipe.steps == () and optimize.NOTHING in figures["why"], report.headline(figures)
    else:
        assert search.best(figures["trials"], 0.02)["number"] == figures["chosen"], report.headline(figures)

    # What does not depend on it: every layer as int8, applied and measured.
    made = space.to_recipe(dict.fromkeys(("conv", "deep"), space.Choice("int8")), {"calibration_method": "minmax"})
    result = tamis.optimize(net, data, max_drop=0.02, recipe=made)
    assert {layer.name: layer.dtype for layer in layers.layers(result.onnx)} == {"conv": "int8", "deep": "int8"}
    deep = next(row for row in result.report["layers"] if row["layer"] == "deep")
    assert deep["snr"] > 15 and deep["bytes_after"] < deep["bytes_before"] / 3 and deep["time_after"] > 0 and deep["reason"]
    again = tamis.optimize(net, data, max_drop=0.02, recipe=made)
    assert again.onnx.graph == result.onnx.graph
