"""Claims of a subject over time as a picture: places of dots and bars, drawn by the template as SVG."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from math import sqrt
from typing import Any

from django.utils.translation import gettext

from fraud.report.content import VISIT_WORDS
from fraud.workbench.models import Case
from fraud.workbench.sight import Sight
from fraud.workbench.speech import day as shown_day
from fraud.workbench.speech import money, short_month, spoken

WIDTH, LEFT, RIGHT, TOP, LANE, BARS = 1000, 96, 14, 8, 22, 90
_LANES = 6
_MANY_MONTHS = 14


def picture(kind: str, rows: list[list[Any]], evidence: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Picture of a subject's claims with the evidence marked.

    Parameters
    ----------
    kind : str
        Kind of the subject; of a patient or a claim every claim is a dot in its institution's lane, of
        all others a week is a bar.
    rows : list
        As `fraud.workbench.details` kept them.
    evidence : dict
        Evidence claim → its facts.

    Returns
    -------
    dict or None
        ``width``, ``height``, ``months`` (x, words), ``lanes`` (y, words), ``dots`` or ``bars``; None
        where there is nothing to draw.
    """
    if not rows:
        return None
    return _dots(rows, set(evidence)) if kind in ("patient", "claim") else _bars(rows, evidence.values())


def seen_past(rows: list[list[Any]], case: Case, seen: Sight) -> list[list[Any]]:
    """What a limited account is shown of a subject's past: claims of its own institutions.

    Days that are sums already stay: they name nobody.
    """
    if seen.places is None or case.subject_kind not in ("patient", "claim"):
        return rows
    return [row for row in rows if row[3] in seen.places or row[5] in seen.claims]


class _Axis:
    """Days on the width of a picture."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, max(last, first + timedelta(30))
        self._unit = (WIDTH - LEFT - RIGHT) / ((self.last - self.first).days + 1)

    def __call__(self, day: date) -> float:
        return round(LEFT + (day - self.first).days * self._unit, 1)

    def width(self, days: int) -> float:
        return round(max(days * self._unit, 1.5), 1)

    def months(self) -> list[tuple[float, str]]:
        """First days of months; of every third where there are many."""
        months, day = [], self.first.replace(day=1)
        many = (self.last - self.first).days > 31 * _MANY_MONTHS
        while day <= self.last:
            if day >= self.first and (not many or day.month % 3 == 1):
                words = f"{day.year}" if day.month == 1 else short_month(day)
                months.append((self(day), words))
            day = (day + timedelta(32)).replace(day=1)
        return months


def _dots(rows: list[list[Any]], evidence: set[str]) -> dict[str, Any]:
    days = [(date.fromisoformat(r[0]), date.fromisoformat(r[1])) for r in rows]
    axis = _Axis(min(d for d, _ in days), max(d for _, d in days))
    most = max((abs(r[4]) for r in rows), default=0) or 1
    often = Counter(r[3] for r in rows)
    marked = Counter(r[3] for r in rows if r[5] in evidence)
    order = sorted(often, key=lambda i: (-marked[i], -often[i], i))
    lane = {place: min(n, _LANES) for n, place in enumerate(order)}
    dots = []
    for (start, end), (_, _, visit, place, cents, claim) in zip(days, rows, strict=True):
        y, odd = TOP + LANE * lane[place] + LANE / 2, claim in evidence
        stay = (end - start).days > 0
        words, until = spoken(VISIT_WORDS.get(visit, (visit, ""))), f" – {shown_day(end)}" if stay else ""
        dots.append({
            "x": axis(start), "y": y, "r": round(2.5 + 4.5 * sqrt(abs(cents) / most), 1), "odd": odd,
            "stay": stay, "w": axis.width((end - start).days + 1), "top": y - 4,
            "words": f"{shown_day(start)}{until} {words} {place} {money(cents)}",
        })  # fmt: skip
    lanes = [(TOP + LANE * n + LANE / 2, place or "–") for n, place in enumerate(order[:_LANES])]
    if len(order) > _LANES:
        lanes.append((TOP + LANE * _LANES + LANE / 2, gettext("其余 %(n)s 家") % {"n": len(order) - _LANES}))
    height = TOP + LANE * len(lanes)
    dots.sort(key=lambda d: bool(d["odd"]))  # evidence over the rest
    return {"width": WIDTH, "height": height + 18, "base": height, "months": axis.months(), "lanes": lanes,
            "dots": dots, "claims": len(rows)}  # fmt: skip


def _bars(rows: list[list[Any]], evidence: Iterable[dict[str, Any]]) -> dict[str, Any]:
    first, last = date.fromisoformat(rows[0][0]), date.fromisoformat(rows[-1][0])
    axis = _Axis(first, last)
    weeks: dict[int, list[int]] = {}
    for day, claims, cents in rows:
        own = weeks.setdefault((date.fromisoformat(day) - first).days // 7, [0, 0, 0, 0])
        own[0] += claims
        own[1] += cents
    for fact in evidence:
        when = str(fact.get("settled_at") or fact.get("ended_at") or fact.get("started_at") or "")[:10]
        if when and first <= date.fromisoformat(when) <= last:
            own = weeks.setdefault((date.fromisoformat(when) - first).days // 7, [0, 0, 0, 0])
            own[2] += 1
            own[3] += fact.get("fund_amount") or 0
    most = max((w[1] for w in weeks.values()), default=0) or 1
    bars = []
    for week, (claims, cents, odd, odd_cents) in sorted(weeks.items()):
        day = first + timedelta(7 * week)
        high = round(BARS * max(cents, 0) / most, 1)
        low = min(round(BARS * max(odd_cents, 0) / most, 1), high)
        told = {"day": shown_day(day), "n": claims, "money": money(cents), "odd": odd}
        bars.append({
            "x": axis(day), "w": round(axis.width(7) * 0.8, 1), "y": TOP + BARS - high, "h": high,
            "odd_y": TOP + BARS - low, "odd_h": max(low, 2 if odd else 0),
            "words": gettext("%(day)s 起一周：%(n)s 笔 %(money)s，其中证据 %(odd)s 笔") % told,
        })  # fmt: skip
    return {"width": WIDTH, "height": TOP + BARS + 18, "base": TOP + BARS, "months": axis.months(),
            "lanes": [(TOP + 8, money(most, 1)), (TOP + BARS - 2, gettext("每周"))],
            "bars": bars, "claims": sum(r[1] for r in rows)}  # fmt: skip
