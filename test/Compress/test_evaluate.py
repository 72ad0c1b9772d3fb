# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The split of the data, the metrics and the paired clock."""
import numpy as np
import pytest
import tamis
from support import compressor
from tamis.compression import evaluate


def bytes_of(part):
    return {feed["x"].tobytes() for feed in part.feeds}


def test_split_is_repeatable_and_parts_do_not_overlap():
    feeds, labels = compressor.data(50)
    feeds += feeds[:20]  # a data set that repeats itself
    labels = np.concatenate([labels, labels[:20]])
    parts = evaluate.split(feeds, labels)
    sets = [bytes_of(parts[name]) for name in evaluate.PARTS]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert sum(map(len, parts.values())) == 70 and max(map(len, parts.values())) - min(map(len, parts.values())) <= 2
    again = evaluate.split(feeds, labels)
    assert evaluate.fingerprint(parts) == evaluate.fingerprint(again) != evaluate.fingerprint(evaluate.split(feeds, labels, seed=1))
    for part in parts.values():
        for feed, label in zip(part.feeds, part.labels):
            assert labels[next(i for i, f in enumerate(feeds) if np.array_equal(f["x"], feed["x"]))] == label


@pytest.mark.parametrize("count, labels, words", [
    (2, None, "at least 3 different samples to split, got 2"), (9, np.zeros(8), "9 samples, but 8 labels"), (9, 3, "a single labels")])
def test_bad_data_are_refused(count, labels, words):
    with pytest.raises(tamis.Error) as caught:
        evaluate.split(compressor.data(count)[0], labels)
    assert words in str(caught.value)


def test_cosine_and_snr():
    want = np.array([3.0, 4.0], np.float32)
    assert evaluate.cosine(want, want) == pytest.approx(1) and evaluate.snr(want, want) == float("inf")
    assert evaluate.snr(want * 1.1, want) == pytest.approx(20, abs=1e-4)
    assert evaluate.cosine([4, -3], want) == pytest.approx(0) and evaluate.cosine([0, 0], [0, 0]) == 1
    assert evaluate.snr([1, 0], [0, 0]) == float("-inf")


def test_metrics_give_value_drop_and_standard_error(tmp_path):
    scores = np.eye(4, dtype=np.float32)
    right = [{"y": scores[i:i + 1]} for i in range(4)]
    wrong = right[:3] + [{"y": scores[:1]}]
    labels = np.arange(4)
    top1 = evaluate.Metric.make(None, labels)
    score = top1.score(wrong, right, labels)
    assert (top1.name, score.value, score.drop, score.error) == ("top1", 0.75, 0.25, 0.25) and top1.of_float(right, labels) == 1
    cosine = evaluate.Metric.make(None, None)
    assert cosine.name == "cosine" and cosine.score(wrong, right).drop == pytest.approx(0.25) and cosine.of_float(right) == 1
    snr = evaluate.Metric.make("snr", None).score([{"y": o["y"] * 1.1} for o in right], right)
    assert snr.value == pytest.approx(20, abs=1e-4) and snr.drop == pytest.approx(0.01, rel=1e-4)
    (tmp_path / "m.py").write_text(
        "def half(outputs, labels):\n    return 0.5 * sum(o['y'].argmax() == l for o, l in zip(outputs, labels))\n")
    own = evaluate.Metric.make(f"{tmp_path / 'm.py'}:half", labels)
    assert own.score(wrong, right, labels) == evaluate.Score(1.5, 0.5)
    assert evaluate.Metric.make(lambda outputs, labels: 1, None).score(wrong, right).drop == 0


@pytest.mark.parametrize("metric, labels, words", [
    ("top2", None, "metric 'top2': expected one of top1, cosine, snr"), ("top1", None, "needs labels"), ("gone.py:f", None, "no such file"),
    (5, None, "expected a name or a function, got 5"), (f"{__file__}:gone", None, "no function 'gone' in this file")])
def test_bad_metrics_are_refused(metric, labels, words):
    with pytest.raises(tamis.Error) as caught:
        evaluate.Metric.make(metric, labels)
    assert words in str(caught.value)


def test_failing_user_code_is_an_error(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(tamis.Error, match="cannot load the metric: ZeroDivisionError"):
        evaluate.Metric.make(f"{tmp_path / 'bad.py'}:f", None)
    with pytest.raises(tamis.Error, match="metric 'count' failed: KeyError"):
        def count(outputs, labels):
            return outputs[0]["gone"]

        evaluate.Metric.make(count, None).score([{}], [{}])
    with pytest.raises(tamis.Error, match="expected a finite number, got nan"):
        evaluate.Metric.make(lambda outputs, labels: float("nan"), None).score([{}], [{}])
    with pytest.raises(tamis.Error, match="2 labels for 1 rows"):
        evaluate.Metric.make("top1", [1]).score([{"y": np.eye(3)[:1]}], [{"y": np.eye(3)[:1]}], [[1, 2]])


def test_maximum_drop_is_a_number_or_a_percentage():
    assert evaluate.parse_drop("1%") == 0.01 == evaluate.parse_drop("0.01") == evaluate.parse_drop(0.01)
    for text in ("one", "-1%", "nan", "inf", None):
        with pytest.raises(tamis.Error, match="maximum drop"):
            evaluate.parse_drop(text)


def test_paired_latency_times_both_models_in_turns():
    model = tamis.compile(compressor.network(), cache="off")
    found = evaluate.paired_latency(model, model, compressor.data(9)[0], seconds=0.02)
    assert found.rounds >= evaluate.LEAST_ROUNDS and found.seconds > 0 and 0.3 < found.ratio < 3
    with evaluate.alone():
        pass


def test_neither_busy_moments_nor_a_clock_that_stood_still_make_a_time():
    assert evaluate.undisturbed([0.0, *[1.0] * 7, *[5.0] * 4]) == 1.0
    assert evaluate.clock({}) != evaluate.clock({"threads": 2})
