"""Figures for the head of the office, counted in the database over the cases an account may see."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

from django.db.models import Avg, Count, Q, QuerySet, Sum
from django.utils import timezone

from fraud.workbench.books import MARK_KINDS, Word
from fraud.workbench.marks import DETECTORS
from fraud.workbench.models import Account, Case
from fraud.workbench.narrowing import AGES, of_age, of_duration
from fraud.workbench.scope import visible

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
    """First day of the period: some months ago."""
    return timezone.localdate() - timedelta(days=round(30.44 * months))


def figures(account: Account, months: int) -> dict[str, Any]:
    """All figures of the page, in six queries.

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
    own, first = visible(account).order_by(), since(months)
    decided = own.filter(decided_on__gte=first)
    period = {"since": first.isoformat()}
    now, done = _now(own), _done(decided)
    return {
        "totals": _totals(now, done, period),
        "ages": _ages(now),
        "weeks": _weeks(own),
        "took": _took(done, period),
        **_hits(decided, period),
        "department": _departments(decided, period),
        "auditor": _auditors(decided, period),
        "since": first,
    }


def _count(**conditions: Any) -> Count:
    return Count("pk", filter=Q(**conditions))


def _now(own: Cases) -> dict[str, Any]:
    """Open cases: ``n``, ``found``, and of each age ``n0`` … and ``m0`` …."""
    counts = {f"n{i}": Count("pk", filter=of_age(age)) for i, age in enumerate(AGES)}
    money = {f"m{i}": Sum("expected_cents", filter=of_age(age)) for i, age in enumerate(AGES)}
    return own.filter(open=True).aggregate(n=Count("pk"), found=Sum("at_risk_cents"), **counts, **money)


def _done(decided: Cases) -> dict[str, Any]:
    """Decided cases: counts, money, mean hours, and how many took how long: ``n0`` …."""
    counts = {f"n{i}": Count("pk", filter=of_duration(age)) for i, age in enumerate(AGES)}
    return decided.aggregate(
        n=Count("pk"), confirmed=_count(outcome="confirmed"), found=Sum("at_risk_cents"),
        money=Sum("amount_cents", filter=Q(outcome="confirmed")), back=Sum("recovered_cents"),
        spent=Avg("spent_hours"), held=Avg("held_hours"), **counts,
    )  # fmt: skip


def _totals(now: dict[str, Any], done: dict[str, Any], period: dict[str, str]) -> list[tuple[str, ...]]:
    """Cases and money: words in both languages, value, its kind, and the list's query."""
    ratio = f"{done['confirmed'] / done['n']:.0%}" if done["n"] else "–"
    return [
        ("未结案件", "open cases", f"{now['n']:,}", _query(outcome="open")),
        ("未结涉及金额", "at risk in open cases", _money(now["found"]), _query(outcome="open")),
        ("作出结论", "decided", f"{done['n']:,}", _query(outcome="decided", **period)),
        ("确认率", "confirmed of decided", ratio, _query(outcome="confirmed", **period)),
        ("发现金额", "found: at risk in decided", _money(done["found"]), _query(outcome="decided", **period)),
        ("确认金额", "confirmed", _money(done["money"]), _query(outcome="confirmed", **period)),
        ("追回金额", "recovered", _money(done["back"]), _query(outcome="recovered", **period)),
        ("平均用时", "from opened / from taken", f"{_days(done['spent'])} / {_days(done['held'])} 天",
         _query(outcome="decided", **period)),
    ]  # fmt: skip


def _money(cents: int | None) -> str:
    value = (cents or 0) / 100
    return f"{value / 1e4:,.1f} 万元" if abs(value) >= 1e4 else f"{value:,.0f} 元"


def _days(hours: float | None) -> str:
    return "–" if hours is None else f"{hours / 24:.1f}"


def _query(**filters: str) -> str:
    return urlencode(filters)


def _ages(row: dict[str, Any]) -> list[Bar]:
    """Open cases by days since they were opened."""
    return [
        Bar(_age(age), row[f"n{i}"], f"{row[f'n{i}']:,}", _query(outcome="open", age=age),
            f"预期追回 {_money(row[f'm{i}'])}")
        for i, age in enumerate(AGES)
    ]  # fmt: skip


