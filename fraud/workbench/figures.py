"""Figures for the head of the office, counted in the database over the cases an account may see."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

from django.db.models import Avg, Count, ExpressionWrapper, F, Q, QuerySet, Sum, fields
from django.db.models.functions import TruncWeek
from django.utils import timezone

from fraud.workbench.books import MARK_KINDS, Mark, Word
from fraud.workbench.desk import Portion
from fraud.workbench.marks import DETECTORS
from fraud.workbench.models import Account, Case
from fraud.workbench.narrowing import AGES, moment, of_age
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
    """All figures of the page.

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
    own, first = visible(account), since(months)
    decided = own.filter(decided_at__gte=moment(first)).exclude(outcome="")
    period = {"since": first.isoformat()}
    return {
        "totals": _totals(own, decided, period),
        "ages": _ages(own),
        "weeks": _weeks(own),
        "took": _took(decided, period),
        **{kind: _hits(decided, kind, period) for kind in MARK_KINDS},
        "department": _departments(decided, period),
        "auditor": _auditors(decided, period),
        "since": first,
    }


def _count(**conditions: Any) -> Count:
    return Count("pk", filter=Q(**conditions))


def _totals(own: Cases, decided: Cases, period: dict[str, str]) -> list[tuple[str, ...]]:
    """Cases and money: words in both languages, value, its kind, and the list's query."""
    spent = ExpressionWrapper(F("decided_at") - F("opened_at"), output_field=fields.DurationField())
    held = ExpressionWrapper(F("decided_at") - F("taken_at"), output_field=fields.DurationField())
    now = own.filter(open=True).aggregate(n=Count("pk"), found=Sum("at_risk_cents"))
    done = decided.aggregate(
        n=Count("pk"), confirmed=_count(outcome="confirmed"), found=Sum("at_risk_cents"),
        money=Sum("amount_cents", filter=Q(outcome="confirmed")), back=Sum("recovered_cents"),
        spent=Avg(spent), held=Avg(held),
    )  # fmt: skip
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


def _days(spent: timedelta | None) -> str:
    return "–" if spent is None else f"{spent.total_seconds() / 86_400:.1f}"


def _query(**filters: str) -> str:
    return urlencode(filters)


def _ages(own: Cases) -> list[Bar]:
    """Open cases by days since they were opened."""
    counts = {f"n{i}": Count("pk", filter=of_age(age)) for i, age in enumerate(AGES)}
    money = {f"m{i}": Sum("expected_cents", filter=of_age(age)) for i, age in enumerate(AGES)}
    row = own.filter(open=True).aggregate(**counts, **money)
    return [
        Bar(_age(age), row[f"n{i}"], f"{row[f'n{i}']:,}", _query(outcome="open", age=age),
            f"预期追回 {_money(row[f'm{i}'])}")
        for i, age in enumerate(AGES)
    ]  # fmt: skip


def _age(age: str) -> str:
    return f"{age.removesuffix('-')} 天以上" if age.endswith("-") else f"{age} 天"


def _weeks(own: Cases) -> list[Bar]:
    """Decisions of the last weeks; the darker part are confirmations."""
    today = timezone.localdate()
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    rows = (
        own.filter(decided_at__gte=moment(first)).exclude(outcome="").order_by()
        .annotate(week=TruncWeek("decided_at")).values("week")
        .annotate(n=Count("pk"), confirmed=_count(outcome="confirmed"))
    )  # fmt: skip
    found = {timezone.localtime(r["week"]).date(): r for r in rows}
    bars = []
    for number in range(WEEKS):
        day = first + timedelta(weeks=number)
        row = found.get(day, {"n": 0, "confirmed": 0})
        year, week, _ = day.isocalendar()
        code = f"{year}-W{week:02d}"
        bars.append(
            Bar(f"{day:%m-%d} 起", row["n"], f"{row['n']:,}", _query(week=code), f"确认 {row['confirmed']:,}",
                row["confirmed"] / row["n"] if row["n"] else None, _query(week=code, outcome="confirmed"))
        )  # fmt: skip
    return bars


def _took(decided: Cases, period: dict[str, str]) -> list[Bar]:
    """Decided cases by days from opening to decision."""
    spent = ExpressionWrapper(F("decided_at") - F("opened_at"), output_field=fields.DurationField())
    counts = {}
    for i, (low, high) in enumerate(AGES.values()):
        within = Q(spent__gte=timedelta(low))
        within &= Q() if high is None else Q(spent__lt=timedelta(high + 1))
        counts[f"n{i}"] = Count("pk", filter=within)
    row = decided.annotate(spent=spent).aggregate(**counts)
    return [
        Bar(_age(age), row[f"n{i}"], f"{row[f'n{i}']:,}", _query(took=age, outcome="decided", **period))
        for i, age in enumerate(AGES)
    ]  # fmt: skip


def _hits(decided: Cases, kind: str, period: dict[str, str]) -> list[Bar]:
    """Share confirmed of what a rule, detector or reason listed, the most often listed first."""
    rows = (
        Mark.objects.filter(kind=kind, case__in=decided.order_by().values("pk")).values("code").order_by()
        .annotate(n=Count("case"), confirmed=Count("case", filter=Q(case__outcome="confirmed")))
        .order_by("-n", "code")[:_ROWS]
    )  # fmt: skip
    rows = list(rows)
    known = dict(Word.objects.filter(pk__in=[r["code"] for r in rows]).values_list("code", "zh"))
    known |= {code: zh for code, (zh, _) in DETECTORS.items()}
    return _rates(
        [(known.get(r["code"]) or r["code"], r["code"], r["n"], r["confirmed"]) for r in rows],
        kind, "confirmed", period,
    )  # fmt: skip


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
    portions = Portion.objects.filter(kind="department", case__in=decided.order_by().values("pk"))
    rows = (
        portions.values("code").order_by()
        .annotate(n=Count("case"), cleared=Count("case", filter=Q(case__outcome="cleared")))
        .order_by("-n", "code")[:_ROWS]
    )  # fmt: skip
    told = [(r["code"], r["code"], r["n"], r["cleared"]) for r in rows]
    return _rates(told, "department", "cleared", period)


def _auditors(decided: Cases, period: dict[str, str]) -> list[Bar]:
    """Cleared of decided by who holds the case."""
    rows = (
        decided.exclude(assignee=None).order_by().values("assignee__username")
        .annotate(n=Count("pk"), cleared=_count(outcome="cleared")).order_by("-n")[: 2 * _ROWS]
    )  # fmt: skip
    told = [(r["assignee__username"], r["assignee__username"], r["n"], r["cleared"]) for r in rows]
    return _rates(told, "assignee", "cleared", period)
