# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A lit format that runs each test function of a `test_*.py` by pytest, in a process of its own."""
import ast
import os
import subprocess

import lit.formats
import lit.Test

TIMEOUT = 300


class Format(lit.formats.ShTest):
    """Shell tests as lit knows them, and pytest functions as `FILE.py/FUNCTION`."""

    def __init__(self, python):
        super().__init__()
        self.python = python

    def getTestsForPath(self, suite, path, lit_config, local_config):
        if not (path[-1].startswith("test_") and path[-1].endswith(".py")):
            yield from super().getTestsForPath(suite, path, lit_config, local_config)
            return
        with open(suite.getSourcePath(path), encoding="utf8") as file:
            tree = ast.parse(file.read())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield lit.Test.Test(suite, (*path, node.name), local_config)

    def execute(self, test, lit_config):
        file = test.getSourcePath()
        if not os.path.dirname(file).endswith(".py"):
            return super().execute(test, lit_config)
        command = [self.python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir",
                   test.config.tamis_source_root, "-c", os.path.join(test.config.tamis_source_root, "pyproject.toml"),
                   f"{os.path.dirname(file)}::{os.path.basename(file)}"]
        try:
            done = subprocess.run(command, env=test.config.environment, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            return lit.Test.TIMEOUT, f"no end after {TIMEOUT} s\n{error.stdout or ''}"
        text = done.stdout + done.stderr
        if done.returncode == 0:
            return (lit.Test.UNSUPPORTED if " passed" not in text else lit.Test.PASS), text
        return lit.Test.FAIL, f"exit status {done.returncode}\n{text}"
