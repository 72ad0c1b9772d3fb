# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models of models.txt. Loads python/tamis/suite.py by path: fetching and exporting run before the package is built."""
import importlib.util
import os

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
_spec = importlib.util.spec_from_file_location("tamis_suite", os.path.join(TOP, "python", "tamis", "suite.py"))
suite = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(suite)

MODELS = suite.read(os.path.join(HERE, "models.txt"))
ROOT = next(iter(MODELS.values())).root
feeds = suite.feeds


def select(names=None):
    """The models of a comma-separated list of keys; without one all that count for correctness."""
    if names:
        return suite.select(MODELS, names)
    return [m for m in MODELS.values() if "extra" not in m.kinds]
