"""Figures for the head of the office, over the cases an account may see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

from django.db.models import Count, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext

from fraud.workbench import tallies
from fraud.workbench.books import MARK_KINDS, Word
from fraud.workbench.marks import DETECTORS
from fraud.workbench.models import Account, Case
from fraud.workbench.narrowing import AGES, of_age
from fraud.workbench.scope import limits, visible
from fraud.workbench.sight import whole
from fraud.workbench.speech import money, short_day, spoken
from fraud.workbench.tallies import ALL, DEPARTMENT, HOLDER, Sums

Cases: TypeAlias = "QuerySet[Case]"
WEEKS = 12
MONTHS = (3, 6, 12, 24)
"""Periods one can choose, in months; rates are of what was decided in the period."""
_ROWS = 15
_FEWEST = 5
"""Fewest decided cases that a rate is told of."""


@dataclass(frozen=True)
class Bar:
    """One row of a figure.

    Attributes
    ----------
    label : str
    value : float
        What the bar's width stands for.
    shown : str
        Value in words.
    query : str
        Filters of the list that give the cases counted.
    note : str
        What else to say of it.
    share : float or None
        Second, darker part of the bar, as a share of its width.
    part : str
        Filters of the list for that part; empty where it has none.
    """

    label: str
    value: float
    shown: str
    query: str
    note: str = ""
    share: float | None = None
    part: str = ""


def since(months: int) -> date:
    """First day of the period: the Monday of the week some months ago, for sums are kept by week."""
    return tallies.week_of(timezone.localdate() - timedelta(days=round(30.44 * months)))


def figures(account: Account, months: int) -> dict[str, Any]:
    """All figures of the page: of decided cases from the weekly sums, of open ones from an index.

    Parameters
    ----------
    account : Account
        Only its cases are counted.
    months : int
        Period of decisions that rates and money are of.

    Returns
    -------
    dict
        ``totals``, and lists of `Bar`: ``ages``, ``weeks``, ``took``, ``rule``, ``detector``, ``reason``,
        ``department`` and ``auditor``.
    """
    own, first, start = visible(account).order_by(), since(months), _first_week()
    limited = bool(limits(account))
    found = tallies.recounted(own, first, whole(own, account)) if limited else tallies.kept(first)
    weeks = dict(tallies.weeks_recounted(own, start) if limited else tallies.weeks_kept(start))
    period = {"since": first.isoformat()}
    now, done = _now(own), found[ALL][""]
    return {
        "totals": _totals(now, done, period),
        "ages": _ages(now),
        "weeks": _weeks(start, weeks),
        "took": _took(done, period),
        **_hits(found, period),
        "department": _departments(found.get(DEPARTMENT, {}), period),
        "auditor": _auditors(found.get(HOLDER, {}), period),
        "since": first,
    }


def _first_week() -> date:
    return tallies.week_of(timezone.localdate()) - timedelta(weeks=WEEKS - 1)


def _now(own: Cases) -> dict[str, Any]:
    """Open cases: ``n``, ``found``, and of each age ``n0`` … and ``m0`` …, each a range of an index."""
    found: dict[str, Any] = {"n": 0, "found": 0}
    for place, age in enumerate(AGES):
        row = own.filter(of_age(age)).aggregate(
            n=Count("pk"), found=Sum("at_risk_cents"), expected=Sum("expected_cents")
        )
        found |= {f"n{place}": row["n"], f"m{place}": row["expected"]}
        found["n"] += row["n"]
        found["found"] += row["found"] or 0
    return found


def _totals(now: dict[str, Any], done: Sums, period: dict[str, str]) -> list[tuple[str, str, str]]:
    """Cases and money: words, value, and the list's query."""
    ratio = f"{done.confirmed / done.decided:.0%}" if done.decided else "–"
    took = {"spent": _days(done.spent_hours, done.decided), "held": _days(done.held_hours, done.held)}
    decided = _query(outcome="decided", **period)
    confirmed = _query(outcome="confirmed", **period)
    return [
        (gettext("未结案件"), f"{now['n']:,}", _query(outcome="open")),
        (gettext("未结涉及金额"), money(now["found"], 1), _query(outcome="open")),
        (gettext("作出结论"), f"{done.decided:,}", decided),
        (gettext("确认率"), ratio, confirmed),
        (gettext("发现金额"), money(done.at_risk_cents, 1), decided),
        (gettext("确认金额"), money(done.confirmed_cents, 1), confirmed),
        (gettext("追回金额"), money(done.recovered_cents, 1), _query(outcome="recovered", **period)),
        (gettext("平均用时（开案/领取）"), gettext("%(spent)s / %(held)s 天") % took, decided),
    ]  # fmt: skip


