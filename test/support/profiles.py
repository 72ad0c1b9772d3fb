# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles that make a cost model choose what a test is about."""
import dataclasses

from tamis import options, tuning


def write(path, target, facts):
    """The built-in profile of `target` with those of `facts` that it has; returns `path`."""
    content = tuning.read(dataclasses.replace(options.make(), target=target))
    content["facts"].update({name: value for name, value in facts.items() if name in content["facts"]})
    tuning.write(path, content)
    return path
