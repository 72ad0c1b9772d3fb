# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The report of `tamis optimize`: one HTML page that needs nothing else, plots, JSON; and the command itself."""
import html.parser
import json
import math
import re
import sys

import numpy as np
import onnx
import pytest
import tamis
from click.testing import CliRunner
from support import compressor, models
from support.run import tamis as command_line
from tamis.commands import optimize as command
from tamis.compression import layer_times, layers, plots, report


def optimized(**options):
    compressor.install()
    feeds, labels = compressor.data()
    small = {"max_drop": 0.3, "trials": 3, "weights": ("int8",), "patterns": ("dense", "2:4"), "calibration_methods": ("minmax",)}
    return tamis.optimize(compressor.network(), feeds, labels=labels, **{**small, **options})


class Page(html.parser.HTMLParser):
    """Tags that are open, and every address the page would load."""

    VOID = {"meta", "br", "line", "circle", "rect", "polygon", "polyline", "link", "img"}

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_page_is_well_formed_complete_and_loads_nothing():
    data = optimized(weights=("int8", "int4")).report
    text = report.html(data, "<net>&.onnx")
    page = Page()
    page.feed(text)
    assert not page.open and not page.loads and "<script" not in text and "@import" not in text and "url(" not in text
    words = " ".join(page.texts)
    for wanted in ("<net>&.onnx", "first", "second", "MatMul", "16×32", "Sensitivity of layers", "Accuracy against time", "faster",
                   "report part", "no faster", "quantize:", "2:4", "test asked for it", "chosen"):
        assert wanted in words, wanted
    assert text.count('class="spark"') == 4 and 'class="chosen"' in text and 'class="bound"' in text
    assert "nan" not in re.sub(r"<style>.*</style>", "", text, flags=re.S)


def test_json_has_every_figure_and_no_nan():
    data = optimized().report
    data["layers"][0]["snr"] = math.inf
    plain = json.loads(json.dumps(report.to_json(data), allow_nan=False))
    row = plain["layers"][1]
    assert set(row) >= {"layer", "op", "pattern", "sparsity", "bits", "snr", "time_before", "time_after", "bytes_before", "bytes_after",
                        "decision", "reason", "weights", "activations"}
    assert plain["layers"][0]["snr"] is None and row["time_before"] > 0 and row["bytes_before"] == 32 * 4 * 4
    assert sum(row["weights"]["before"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("speedup, words", [(2, "2.00× faster"), (1.004, "as fast as float"), (0.8, "1.25× slower")])
def test_speed_in_words(speedup, words):
    assert report.speed_text(speedup) == words


def test_a_layer_left_alone_takes_the_time_it_took():
    rows = optimized().report["layers"]
    for row in rows:
        assert (row["time_after"] == row["time_before"]) or row["decision"] != report.LEFT


def test_missing_template_package_is_named(monkeypatch):
    data = optimized().report
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(tamis.Error, match=r"pip install tamis\[report\]"):
        report.html(data, "m")


def test_plots_have_round_ticks_and_survive_odd_data():
    assert plots.ticks(0, 0.013) == pytest.approx([0, 0.005, 0.01, 0.015]) and plots.ticks(1, 1)[0] <= 1 < plots.ticks(1, 1)[-1]
    values = (0, math.nan, None, math.inf, -0.5, 1234567.0, 0.00012345)
    assert [plots.number(v) for v in values] == ["0", "–", "–", "∞", "−0.5", "1230000", "0.000123"]
    point = {"ms": 1.0, "drop": 0.0, "kind": "float", "title": "a < b"}
    assert "a &lt; b" in plots.pareto([point], [], 0.0)
    assert "<svg" in plots.bars([("l" * 50, {"int8": math.inf, "int4": -0.1})], ["int8", "int4"], 0.01)
    flat = report.histogram([np.zeros(5)], [np.full(5, np.nan)])
    assert sum(flat["before"]) == 1 and "<svg" in plots.histogram(flat["before"], flat["after"], flat["low"], flat["high"])


def quantized():
    """y = conv(x) by int8 weights and uint8 activations, QDQ, with a bias and a Relu."""
    from onnx import helper

    made = models.model(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]), helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
         helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
         helper.make_node("Conv", ["xd", "wd"], ["c"], name="conv"), helper.make_node("Relu", ["c"], ["r"], name="relu"),
         helper.make_node("QuantizeLinear", ["r", "s", "z"], ["rq"]), helper.make_node("DequantizeLinear", ["rq", "s", "z"], ["y"])],
        [models.info("x", [1, 1, 6, 6])], [models.info("y", [1, 2, 4, 4])],
        [models.const("s", np.float32(0.05)), models.const("z", np.uint8(10)), models.const("ws", np.array([0.1, 0.2], np.float32)),
         models.const("wz", np.zeros(2, np.int8)), models.const("w", np.arange(-9, 9, dtype=np.int8).reshape(2, 1, 3, 3))])
    return made