def _days(hours: int, cases: int) -> str:
    return f"{hours / cases / 24:.1f}" if cases else "–"


def _query(**filters: str) -> str:
    return urlencode(filters)


def _ages(row: dict[str, Any]) -> list[Bar]:
    """Open cases by days since they were opened."""
    return [
        Bar(_age(age), row[f"n{i}"], f"{row[f'n{i}']:,}", _query(outcome="open", age=age),
            gettext("预期追回 %(money)s") % {"money": money(row[f"m{i}"], 1)})
        for i, age in enumerate(AGES)
    ]  # fmt: skip


def _took(done: Sums, period: dict[str, str]) -> list[Bar]:
    """Decided cases by days from opening to decision."""
    counts = (done.took_0, done.took_1, done.took_2, done.took_3)
    return [
        Bar(_age(age), n, f"{n:,}", _query(took=age, outcome="decided", **period))
        for age, n in zip(AGES, counts, strict=True)
    ]


def _age(age: str) -> str:
    if age.endswith("-"):
        return gettext("%(days)s 天以上") % {"days": age.removesuffix("-")}
    return gettext("%(days)s 天") % {"days": age.replace("-", "–")}


def _weeks(first: date, known: Mapping[date, Sums]) -> list[Bar]:
    """Decisions of the last weeks; the darker part are confirmations."""
    bars = []
    for number in range(WEEKS):
        day = first + timedelta(weeks=number)
        own = known.get(day, Sums())
        year, week, _ = day.isocalendar()
        code = f"{year}-W{week:02d}"
        label = gettext("%(day)s 起") % {"day": short_day(day)}
        note = gettext("确认 %(n)s") % {"n": f"{own.confirmed:,}"}
        share = own.confirmed / own.decided if own.decided else None
        bars.append(
            Bar(label, own.decided, f"{own.decided:,}", _query(week=code), note, share,
                _query(week=code, outcome="confirmed"))
        )  # fmt: skip
    return bars


def _most(sums: Mapping[str, Sums], rows: int = _ROWS) -> list[tuple[str, Sums]]:
    """Codes with the most decided cases."""
    return sorted(sums.items(), key=lambda s: (-s[1].decided, s[0]))[:rows]


def _hits(found: Mapping[str, Mapping[str, Sums]], period: dict[str, str]) -> dict[str, list[Bar]]:
    """Share confirmed of what each rule, detector and reason listed, of those that listed most."""
    known = {code: (zh, en) for code, zh, en in Word.objects.values_list("code", "zh", "en")} | DETECTORS
    bars = {}
    for kind in MARK_KINDS:
        most = _most(found.get(kind, {}))
        told = [(spoken(known.get(c, (c, ""))) or c, c, s.decided, s.confirmed) for c, s in most]
        bars[kind] = _rates(told, kind, "confirmed", period)
    return bars


def _rates(
    rows: list[tuple[str, str, int, int]], name: str, outcome: str, period: dict[str, str]
) -> list[Bar]:
    """Shares, the largest first: of rows of words, code, decided cases, and those with the outcome."""
    bars = []
    for words, code, n, part in rows:
        base = {name: code, **period}
        few = "" if n >= _FEWEST else gettext("，不足 %(n)s 件") % {"n": _FEWEST}
        share = part / n
        bars.append(
            Bar(words, share, f"{share:.0%}", _query(outcome="decided", **base), f"{part:,} / {n:,}{few}",
                part=_query(outcome=outcome, **base))
        )  # fmt: skip
    return sorted(bars, key=lambda b: -b.value)


def _departments(sums: Mapping[str, Sums], period: dict[str, str]) -> list[Bar]:
    """False alarms by department: cleared of decided."""
    told = [(code, code, s.decided, s.cleared) for code, s in _most(sums)]
    return _rates(told, "department", "cleared", period)


def _auditors(sums: Mapping[str, Sums], period: dict[str, str]) -> list[Bar]:
    """Cleared of decided by who held the case."""
    most = _most(sums, 2 * _ROWS)
    names = Account.objects.in_bulk([int(code) for code, _ in most])
    told = [(names[int(c)].username, names[int(c)].username, s.decided, s.cleared) for c, s in most]
    return _rates(told, "assignee", "cleared", period)
