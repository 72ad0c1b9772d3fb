# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ways to compress a model that the suite compares.

    float                              the model as it is
    tamis[:STEP[+STEP...]]             STEP: prune or quantize, then KEY=VALUE of tamis.prune or tamis.quantize; lists a:b;
                                       KEY@LAYER:LAYER=VALUE is for these layers (overrides); tamis alone is tamis:quantize
    ort, ort:dynamic, ort:weight4[:BLOCK]   ONNX Runtime's quantizers, default settings (4 bits: blocks of 32)
    nncf, nncf:transformer, nncf:weight4   NNCF's

Compressed models are kept in build/accuracy/compressed with what making them cost.
"""
import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys

import data
import onnx
from peers import feeds as feed_files

NNCF = ["nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.32.0"]


class Skipped(Exception):
    """This machine cannot run the method; the text says why."""


def nncf_python():
    """The Python of an environment of its own with NNCF."""
    folder = os.path.join(data.MADE, "nncf")
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "packages.txt")
    if not os.path.exists(done):
        try:
            data.fetch_models.run([sys.executable, "-m", "venv", folder])
            data.fetch_models.run([python, "-m", "pip", "install", "-q", *NNCF])
        except RuntimeError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise Skipped(f"NNCF does not install: {error}") from None
        with open(done, "w", encoding="utf8") as file:
            file.write("\n".join(NNCF))
    return python


def steps(text):
    """[("prune" or "quantize", {option: value})] of what follows `tamis:`."""
    found = []
    for step in (text or "quantize").split("+"):
        verb, *settings = step.split(",")
        if verb not in ("prune", "quantize"):
            raise ValueError(f"unknown step '{verb}': expected prune or quantize")
        options = {}
        for key, _, value in (setting.partition("=") for setting in settings):
            name, _, layers = key.partition("@")
            for layer in layers.split(":") if layers else ():
                options.setdefault("overrides", {}).setdefault(layer, {})[name] = _value(value)
            if not layers:
                options[name] = _value(value)
        found.append((verb, options))
    return found


def _value(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [_value(part) for part in text.split(":") if part] if ":" in text else text


def compressed(task, method, fresh=False):
    """(path, costs) of the model of `task` after `method`."""
    if method == "float":
        return task.model(), {}
    key = hashlib.sha256(method.encode()).hexdigest()[:8]
    path = data.made(f"compressed/{task.name}.{method.split(':')[0]}-{key}.onnx")
    note = path.removesuffix(".onnx") + ".json"
    if fresh or not os.path.exists(note):
        for old in (path, path + ".data", note):
            if os.path.exists(old):
                os.remove(old)
        costs = _make(task, method, path)
        with open(note, "w", encoding="utf8") as file:
            json.dump({"task": task.name, "method": method, **costs}, file)
    with open(note, encoding="utf8") as file:
        return path, json.load(file)


def _make(task, method, path):
    tool, _, options = method.partition(":")
    feeds = data.made(f"feeds/{task.name}.npz")
    if not os.path.exists(feeds):
        feed_files.write_feeds(feeds, task.calibration())
    if tool == "tamis":
        steps(options)
        return run([sys.executable, os.path.join(data.HERE, "peers", "tamis_compress.py"), task.model(), feeds, path, options])
    if tool not in ("ort", "nncf"):
        raise ValueError(f"unknown method '{method}'")
    python = data.torch_python() if tool == "ort" else nncf_python()
    command = [python, os.path.join(data.HERE, "peers", f"{tool}_quantize.py"), task.model(), feeds, path]
    return run(command + ([options] if options else []))


def run(command):
    """Run one of the scripts of peers/; its last line says what it cost."""
    environment = {**os.environ, "PYTHONPATH": os.path.join(data.TOP, "python")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()
        raise Skipped(lines[-1][:300])
    return json.loads(done.stdout.splitlines()[-1])


def size(path):
    """Bytes of a model and its external data."""
    total = os.path.getsize(path)
    names = {entry.value for tensor in onnx.load(path, load_external_data=False).graph.initializer
             for entry in tensor.external_data if entry.key == "location"}
    return total + sum(os.path.getsize(os.path.join(os.path.dirname(path), name)) for name in names)
