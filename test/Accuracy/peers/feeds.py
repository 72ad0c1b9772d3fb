# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the scripts of the peers share: feeds as one file, and what a run cost."""
import contextlib
import json
import re
import time

import numpy as np


def write_feeds(path, feeds):
    np.savez(path, **{f"{i}/{name}": array for i, feed in enumerate(feeds) for name, array in feed.items()})


def read_feeds(path):
    """The list of feeds of a file."""
    feeds = {}
    with np.load(path) as file:
        for key in file.files:
            index, name = key.split("/", 1)
            feeds.setdefault(int(index), {})[name] = file[key]
    return [feeds[i] for i in sorted(feeds)]


@contextlib.contextmanager
def measured():
    """Prints seconds and peak memory as the last line, in JSON."""
    start = time.monotonic()
    yield
    with open("/proc/self/status", encoding="utf8") as file:  # getrusage would count the parent's memory at the fork as well
        peak = int(re.search(r"VmHWM:\s*(\d+)", file.read())[1]) / 1024
    print(json.dumps({"seconds": round(time.monotonic() - start, 1), "peak_mb": round(peak)}))
