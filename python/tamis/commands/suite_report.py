# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text of a benchmark over a list of models: a line each, the means, and docs/Benchmarks.md."""
import math

from .. import files


def _times(result):
    return {row["engine"]: row for row in result["rows"]}


def _cell(value, form):
    return "-" if value is None else form.format(value)


def verdict(result):
    """Why a model has no ratio or must not count; empty if all is well."""
    if result.get("problem"):
        return result["problem"]
    mine = _times(result).get("tamis", {})
    return mine.get("problem") or mine.get("difference") or ""


def line(result):
    """One model in one line."""
    parts = [f"{result['key']:36}"]
    for name, row in _times(result).items():
        milliseconds = None if row["median_s"] is None else row["median_s"] * 1e3
        parts.append(f"{name} {_cell(milliseconds, '{:9.3f}')} ms")
    parts += [f"{name} x{ratio:.2f}" for name, ratio in result.get("ratios", {}).items() if ratio is not None]
    return "  ".join(parts) + (f"  {verdict(result)}" if verdict(result) else "")


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(results):
    """Geometric means per class and peer, over the models whose results are right."""
    lines = []
    for kind in ("float", "fp16", "quantized"):
        for peer in ("onnxruntime", "openvino"):
            ratios = [r["ratios"][peer] for r in results
                      if r.get("class") == kind and r.get("ratios", {}).get(peer) is not None and not verdict(r)]
            if ratios:
                lines.append(f"{kind} models, {peer} time / tamis time: geometric mean {geometric_mean(ratios):.2f}, "
                             f"{min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} models")
    failed = [r["key"] for r in results if verdict(r)]
    lines.append(f"{len(results) - len(failed)} of {len(results)} models measured with right results"
                 + (f"; not: {', '.join(failed)}" if failed else ""))
    return lines


def write(path, results, lines, facts):
    """The Markdown page with every model, losses included."""
    text = ["# Benchmarks", "",
            "Written by `tamis benchmark --suite test/Models/models.txt --markdown docs/Benchmarks.md`; not edited by hand.",
            "Ratio = time of the peer / time of Tamis, so above 1 Tamis is faster. One process per model, pinned to one core,",
            "engines in turns, median of at least 30 rounds (5 above 200 ms), outputs checked.", "",
            f"Machine: {facts['cpu']}, caches {', '.join(f'{k} {v}' for k, v in facts['caches'].items())}. Versions: "
            + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()) + ".", ""]
    text += [f"- {entry}" for entry in lines] + [""]
    text += ["| model | class | tamis ms (min) | onnxruntime ms (min) | openvino ms (min) | ORT / Tamis | OV / Tamis | limit G/s | note |",
             "|---|---|--:|--:|--:|--:|--:|--:|---|"]
    for result in results:
        rows, ratios = _times(result), result.get("ratios", {})
        cells = []
        for name in ("tamis", "onnxruntime", "openvino"):
            row = rows.get(name)
            shown = row and row["median_s"] is not None
            cells.append(f"{row['median_s'] * 1e3:.3f} ({row['min_s'] * 1e3:.3f})" if shown else "-")
        limit = result.get("limit_median")
        text.append(f"| `{result['key']}` | {result.get('class', '')} | {' | '.join(cells)} | "
                    f"{_cell(ratios.get('onnxruntime'), '{:.2f}')} | {_cell(ratios.get('openvino'), '{:.2f}')} | "
                    f"{_cell(limit and limit / 1e9, '{:.0f}')} | {verdict(result).replace('|', '/')} |")
    files.write_text(path, "\n".join(text) + "\n", "the table")
