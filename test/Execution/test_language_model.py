# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small language model written as GGUF, turned into a step function and run token by token beside ONNX Runtime."""
import importlib.util
import os

import gguf
import numpy as np
import onnxruntime
import pytest
import tamis

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Models", "gguf_to_onnx.py")
LAYERS, WIDTH, HEADS, KV_HEADS, INNER, WORDS = 2, 64, 4, 2, 96, 160
SIZE = WIDTH // HEADS


def load_converter():
    spec = importlib.util.spec_from_file_location("gguf_to_onnx", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_gguf(path):
    """Random weights in the forms of a Llama file of 4 bits."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e4)

    def add(name, rows, columns, kind):
        values = random.standard_normal((rows, columns)).astype(np.float32) * 0.2
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    q4, q8 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
    add("token_embd.weight", WORDS, WIDTH, q8)
    for i in range(LAYERS):
        for part, rows, columns in (("attn_q", WIDTH, WIDTH), ("attn_k", KV_HEADS * SIZE, WIDTH), ("attn_v", KV_HEADS * SIZE, WIDTH),
                                    ("attn_output", WIDTH, WIDTH), ("ffn_gate", INNER, WIDTH), ("ffn_up", INNER, WIDTH),
                                    ("ffn_down", WIDTH, INNER)):
            add(f"blk.{i}.{part}.weight", rows, columns, q4)
        for part in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{i}.{part}.weight", 1 + random.standard_normal(WIDTH).astype(np.float32) * 0.1)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_past(room):
    return {f"past.{i}.{part}": np.zeros((1, KV_HEADS, room, SIZE), np.float32) for i in range(LAYERS) for part in ("key", "value")}


def lengths(known, count):
    return {"seqlens_k": np.int32([known + count - 1]), "total_sequence_length": np.array(known + count, np.int32)}


def score(run, outputs, prompt, tokens):
    """Logits of the prompt and of each token after it, caches growing with each call."""
    past, known = make_past(0), 0
    logits = []
    for now in [np.int64([prompt]), *(np.int64([[token]]) for token in tokens)]:
        results = dict(zip(outputs, run({"input_ids": now, **lengths(known, now.shape[1]), **past})))
        logits.append(results.pop("logits")[0, 0])
        past = {name.replace("present", "past"): value for name, value in results.items()}
        known += now.shape[1]
    return np.stack(logits)


def bind_step(model, cache, known, now):
    """A call that appends to `cache`."""
    return model.bind({"input_ids": np.int64([now]), **lengths(known, len(now)), **cache},
                      {present: cache[past] for present, past in model.get_states().items()})


def score_in_place(model, prompt, tokens, room):
    """The same logits from caches that have room, and these."""
    at = [o.name for o in model.get_outputs()].index("logits")
    cache, known, logits = make_past(room), 0, []
    for now in [prompt, *([token] for token in tokens)]:
        logits.append(bind_step(model, cache, known, now)()[at][0, 0].copy())
        known += len(now)
    return np.stack(logits), cache


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths of one model in ONNX by (accuracy level, whether its caches grow)."""
    folder = tmp_path_factory.mktemp("lm")
    write_gguf(str(folder / "m.gguf"))
    converter = load_converter()
    paths = {}
    for level in (0, 4):
        for grow in (False, True):
            paths[level, grow] = str(folder / f"m{level}{grow}.onnx")
            converter.onnx.save(converter.convert(str(folder / "m.gguf"), level, 256, grow), paths[level, grow])
    return paths


def open_session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("level", [0, 4])
def test_steps(models, level):
    """One library for the prompt and for each token; with level 4 both sides round activations, each in its own way."""
    compiled = tamis.compile(models[level, True], input_dims={"seq": "1:16", "past": "0:48"}, cache="off", lazy=False)
    products = [layer for layer in compiled.report()["layers"] if layer["storage"] == "dense nibbles"]
    assert len(products) == 4 * LAYERS
    assert {layer["types"].split(" x ")[0] for layer in products} == {"i8" if level == 4 else "f32"}
    assert compiled.get_states() == {}
    outputs = [o.name for o in compiled.get_outputs()]
    session = open_session(models[level, True])
    words = np.random.default_rng(1).integers(0, WORDS, 17)
    got = score(lambda feed: compiled.run(None, feed), outputs, words[:11], words[11:])
    want = score(lambda feed: session.run(outputs, feed), outputs, words[:11], words[11:])
    if level == 0:
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
    for a, b in zip(got, want):
        assert np.corrcoef(a, b)[0, 1] > 0.99


@pytest.mark.parametrize("threads", [1, 3])
def test_in_place(models, threads):
    """Caches with room: the same logits as growing ones and as ONNX Runtime, only new entries written."""
    grows = tamis.compile(models[0, True], input_dims={"seq": "1:160", "past": "0:160"}, cache="off", lazy=False)
    stays = tamis.compile(models[0, False], input_dims={"seq": "1:160", "capacity": "1:160"}, cache="off", lazy=False, threads=threads)
    assert stays.get_states() == {name.replace("past", "present"): name for name in make_past(0)}
    outputs = [o.name for o in grows.get_outputs()]
    session = open_session(models[0, True])
    words = np.random.default_rng(1).integers(0, WORDS, 140)
    for count in (1, 2, 3, 127, 128, 129):
        prompt, tokens = words[:count], words[count:count + 3]
        want = score(lambda feed: session.run(outputs, feed), outputs, prompt, tokens)
        copied = score(lambda feed: grows.run(None, feed), outputs, prompt, tokens)
        got, cache = score_in_place(stays, prompt, tokens, room=150)
        np.testing.assert_allclose(copied, want, rtol=0, atol=1e-4 * np.abs(want).max())
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
        for array in cache.values():
            assert np.abs(array[:, :, :count + 3]).sum(-1).all()
            assert not array[:, :, count + 3:].any()


def test_in_place_prompt_in_parts(models):
    """Several tokens behind a past that is not empty."""
    model = tamis.compile(models[0, False], input_dims={"seq": "1:64", "capacity": "1:64"}, cache="off", lazy=False)
    at = [o.name for o in model.get_outputs()].index("logits")
    words = np.random.default_rng(2).integers(0, WORDS, 40)
    want, whole = score_in_place(model, words, [], room=40)
    cache = make_past(40)
    bind_step(model, cache, 0, words[:13])()
    got = bind_step(model, cache, 13, words[13:])()[at][0, 0]
    np.testing.assert_allclose(got, want[0], rtol=0, atol=1e-5 * np.abs(want).max())
    for name, array in cache.items():
        np.testing.assert_allclose(array, whole[name], rtol=0, atol=1e-5)


def test_apart(models):
    """Without sharing, the past stays as it was and the present is whole."""
    model = tamis.compile(models[0, False], input_dims={"seq": "1:8", "capacity": "1:16"}, cache="off", lazy=False)
    cache = {name: np.random.default_rng(3).standard_normal(array.shape).astype(np.float32) for name, array in make_past(12).items()}
    before = {name: array.copy() for name, array in cache.items()}
    feed = {"input_ids": np.int64([[5, 6]]), **lengths(4, 2)}
    results = dict(zip([o.name for o in model.get_outputs()], model.run(None, {**feed, **cache})))
    bind_step(model, cache, 4, [5, 6])()
    for name, array in before.items():
        present = results[name.replace("past", "present")]
        np.testing.assert_array_equal(present, cache[name])
        np.testing.assert_array_equal(np.delete(present, [4, 5], axis=2), np.delete(array, [4, 5], axis=2))


def test_no_room(models):
    """An error before anything is written."""
    model = tamis.compile(models[0, False], input_dims={"seq": "1:8", "capacity": "1:16"}, cache="off", lazy=False)
    cache = make_past(6)
    for known, count in ((5, 2), (0, 7)):
        with pytest.raises(tamis.Error, match="no room"):
            bind_step(model, cache, known, [1] * count)()
        assert not any(array.any() for array in cache.values())
    bind_step(model, cache, 5, [1])()


def test_overlap(models):
    """Only what an output continues may be its memory, and as a whole."""
    model = tamis.compile(models[0, False], input_dims={"seq": "1:8", "capacity": "1:16"}, cache="off", lazy=False)
    cache = make_past(6)
    feed = {"input_ids": np.int64([[1]]), **lengths(0, 1), **cache}
    with pytest.raises(tamis.Error, match=r"'present.0.key' overlaps input 'past.1.key'"):
        model.bind(feed, {"present.0.key": cache["past.1.key"]})
