"""Pictures of a back-test: figures with their intervals by month, and stated against observed risk."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from fraud.report.pictures import _n, _svg, _text

Figure = Mapping[str, float]


def intervals(labels: Sequence[str], series: Mapping[str, Sequence[Figure]], label: str) -> Markup:
    """Dots with whiskers, one group per label and one dot per series; heights from 0 to 1.

    Parameters
    ----------
    labels : sequence of str
        Under each group.
    series : mapping of str to sequence of mapping
        Name → value, low and high (NaN where unknown) per label.
    label : str
        What the picture shows, for screen readers.
    """
    width, height, low, left = 520, 190, 160, 30
    step = (width - left) / max(len(labels), 1)
    body = [_grid(left, width, low, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for place, (name, figures) in enumerate(series.items()):
        shift = step * (place + 1) / (len(series) + 1)
        for number, figure in enumerate(figures):
            body.append(_dot(left + number * step + shift, low, place, figure, f"{labels[number]} {name}"))
    for number, text in enumerate(labels):
        body.append(_text(left + number * step + step / 2, height - 10, text[2:].replace("-", "/"), "tick"))
    return _svg(width, height, body, label, "chart")


def _grid(left: float, width: float, low: float, share: float) -> str:
    y = low - (low - 14) * share
    return f'<line x1="{left}" y1="{_n(y)}" x2="{width}" y2="{_n(y)}" class="grid"/>' + _text(
        left - 4, y + 3, f"{share:.0%}", "tick", "end"
    )


def _dot(x: float, low: float, place: int, figure: Figure, name: str) -> str:
    value = figure["value"]
    if not math.isfinite(value):
        return ""
    height = lambda v: _n(low - (low - 14) * min(max(v, 0.0), 1.0))  # noqa: E731
    drawn = ""
    bounds = (figure.get("low", math.nan), figure.get("high", math.nan))
    if all(math.isfinite(b) for b in bounds):
        drawn = _whisker(x, height(bounds[0]), height(bounds[1]), f"w{place}")
    tip = f"{name} {value:.2f}" + (f" ({bounds[0]:.2f}–{bounds[1]:.2f})" if drawn else "")
    return drawn + _circle(x, height(value), f"d{place}", tip)


def _whisker(x: float, begin: str, end: str, css: str) -> str:
    return f'<line x1="{_n(x)}" y1="{begin}" x2="{_n(x)}" y2="{end}" class="{css}"/>'


def _circle(x: float, y: str, css: str, tip: str) -> str:
    return f'<circle cx="{_n(x)}" cy="{y}" r="4" class="{css}"><title>{escape(tip)}</title></circle>'


def reliability(bins: Sequence[Mapping[str, float]], label: str) -> Markup:
    """Observed against stated share confirmed; the diagonal is a model that means what it says."""
    size, low, left = 230, 196, 32
    across = lambda v: left + (size - left) * v  # noqa: E731
    up = lambda v: low - (low - 12) * v  # noqa: E731
    body = [_grid(left, size, low, share) for share in (0.0, 0.5, 1.0)]
    body.append(
        f'<line x1="{across(0)}" y1="{_n(up(0))}" x2="{across(1)}" y2="{_n(up(1))}" class="diagonal"/>'
    )
    for each in bins:
        x, tip = across(each["stated"]), f"{each['stated']:.2f} → {each['observed']:.2f} ({each['rows']:.0f})"
        body.append(_whisker(x, _n(up(each["low"])), _n(up(each["high"])), "w0"))
        body.append(_circle(x, _n(up(each["observed"])), "d0", tip))
    body += [_text(across(s), low + 16, f"{s:.0%}", "tick") for s in (0.0, 0.5, 1.0)]
    return _svg(size + 12, low + 24, body, label, "chart square")
