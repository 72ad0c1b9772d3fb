# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small plots as inline SVG: no script, no font, no image file; colours come from the page's style sheet."""
import math
from html import escape


def ticks(low, high, count=5):
    """Round numbers that span [low, high]."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    found = []
    while not found or found[-1] < high - step * 1e-6:
        found.append((first + len(found)) * step)
    return found


def number(value, digits=3):
    """A number as people write it."""
    if value is None or value != value:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    return (f"{float(text):.0f}" if abs(value) >= 10 ** digits else text).replace("-", "−")


class _Frame:
    """Axes of a plot: maps data to pixels and draws grid, ticks and labels."""

    def __init__(self, width, height, xs, ys, x_label, y_label, left=66):
        self.width, self.height = width, height
        self.left, self.right, self.top, self.bottom = left, 22, 16, 44
        self.xs, self.ys, self.parts = xs, ys, []
        for x in xs:
            at = self.x(x)
            self.parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{self.top}" y2="{height - self.bottom}"/>'
                              f'<text class="tick" x="{at:.1f}" y="{height - self.bottom + 16}" text-anchor="middle">{number(x)}</text>')
        for y in ys if y_label else ():
            at = self.y(y)
            self.parts.append(f'<line class="grid" x1="{left}" x2="{width - self.right}" y1="{at:.1f}" y2="{at:.1f}"/>'
                              f'<text class="tick" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{number(y)}</text>')
        middle = (self.top + height - self.bottom) / 2
        self.parts.append(f'<text class="label" x="{(left + width - self.right) / 2:.0f}" y="{height - 8}" '
                          f'text-anchor="middle">{escape(x_label)}</text>'
                          f'<text class="label" transform="translate(13 {middle:.0f}) rotate(-90)" '
                          f'text-anchor="middle">{escape(y_label)}</text>')

    def x(self, value):
        share = (value - self.xs[0]) / (self.xs[-1] - self.xs[0])
        return self.left + min(max(share, 0), 1) * (self.width - self.left - self.right)

    def y(self, value):
        share = (value - self.ys[0]) / (self.ys[-1] - self.ys[0])
        return self.height - self.bottom - min(max(share, 0), 1) * (self.height - self.top - self.bottom)

    def svg(self, name):
        return (f'<svg class="plot" role="img" aria-label="{escape(name)}" viewBox="0 0 {self.width} {self.height}">'
                f'{"".join(self.parts)}</svg>')


def pareto(points, front, max_drop, width=620, height=330):
    """Drop over time: `points` are dicts of ms, drop, title, kind (feasible, infeasible, chosen, float)."""
    usable = [p for p in points if p["ms"] == p["ms"] and math.isfinite(p["drop"])]
    limit = max([max_drop * 1.5] + [p["drop"] for p in usable if p["kind"] != "infeasible"])
    # A failed candidate far off must not squeeze the others: it sits at the upper edge.
    above = sorted(p["drop"] for p in usable if p["kind"] == "infeasible")
    limit = max(limit, min(above[-1], 5 * max_drop)) if above and max_drop else max(limit, above[-1] if above else 0)
    low = min([0.0] + [p["drop"] for p in usable])
    frame = _Frame(width, height, ticks(0, 1.05 * max([p["ms"] for p in usable], default=1.0)), ticks(low, limit or 1e-3),
                   "time of a call, ms", "drop of the metric")
    at = frame.y(max_drop)
    frame.parts.append(f'<line class="bound" x1="{frame.left}" x2="{width - frame.right}" y1="{at:.1f}" y2="{at:.1f}"/>'
                       f'<text class="tick" x="{width - frame.right - 4}" y="{at - 5:.1f}" text-anchor="end">'
                       f'maximum drop {number(max_drop)}</text>')
    if len(front) > 1:
        corners = " ".join(f"{frame.x(p['ms']):.1f},{frame.y(p['drop']):.1f}" for p in front)
        frame.parts.append(f'<polyline class="front" points="{corners}"/>')
    order = {"infeasible": 0, "feasible": 1, "float": 2, "chosen": 3}
    for p in sorted(usable, key=lambda p: order[p["kind"]]):
        radius = 6 if p["kind"] in ("chosen", "float") else 4
        frame.parts.append(f'<circle class="{p["kind"]}" cx="{frame.x(p["ms"]):.1f}" cy="{frame.y(p["drop"]):.1f}" r="{radius}">'
                           f'<title>{escape(p["title"])}</title></circle>')
        if p["kind"] in ("chosen", "float"):
            # The float model is the slower one as a rule: their names stand away from each other.
            away, up, anchor = (9, 8, "start") if p["kind"] == "float" else (-9, 8, "end")
            frame.parts.append(f'<text class="name" x="{frame.x(p["ms"]) + away:.1f}" y="{frame.y(p["drop"]) - up:.1f}" '
                               f'text-anchor="{anchor}">{p["kind"]}</text>')
    return frame.svg("Drop of the metric over time, one point per candidate")


def bars(rows, series, max_drop, width=620):
    """Horizontal bars: `rows` are (layer, {series: drop}); `series` their names in order."""
    lines = max(1, sum(len(values) for _, values in rows))
    height = 14 + 44 + 16 * lines + 6 * len(rows)
    finite = [v for _, values in rows for v in values.values() if math.isfinite(v)]
    frame = _Frame(width, height, ticks(min([0.0, *finite]), max([max_drop, *finite, 1e-9])), [0, 1],
                   "drop, this layer alone", "", left=215)
    y = frame.top + 2
    for layer, values in rows:
        middle = y + 8 * len(values)
        shown = layer if len(layer) <= 28 else "…" + layer[-27:]
        frame.parts.append(f'<text class="name" x="{frame.left - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(shown)}'
                           f'<title>{escape(layer)}</title></text>')
        for name, value in values.items():
            start, end = sorted((frame.x(0), frame.x(value if math.isfinite(value) else frame.xs[-1])))
            frame.parts.append(f'<rect class="series{series.index(name) % 6}" x="{start:.1f}" y="{y + 2}" '
                               f'width="{max(end - start, 1):.1f}" height="12">'
                               f'<title>{escape(f"{layer}: {name}: {number(value)}")}</title></rect>')
            y += 16
        y += 6
    at = frame.x(max_drop)
    frame.parts.append(f'<line class="bound" x1="{at:.1f}" x2="{at:.1f}" y1="{frame.top}" y2="{height - frame.bottom}"/>')
    return frame.svg("Drop of the metric with one layer compressed")


def histogram(before, after, low, high, width=150, height=44):
    """Two distributions over one range, heights on a square-root scale: small counts stay visible."""
    top = math.sqrt(max([*before, *after, 1e-12]))
    step = width / max(len(before), 1)

    def area(counts, css):
        points = [f"0,{height}"]
        for i, count in enumerate(counts):
            y = height - 1 - (height - 4) * math.sqrt(count) / top if count else height
            points += [f"{i * step:.1f},{y:.1f}", f"{(i + 1) * step:.1f},{y:.1f}"]
        return f'<polygon class="{css}" points="{" ".join(points)} {width},{height}"/>'

    title = escape(f"from {number(low)} to {number(high)}")
    return (f'<svg class="spark" role="img" aria-label="{title}" viewBox="0 0 {width} {height}"><title>{title}</title>'
            f'{area(before, "before")}{area(after, "after")}</svg>')