def _took(row: dict[str, Any], period: dict[str, str]) -> list[Bar]:
    """Decided cases by days from opening to decision."""
    return [
        Bar(_age(age), row[f"n{i}"], f"{row[f'n{i}']:,}", _query(took=age, outcome="decided", **period))
        for i, age in enumerate(AGES)
    ]


def _age(age: str) -> str:
    return f"{age.removesuffix('-')} 天以上" if age.endswith("-") else f"{age} 天"


def _weeks(own: Cases) -> list[Bar]:
    """Decisions of the last weeks; the darker part are confirmations."""
    today = timezone.localdate()
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    days = own.filter(decided_on__gte=first).values("decided_on")
    counted = [0] * WEEKS, [0] * WEEKS
    for row in days.annotate(n=Count("pk"), confirmed=_count(outcome="confirmed")):
        number = min((row["decided_on"] - first).days // 7, WEEKS - 1)
        counted[0][number] += row["n"]
        counted[1][number] += row["confirmed"]
    bars = []
    for number, (n, confirmed) in enumerate(zip(*counted, strict=True)):
        day = first + timedelta(weeks=number)
        year, week, _ = day.isocalendar()
        code = f"{year}-W{week:02d}"
        bars.append(
            Bar(f"{day:%m-%d} 起", n, f"{n:,}", _query(week=code), f"确认 {confirmed:,}",
                confirmed / n if n else None, _query(week=code, outcome="confirmed"))
        )  # fmt: skip
    return bars


def _hits(decided: Cases, period: dict[str, str]) -> dict[str, list[Bar]]:
    """Share confirmed of what each rule, detector and reason listed, of those that listed most."""
    rows = decided.filter(marks__kind__in=list(MARK_KINDS)).values_list("marks__kind", "marks__code")
    counted = list(rows.annotate(n=Count("pk"), confirmed=_count(outcome="confirmed")))
    found: dict[str, list[tuple[str, str, int, int]]] = {kind: [] for kind in MARK_KINDS}
    for kind, code, n, confirmed in sorted(counted, key=lambda r: (-r[2], r[1])):
        if len(found[kind]) < _ROWS:
            found[kind].append((code, code, n, confirmed))
    known = dict(Word.objects.values_list("code", "zh")) | {c: zh for c, (zh, _) in DETECTORS.items()}
    return {
        kind: _rates([(known.get(c) or c, c, n, k) for _, c, n, k in own], kind, "confirmed", period)
        for kind, own in found.items()
    }


def _rates(
    rows: list[tuple[str, str, int, int]], name: str, outcome: str, period: dict[str, str]
) -> list[Bar]:
    """Shares, the largest first: of rows of words, code, decided cases, and those with the outcome."""
    bars = []
    for words, code, n, part in rows:
        base = {name: code, **period}
        few = f"，不足 {_FEWEST} 件" if n < _FEWEST else ""
        share = part / n
        bars.append(
            Bar(words, share, f"{share:.0%}", _query(outcome="decided", **base), f"{part:,} / {n:,}{few}",
                part=_query(outcome=outcome, **base))
        )  # fmt: skip
    return sorted(bars, key=lambda b: -b.value)


def _departments(decided: Cases, period: dict[str, str]) -> list[Bar]:
    """False alarms by department: cleared of decided."""
    rows = decided.filter(portions__kind="department").values_list("portions__code")
    counted = rows.annotate(n=Count("pk"), cleared=_count(outcome="cleared")).order_by("-n", "portions__code")
    told = [(code, code, n, cleared) for code, n, cleared in counted[:_ROWS]]
    return _rates(told, "department", "cleared", period)


def _auditors(decided: Cases, period: dict[str, str]) -> list[Bar]:
    """Cleared of decided by who holds the case."""
    rows = (
        decided.exclude(assignee=None).values("assignee__username")
        .annotate(n=Count("pk"), cleared=_count(outcome="cleared")).order_by("-n")[: 2 * _ROWS]
    )  # fmt: skip
    told = [(r["assignee__username"], r["assignee__username"], r["n"], r["cleared"]) for r in rows]
    return _rates(told, "assignee", "cleared", period)
