# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Make the ONNX files that no package ships:  exports.py KEY...  (fetch_models.py runs it with an environment of its own).

Each is compared with its source framework; a relative difference above 1e-4 is an error.
"""
import os
import sys
import tempfile
import warnings

import manifest
import numpy as np

OPSET = 17


def source(key):
    return os.path.join(manifest.ROOT, manifest.MODELS[key].source_file)


def torch_export(module, args, target, inputs, output, axes, opset=OPSET):
    """Export and return the largest difference relative to the largest output."""
    import onnxruntime
    import torch
    module.eval()
    with torch.no_grad():
        want = module(*args)
        dynamic = {n: axes for n in (*inputs, output)} if axes else None
        torch.onnx.export(module, args, target, input_names=list(inputs), output_names=[output], dynamic_axes=dynamic,
                          opset_version=opset, dynamo=False)
    s = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    got = s.run(None, {n: a.numpy() for n, a in zip(inputs, args)})[0]
    return float(np.abs(got - want.numpy()).max() / np.abs(want.numpy()).max())


def weights(path, **options):
    import torch
    return torch.load(path, map_location="cpu", **{"weights_only": True, **options})


def efficientnet_lite(key, target):
    import torch
    sys.path.insert(0, os.path.join(manifest.ROOT, "pkg", "efficientnet-lite-pytorch-0.1.0"))
    from efficientnet_lite_pytorch import EfficientNet
    net = EfficientNet.from_name(key)  # no set_swish(): it would replace ReLU6 and ruin the accuracy
    net.load_state_dict(weights(source(key)))
    shape = manifest.MODELS[key].inputs[0].shape
    return torch_export(net, (torch.randn(shape),), target, ["input"], "logits", {0: "batch"})


def encoder(net, target, shape, high):
    """A BERT-like encoder with the token types fixed to zero."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, ids, mask):
            return self.net(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)).last_hidden_state

    args = torch.randint(10, high, shape), torch.ones(shape, dtype=torch.int64)
    return torch_export(Encoder(), args, target, ["input_ids", "attention_mask"], "last_hidden_state", {0: "b", 1: "s"})


def minilm(key, target):
    from transformers import AutoModel
    net = AutoModel.from_pretrained(os.path.dirname(source(key)), attn_implementation="eager", local_files_only=True)
    return encoder(net, target, (2, 32), 20000)


def resemblyzer(key, target):
    import torch

    class VoiceEncoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)

        def forward(self, x):
            e = torch.relu(self.linear(self.lstm(x)[1][0][-1]))
            return e / torch.norm(e, dim=1, keepdim=True)

    net = VoiceEncoder()
    net.load_state_dict({k: v for k, v in weights(source(key), weights_only=False)["model_state"].items() if "similarity" not in k})
    return torch_export(net, (torch.rand(1, 160, 40),), target, ["mels"], "embed", {0: "batch"})


def smollm(key, target):
    import onnxruntime
    import torch
    from transformers import AutoModelForCausalLM
    folder, name = os.path.split(source(key))
    net = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, attn_implementation="eager").eval()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, ids):
            return self.net(input_ids=ids, use_cache=False).logits

    ids = torch.randint(0, 49000, (1, 64))
    torch.onnx.export(Logits(), (ids,), target, input_names=["input_ids"], output_names=["logits"], dynamo=True,
                      dynamic_shapes={"ids": {1: torch.export.Dim("seq", min=2, max=2048)}}, opset_version=18, external_data=True)
    with torch.no_grad():
        want = Logits()(ids).numpy()
    got = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"]).run(None, {"input_ids": ids.numpy()})[0]
    return float(np.abs(got - want).max() / np.abs(want).max())


def centerface(key, target):
    """The file declares 10x3x32x32; it runs at any size."""
    import onnx
    m = onnx.load(source(key))
    for d, n in zip(m.graph.input[0].type.tensor_type.shape.dim, manifest.MODELS[key].inputs[0].shape):
        d.dim_value = n
    for o in m.graph.output:
        for d, name in zip(o.type.tensor_type.shape.dim, "nchw"):
            d.dim_param = f"{o.name}_{name}"
    del m.graph.value_info[:]
    onnx.save(m, target)
    return 0.0


def tflite(key, target):
    import tflite_to_onnx
    return tflite_to_onnx.convert(source(key), target, key)


def resnet50(key, target):
    """ResNet-50 v1.5 with He-initialised random weights, opset 13; built without a framework."""
    import onnx
    from onnx import helper, numpy_helper
    rng, nodes, inits = np.random.default_rng(50), [], []

    def const(array):
        inits.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), f"w{len(inits)}"))
        return inits[-1].name

    def add(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def conv(x, cin, cout, k, stride=1, gain=1.0, relu=True):
        w = const(rng.standard_normal((cout, cin, k, k)) * np.sqrt(2 / (cin * k * k)))
        x = add("Conv", [x, w], kernel_shape=[k, k], strides=[stride] * 2, pads=[k // 2] * 4)
        scale = gain * rng.uniform(0.8, 1.2, cout)
        x = add("BatchNormalization", [x, const(scale), const(rng.normal(0, 0.1, cout)), const(rng.normal(0, 0.1, cout)),
                                       const(rng.uniform(0.8, 1.2, cout))])
        return add("Relu", [x]) if relu else x

    x = add("MaxPool", [conv("x", 3, 64, 7, 2)], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    cin = 64
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(depth):
            s = stride if i == 0 else 1
            y = conv(conv(conv(x, cin, width, 1), width, width, 3, s), width, 4 * width, 1, gain=0.3, relu=False)
            x = add("Relu", [add("Add", [y, conv(x, cin, 4 * width, 1, s, relu=False) if i == 0 else x])])
            cin = 4 * width
    x = add("Flatten", [add("GlobalAveragePool", [x])])
    nodes.append(helper.make_node("Gemm", [x, const(rng.standard_normal((1000, cin)) / np.sqrt(cin)), const(np.zeros(1000))], ["y"], transB=1))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "resnet50", [info("x", 1, [1, 3, 224, 224])], [info("y", 1, [1, 1000])], inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), target)
    return 0.0


RECIPES = {"minilm-l6-v2": minilm, "resemblyzer-lstm": resemblyzer, "smollm2-135m": smollm,
           "centerface": centerface, "resnet50-random": resnet50}


def recipe(key):
    if key.startswith("efficientnet-lite"):
        return efficientnet_lite
    return tflite if manifest.MODELS[key].source.endswith(".tflite") else RECIPES[key]


def main(keys):
    warnings.filterwarnings("ignore")
    for key in keys:
        folder, name = os.path.split(manifest.MODELS[key].path)
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as tmp:  # no half-written file is left behind
            difference = recipe(key)(key, os.path.join(tmp, name))
            if difference > 1e-4:
                raise SystemExit(f"error: {key}: export differs from its source by {difference:.1e}")
            for f in sorted(os.listdir(tmp), reverse=True):  # external data before the model
                os.replace(os.path.join(tmp, f), os.path.join(folder, f))
        print(f"{difference:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
