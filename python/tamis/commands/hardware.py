# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis hardware`: the machine as the compiler sees it, and its measured limits."""
import os
import platform

import click

from .. import _tamis, vulkan
from . import common


def _first(path, key=None):
    try:
        with open(path, encoding="utf8") as file:
            for line in file:
                if key is None:
                    return line.strip()
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""


def _caches():
    """{"L1d": "32K", ...} of the first core."""
    found, base = {}, "/sys/devices/system/cpu/cpu0/cache"
    for entry in sorted(os.listdir(base)) if os.path.isdir(base) else ():
        kind, level = _first(f"{base}/{entry}/type"), _first(f"{base}/{entry}/level")
        if level:
            found[f"L{level}" + {"Data": "d", "Instruction": "i"}.get(kind, "")] = _first(f"{base}/{entry}/size")
    return found


def quota():
    """Processors the cgroup allows, or None without a limit."""
    text = _first("/sys/fs/cgroup/cpu.max").split()
    if len(text) == 2 and text[0] != "max":
        return int(text[0]) / int(text[1])
    v1 = _first("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), _first("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return int(v1[0]) / int(v1[1]) if all(v1) and int(v1[0]) > 0 else None


def describe():
    """The facts as plain data, without the measured limits."""
    return {"cpu": _first("/proc/cpuinfo", "model name") or platform.processor(), "architecture": platform.machine(),
            "cores": len(os.sched_getaffinity(0)), "quota": quota(), "caches": _caches(),
            "features": _tamis.host_features().split(","), "vulkan": vulkan.devices(), "tamis": _tamis.version}


@common.command("hardware", click.option("--seconds", default=0.2, show_default=True, help="Time per limit loop; 0 leaves them out."))
def command(output, seconds):
    """Show this machine's features, caches and measured limits.

    \b
    Example:
      tamis hardware --json hardware.json
    """
    facts = describe()
    facts["limits"] = {name: _tamis.measure_limit(name, seconds) for name in _tamis.limit_loops()} if seconds > 0 else {}
    rows = [("processor", facts["cpu"]), ("architecture", facts["architecture"]), ("cores", facts["cores"]),
            ("cgroup quota", facts["quota"] or "none"), ("caches", ", ".join(f"{k} {v}" for k, v in facts["caches"].items())),
            ("features", " ".join(facts["features"]) if output.level > 0 else _short(facts["features"]))]
    rows += [(f"limit {name}", f"{rate / 1e9:.1f} G{'FLOP' if name.startswith('fma') else 'B' if name == 'read' else 'OP'}/s, one core")
             for name, rate in facts["limits"].items()]
    rows += [(f"vulkan device {number}", f"{device['name']} ({device['kind']}, Vulkan {device['api']})")
             for number, device in enumerate(facts["vulkan"])]
    output.table("fact", "value", rows=rows)
    output.result(facts)


def _short(features):
    known = [f for f in features if f.lstrip("+").startswith(("avx", "amx", "fma", "f16c", "sse4.2", "neon", "dotprod", "i8mm", "sve"))]
    return " ".join(f.lstrip("+") for f in known) + "  (-v shows all)"
