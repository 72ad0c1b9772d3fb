# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Llama-type GGUF as a step function in ONNX, its blocks of 4 and 8 bits untouched.

    python gguf_to_onnx.py model.gguf model.onnx [--accuracy-level 4] [--length 2048] [--grow]

The operators are those of ONNX Runtime's generative models: MatMulNBits, GatherBlockQuantized and GroupQueryAttention,
which takes the keys and values of earlier tokens and returns them with those of this step. Inputs: `input_ids` (1, seq),
`past.{layer}.key` and `.value` (1, kv_heads, capacity, head_size), `seqlens_k` (1), the number of tokens before and in
this step less one, and `total_sequence_length`, that number. Outputs: `logits` (1, 1, vocabulary) of the last token and
`present.{layer}.key` and `.value`, as large as the past: one buffer may be both. With --grow past holds the earlier tokens
alone and present is longer by `seq`.

Q4_1 blocks of 32 are a float16 scale d and minimum m, w = d q + m, their q split in halves over the nibbles; MatMulNBits
has pairs side by side and a zero point z, w = d (q - z), here -m / d. Q8_0 blocks are a float16 scale and signed bytes.
"""
import argparse

import gguf
import numpy as np
import onnx
from onnx import TensorProto, helper

BLOCK = 32
MS = "com.microsoft"


def read_q4_1(tensor):
    """(rows, blocks, 16) bytes, (rows, blocks) scales and zero points."""
    raw = np.asarray(tensor.data).reshape(tensor.shape[1], -1, 20)
    scale, minimum = (raw[..., i:i + 2].copy().view(np.float16)[..., 0].astype(np.float32) for i in (0, 2))
    nibbles = np.concatenate([raw[..., 4:] & 15, raw[..., 4:] >> 4], -1)
    zero = np.divide(-minimum, scale, out=np.zeros_like(scale), where=scale != 0)
    return nibbles[..., ::2] | nibbles[..., 1::2] << 4, scale, zero


def read_q8_0(tensor):
    """(rows, blocks, 32) bytes around 128 and (rows, blocks) scales."""
    raw = np.asarray(tensor.data).reshape(tensor.shape[1], -1, 34)
    return raw[..., 2:] ^ 128, raw[..., :2].copy().view(np.float16)[..., 0].astype(np.float32)


class Builder:
    """Nodes and initializers of the graph."""

    def __init__(self, reader, level):
        self.tensors = {t.name: t for t in reader.tensors}
        self.level, self.nodes, self.parameters = level, [], {}

    def add(self, op, inputs, outputs, domain="", **attributes):
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def parameter(self, name, value):
        self.parameters[name] = np.ascontiguousarray(value)
        return name

    def product(self, x, names, output):
        """x by the weights of these tensors side by side."""
        kinds = {self.tensors[name].tensor_type for name in names}
        k = int(self.tensors[names[0]].shape[0])
        if kinds == {gguf.GGMLQuantizationType.Q4_1}:
            parts = [np.concatenate(p) for p in zip(*(read_q4_1(self.tensors[name]) for name in names))]
        elif kinds == {gguf.GGMLQuantizationType.Q8_0}:
            parts = [np.concatenate(p) for p in zip(*(read_q8_0(self.tensors[name]) for name in names))]
        else:
            raise SystemExit(f"{names}: expected tensors in Q4_1 or Q8_0, found {kinds}")
        n, bits = parts[0].shape[0], 8 * parts[0].shape[2] // BLOCK
        inputs = [x, self.parameter(f"{output}.codes", parts[0]), self.parameter(f"{output}.scales", parts[1].reshape(-1))]
        if len(parts) == 3:
            inputs.append(self.parameter(f"{output}.zeros", parts[2].reshape(-1)))
        return self.add("MatMulNBits", inputs, output, MS, K=k, N=n, bits=bits, block_size=BLOCK, accuracy_level=self.level)

    def norm(self, x, name, output, epsilon):
        weight = np.asarray(self.tensors[name].data).astype(np.float32).reshape(-1)
        return self.add("SimplifiedLayerNormalization", [x, self.parameter(f"{output}.weight", weight)], output, axis=-1, epsilon=epsilon)


def field(reader, name, default=None):
    found = reader.fields.get(f"llama.{name}")
    if found is None and default is None:
        raise SystemExit(f"expected the key llama.{name} in the file")
    return default if found is None else found.parts[found.data[0]][0].item()


def convert(path, level, length, grow=False):
    reader = gguf.GGUFReader(path)
    layers, width = field(reader, "block_count"), field(reader, "embedding_length")
    heads = field(reader, "attention.head_count")
    kv_heads = field(reader, "attention.head_count_kv", heads)
    size = width // heads
    epsilon = field(reader, "attention.layer_norm_rms_epsilon")
    b = Builder(reader, level)
    table, scales = read_q8_0(b.tensors["token_embd.weight"])
    x = b.add("GatherBlockQuantized", [b.parameter("table", table.reshape(table.shape[0], -1)), "input_ids",
                                       b.parameter("table.scales", scales)], "embedded", MS, bits=8, block_size=BLOCK,
              gather_axis=0, quantize_axis=1)
    angles = np.arange(length)[:, None] * field(reader, "rope.freq_base", 1e4) ** (-np.arange(size // 2) / (size // 2))
    cos, sin = b.parameter("cos", np.cos(angles).astype(np.float32)), b.parameter("sin", np.sin(angles).astype(np.float32))
    for i in range(layers):
        name = f"blk.{i}"
        y = b.norm(x, f"{name}.attn_norm.weight", f"{name}.norm", epsilon)
        y = b.product(y, [f"{name}.attn_{part}.weight" for part in "qkv"], f"{name}.qkv")
        y, _, _ = b.add("GroupQueryAttention", [y, "", "", f"past.{i}.key", f"past.{i}.value", "seqlens_k", "total_sequence_length",
                                                cos, sin], [f"{name}.attention", f"present.{i}.key", f"present.{i}.value"], MS,
                        num_heads=heads, kv_num_heads=kv_heads, do_rotary=1, rotary_interleaved=1)
        y = b.product(y, [f"{name}.attn_output.weight"], f"{name}.projected")
        x = b.add("Add", [x, y], f"{name}.attended")
        y = b.norm(x, f"{name}.ffn_norm.weight", f"{name}.ffn_norm", epsilon)
        y = b.product(y, [f"{name}.ffn_gate.weight", f"{name}.ffn_up.weight"], f"{name}.gate_up")
        gate, up = b.add("Split", [y], [f"{name}.gate", f"{name}.up"], num_outputs=2, axis=-1)
        y = b.add("Mul", [gate, b.add("Sigmoid", [gate], f"{name}.sigmoid")], f"{name}.silu")
        y = b.product(b.add("Mul", [y, up], f"{name}.gated"), [f"{name}.ffn_down.weight"], f"{name}.down")
        x = b.add("Add", [x, y], f"{name}.out")
    b.parameter("minus_one", np.int64([-1]))
    x = b.add("Slice", [x, "minus_one", b.parameter("end", np.int64([2**31])), b.parameter("axis", np.int64([1]))], "last")
    head = "output.weight" if "output.weight" in b.tensors else "token_embd.weight"
    b.product(b.norm(x, "output_norm.weight", "final_norm", epsilon), [head], "logits")

    def info(name, dtype, shape):
        return helper.make_tensor_value_info(name, dtype, shape)

    inputs = [info("input_ids", TensorProto.INT64, [1, "seq"]), info("seqlens_k", TensorProto.INT32, [1]),
              info("total_sequence_length", TensorProto.INT32, [])]
    outputs = [info("logits", TensorProto.FLOAT, [1, 1, int(b.tensors[head].shape[1])])]
    for i in range(layers):
        for part in ("key", "value"):
            past, present = ("past", "total") if grow else ("capacity", "capacity")
            inputs.append(info(f"past.{i}.{part}", TensorProto.FLOAT, [1, kv_heads, past, size]))
            outputs.append(info(f"present.{i}.{part}", TensorProto.FLOAT, [1, kv_heads, present, size]))
    graph = helper.make_graph(b.nodes, "step", inputs, outputs, [onnx.numpy_helper.from_array(v, k) for k, v in b.parameters.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(MS, 1)], ir_version=9)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf")
    parser.add_argument("onnx")
    parser.add_argument("--accuracy-level", type=int, default=4, help="4 permits activations of 8 bits (default), 0 asks for float")
    parser.add_argument("--length", type=int, default=2048, help="longest sequence (default 2048)")
    parser.add_argument("--grow", action="store_true", help="caches that grow with every call instead of having room")
    arguments = parser.parse_args()
    onnx.save(convert(arguments.gguf, arguments.accuracy_level, arguments.length, arguments.grow), arguments.onnx)


if __name__ == "__main__":
    main()
