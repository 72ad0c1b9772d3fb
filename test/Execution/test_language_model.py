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


def score(run, outputs, prompt, tokens):
    """Logits of the prompt and of each token after it."""
    past = {f"past.{i}.{part}": np.zeros((1, KV_HEADS, 0, SIZE), np.float32) for i in range(LAYERS) for part in ("key", "value")}
    logits = []
    for now in [np.int64([prompt]), *(np.int64([[token]]) for token in tokens)]:
        known = past["past.0.key"].shape[2]
        feed = {"input_ids": now, "seqlens_k": np.int32([known + now.shape[1] - 1]),
                "total_sequence_length": np.array(known + now.shape[1], np.int32), **past}
        results = dict(zip(outputs, run(feed)))
        logits.append(results.pop("logits")[0, 0])
        past = {name.replace("present", "past"): value for name, value in results.items()}
    return np.stack(logits)


@pytest.mark.parametrize("level", [0, 4])
def test_steps(tmp_path, level):
    """One library for the prompt and for each token; with level 4 both sides round activations, each in its own way."""
    path, model = str(tmp_path / "m.gguf"), str(tmp_path / "m.onnx")
    write_gguf(path)
    converter = load_converter()
    converter.onnx.save(converter.convert(path, level, 64), model)
    compiled = tamis.compile(model, input_dims={"seq": "1:16", "past": "0:48"}, cache="off", lazy=False)
    products = [layer for layer in compiled.report()["layers"] if layer["storage"] == "dense nibbles"]
    assert len(products) == 4 * LAYERS
    assert {layer["types"].split(" x ")[0] for layer in products} == {"i8" if level == 4 else "f32"}
    outputs = [o.name for o in compiled.get_outputs()]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    words = np.random.default_rng(1).integers(0, WORDS, 17)
    got = score(lambda feed: compiled.run(None, feed), outputs, words[:11], words[11:])
    want = score(lambda feed: session.run(outputs, feed), outputs, words[:11], words[11:])
    if level == 0:
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
    for a, b in zip(got, want):
        assert np.corrcoef(a, b)[0, 1] > 0.99
