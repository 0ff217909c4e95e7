"""Pictures as inline SVG, drawn by hand: no fonts, no scripts, the same bytes every time."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape


def _svg(width: int, height: int, body: Sequence[str], label: str, css: str = "") -> Markup:
    head = (
        f'<svg class="{css}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
    )
    return Markup(head + "".join(body) + "</svg>")  # noqa: S704 - every text in it is escaped


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "middle") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" class="{css}" text-anchor="{anchor}">{escape(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, css: str, title: str = "") -> str:
    tip = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" height="{_n(max(height, 0))}" '
        f'rx="1.5" class="{css}">{tip}</rect>'
    )


def columns(
    labels: Sequence[str], values: Sequence[float | None], texts: Sequence[str], label: str, last: int = 1
) -> Markup:
    """Column chart of a few months; the last `last` columns are the present.

    Parameters
    ----------
    labels, values, texts : sequence
        Under each column, its height (None where unknown) and the words shown for it.
    label : str
        What the picture shows, for screen readers.
    """
    width, height, low = 360, 118, 96
    top = max([v for v in values if v is not None], default=0) or 1
    step = width / max(len(values), 6)
    body = [f'<line x1="0" y1="{low}" x2="{width}" y2="{low}" class="axis"/>']
    for i, (name, value, text) in enumerate(zip(labels, values, texts, strict=True)):
        x = i * step
        now = i >= len(values) - last
        if value is None:
            body.append(_text(x + step / 2, low - 4, "–", "tick"))
        else:
            tall = (low - 20) * value / top
            tip = f"{name} {text}"
            body.append(_rect(x + step * 0.18, low - tall, step * 0.64, tall, "now" if now else "past", tip))
        # The year stands under the first column and under each January.
        short = name if i == 0 or name.endswith("01") else name[-2:]
        body.append(_text(x + step / 2, height - 8, short, "tick"))
    body.append(_text(width, 11, texts[-1], "value", "end"))
    return _svg(width, height, body, label, "chart")


def histogram(edges: Sequence[str], everyone: Sequence[int], listed: Sequence[int], label: str) -> Markup:
    """Histogram with a logarithmic height; those on the list in a second colour.

    Parameters
    ----------
    edges : sequence of str
        Text of the bin edges; one more than bins.
    everyone, listed : sequence of int
        Counts per bin; `listed` is part of `everyone`.
    """
    width, height, low, gutter = 360, 150, 122, 32
    top = math.log10(max([*everyone, 1]) + 1)
    step = (width - gutter) / len(everyone)
    body = []
    for power in range(int(top) + 1):
        y = low - (low - 14) * math.log10(10**power + 1) / top
        body.append(f'<line x1="0" y1="{_n(y)}" x2="{width - gutter}" y2="{_n(y)}" class="grid"/>')
        body.append(_text(width, y + 3, f"{10**power:,}", "tick", "end"))
    for i, (count, part) in enumerate(zip(everyone, listed, strict=True)):
        tip = f"{edges[i]} – {edges[i + 1]}: {count:,} / {part:,}"
        for value, css in ((count, "past"), (part, "now")):
            tall = (low - 14) * math.log10(value + 1) / top
            body.append(_rect(i * step + 1, low - tall, step - 2, tall, css, tip))
    every = max(1, len(everyone) // 5)
    for i in range(0, len(edges), every):
        anchor = "start" if i == 0 else "end" if i == len(edges) - 1 else "middle"
        body.append(_text(i * step, height - 12, edges[i], "tick", anchor))
    return _svg(width, height, body, label, "chart")


def gain(recovery: Sequence[float], label: str) -> Markup:
    """Share of the list's expected recovery gathered by its first ranks, as an area."""
    width, height, low = 360, 150, 122
    total = sum(recovery) or 1
    points, running = [(0.0, float(low))], 0.0
    stride = max(1, len(recovery) // 120)
    for i, value in enumerate(recovery, 1):
        running += value
        if i % stride == 0 or i == len(recovery):
            points.append((width * i / len(recovery), low - (low - 14) * running / total))
    line = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    body = [
        f'<polygon points="{line} {width},{low}" class="area"/>',
        f'<polyline points="{line}" class="line"/>',
    ]
    for share in (0.5, 1.0):
        y = low - (low - 14) * share
        body.append(f'<line x1="0" y1="{_n(y)}" x2="{width}" y2="{_n(y)}" class="grid"/>')
        body.append(_text(2, y - 3, f"{share:.0%}", "tick", "start"))
    for share in (0, 0.25, 0.5, 0.75, 1):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        body.append(
            _text(width * share, height - 12, f"{max(1, round(len(recovery) * share))}", "tick", anchor)
        )
    return _svg(width, height, body, label, "chart")


def pair(bins: Sequence[str], usual: Sequence[float], now: Sequence[float], label: str) -> Markup:
    """Two distributions over the same bins side by side: usual in the light colour, now in the dark one.

    Parameters
    ----------
    bins : sequence of str
    usual, now : sequence of float
        Shares per bin.
    label : str
        What the picture shows, for screen readers.
    """
    width, height, low = 360, 118, 92
    top = max([*usual, *now], default=0.0) or 1.0
    step = width / max(len(bins), 1)
    body = [f'<line x1="0" y1="{low}" x2="{width}" y2="{low}" class="axis"/>']
    for i, (name, before, share) in enumerate(zip(bins, usual, now, strict=True)):
        tip = f"{name}: {before:.1%} → {share:.1%}"
        for place, value, css in ((0.12, before, "past"), (0.5, share, "now")):
            tall = (low - 8) * value / top
            body.append(_rect((i + place) * step, low - tall, step * 0.36, tall, css, tip))
        body.append(_text((i + 0.5) * step, height - 10 - 8 * (i % 2), name, "tick"))
    return _svg(width, height, body, label, "chart")