def test_layers_know_how_their_weights_are_stored():
    (layer,) = layers.layers(quantized())
    assert (layer.name, layer.dtype, layer.bits, layer.count, layer.stored_bytes) == ("conv", "int8", 8, 18, 18 + 8 + 2)
    assert layer.zeros == pytest.approx(1 / 18)
    graph = layers.Graph(quantized())
    values = layers.weight_values(graph, *next(layers.weighted(graph))[2:])
    np.testing.assert_allclose(values.reshape(2, 9)[:, 0], [-0.9, 0.0], atol=1e-6)
    nodes, inputs, outputs = layer_times.cut(graph, graph.producer["c"])
    assert [n.op_type for n in nodes] == ["DequantizeLinear", "DequantizeLinear", "Conv", "Relu", "QuantizeLinear"]
    assert inputs == ["xq"] and outputs == ["rq"]
    feed = {"x": np.random.default_rng(0).random((1, 1, 6, 6), np.float32)}
    assert layer_times.layer_times(quantized(), [feed], {})["conv"] > 0
    assert layer_times.trace(quantized(), ["rq", "x"], [feed], {})[0]["rq"].dtype == np.uint8


def test_command_writes_model_recipe_page_and_json(tmp_path):
    compressor.install()
    feeds, labels = compressor.data()
    onnx.save(compressor.network(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.concatenate([f["x"] for f in feeds]))
    np.save(tmp_path / "y.npy", labels)
    arguments = [tmp_path / "m.onnx", "--data", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--max-drop", "30%", "--trials", 3,
                 "--weights", "int8", "--pattern", "dense", "-o", tmp_path / "m.so", "--json", tmp_path / "r.json"]
    done = CliRunner().invoke(command.command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0 and "of the report part" in done.stdout and "m.recipe.yaml" in done.stdout
    assert {f.name for f in tmp_path.iterdir()} >= {"m.so", "m.recipe.yaml", "m.html", "m.study.db", "r.json"}
    assert tamis.load(tmp_path / "m.so")(feeds[0]["x"]) is not None
    assert json.load(open(tmp_path / "r.json"))["metric"]["within"]


def test_open_dimensions_are_refused_before_the_search_unless_onnx_is_written(tmp_path):
    path = models.save(models.linear(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((9, 8), np.float32))
    done = command_line("optimize", path, "--data", tmp_path / "x.npy", "-o", tmp_path / "m.so")
    assert done.returncode == 1 and "the dimensions batch are open: bind them with --input-dim" in done.stderr
    compressor.install()
    arguments = [path, "--data", tmp_path / "x.npy", "--trials", 1, "--weights", "int8", "--pattern", "dense",
                 "-o", tmp_path / "o.onnx", "--report", "off"]
    done = CliRunner().invoke(command.command, list(map(str, arguments)), catch_exceptions=False)
    assert "o.onnx" in done.output and not (tmp_path / "o.html").exists() and onnx.load(tmp_path / "o.onnx").graph.node


def test_dry_run_needs_no_data_and_its_recipe_can_be_replayed(tmp_path):
    path = models.save(compressor.network(), tmp_path / "m.onnx")
    done = command_line("optimize", path, "--dry-run", "--save-config", tmp_path / "r.yaml")
    assert done.returncode == 0 and "2 layers, 20 choices" in done.stdout, done.stderr
    again = command_line("optimize", path, "--dry-run", "--recipe", tmp_path / "r.yaml")
    assert again.returncode == 0 and again.stdout.count("quantize int8") == 2, again.stderr
    assert sorted(f.name for f in tmp_path.iterdir()) == ["m.onnx", "r.yaml"]


@pytest.mark.parametrize("arguments, words", [
    ((), "expected --data"), (("--data", "gone.npz"), "no such file"), (("--max-drop", "x"), "maximum drop 'x'"),
    (("--sparsity", "high"), "expected numbers split by commas"), (("--pattern", "5", "--dry-run"), "pattern '5'"),
    (("--data", "x", "-o", "/nowhere/m.so"), "no such folder for the output"),
    (("--recipe", "gone.yaml"), "cannot read the recipe"), (("--data", "x", "--sampler", "best"), "'best'")])
def test_bad_options_are_refused(tmp_path, arguments, words):
    done = command_line("optimize", models.save(compressor.network(), tmp_path / "m.onnx"), *arguments)
    assert done.returncode and words in done.stderr and "Traceback" not in done.stderr, done.stderr
