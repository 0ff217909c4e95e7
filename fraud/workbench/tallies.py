"""Weekly sums of what was decided, written with each decision: the figures read these, not the cases.

An account that is limited to some units counts its own cases instead (`recounted`); a test holds both
against each other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta
from typing import Any, TypeAlias

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from fraud.workbench.books import MARK_KINDS, Mark, Tally
from fraud.workbench.desk import Portion
from fraud.workbench.models import Case
from fraud.workbench.narrowing import AGES, of_duration

Cases: TypeAlias = "QuerySet[Case]"
Key = tuple[date, str, str]
ALL, DEPARTMENT, HOLDER = "", "department", "holder"
"""Kinds of a sum, besides those of `MARK_KINDS`: of all cases, by department, by who held the case."""


@dataclass
class Sums:
    """Counts of decided cases and, of all cases of a week only, money in cents, hours and durations.

    Attributes
    ----------
    decided, confirmed, cleared : int
    at_risk_cents, confirmed_cents, recovered_cents : int
    spent_hours, held_hours, held : int
        Hours from opened and from taken to decided; how many cases were taken at all.
    took_0 ... took_3 : int
        Cases by how long they took, as `AGES`.
    """

    decided: int = 0
    confirmed: int = 0
    cleared: int = 0
    at_risk_cents: int = 0
    confirmed_cents: int = 0
    recovered_cents: int = 0
    spent_hours: int = 0
    held_hours: int = 0
    held: int = 0
    took_0: int = 0
    took_1: int = 0
    took_2: int = 0
    took_3: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


NAMES = tuple(f.name for f in fields(Sums))
_COUNTS = NAMES[:3]
_CONFIRMED = Q(outcome="confirmed")
_COUNTED: dict[str, Any] = {
    "decided": Count("pk"),
    "confirmed": Count("pk", filter=_CONFIRMED),
    "cleared": Count("pk", filter=Q(outcome="cleared")),
}


def week_of(day: date) -> date:
    """Monday of a day's week.

    Examples
    --------
    >>> week_of(date(2026, 11, 22))
    datetime.date(2026, 11, 16)
    """
    return day - timedelta(day.weekday())


def count_decision(case: Case) -> None:
    """Add a case that was just decided to the sums of its week; within the decision's transaction."""
    assert case.decided_on is not None
    found = Sums(decided=1, **{case.outcome: 1})
    keys = [(kind, code) for kind, code in Mark.objects.filter(case=case).values_list("kind", "code")]
    portions = Portion.objects.filter(case=case, kind=DEPARTMENT)
    keys += [(DEPARTMENT, code) for code in portions.values_list("code", flat=True)]
    if case.assignee_id is not None:
        keys.append((HOLDER, str(case.assignee_id)))
    week = week_of(case.decided_on)
    _add([((week, ALL, ""), found + _rest(case)), *(((week, *key), found) for key in sorted(keys))])


def count_recovery(case: Case, cents: int) -> None:
    """Add money that came back to the week of the case's decision."""
    if case.decided_on is None:  # no case comes here undecided but by hand
        return
    _add([((week_of(case.decided_on), ALL, ""), Sums(recovered_cents=cents))])


def _rest(case: Case) -> Sums:
    spent, held = case.spent_hours or 0, case.held_hours
    days = spent // 24
    place = next(i for i, (_, high) in enumerate(AGES.values()) if high is None or days <= high)
    return Sums(
        at_risk_cents=case.at_risk_cents,
        confirmed_cents=(case.amount_cents or 0) if case.outcome == "confirmed" else 0,
        recovered_cents=case.recovered_cents or 0,
        spent_hours=spent,
        held_hours=held or 0,
        held=held is not None,
        **{f"took_{place}": 1},
    )


def _add(rows: Iterable[tuple[Key, Sums]]) -> None:
    """Add to the kept sums, each by one statement that no other can come between."""
    table = connection.ops.quote_name(Tally._meta.db_table)
    names = ", ".join(NAMES)
    marks = ", ".join(["%s"] * (3 + len(NAMES)))
    sums = ", ".join(f"{n} = {table}.{n} + excluded.{n}" for n in NAMES)
    told = (
        f"INSERT INTO {table} (week, kind, code, {names}) VALUES ({marks}) "  # noqa: S608
        f"ON CONFLICT (week, kind, code) DO UPDATE SET {sums}"
    )
    with connection.cursor() as cursor:
        week_of_row = connection.ops.adapt_datefield_value
        values = [(week_of_row(week), *key, *map(int, astuple(s))) for (week, *key), s in rows]
        cursor.executemany(told, values)


def kept(first: date) -> dict[str, dict[str, Sums]]:
    """Sums from a week on, by kind and code, as they were written with the decisions."""
    found: dict[str, dict[str, Sums]] = {ALL: {"": Sums()}}
    rows = Tally.objects.filter(week__gte=first).values_list("kind", "code")
    for kind, code, *counts in rows.annotate(*(Sum(n) for n in _COUNTS)).order_by():
        if kind != ALL:
            found.setdefault(kind, {})[code] = Sums(*counts)
    found[ALL][""] = sum((s for _, s in weeks_kept(first)), Sums())
    return found


def weeks_kept(first: date) -> Iterator[tuple[date, Sums]]:
    """Sums of all cases by week, from a week on."""
    rows = Tally.objects.filter(week__gte=first, kind=ALL).order_by("week")
    return ((week, Sums(*values)) for week, *values in rows.values_list("week", *NAMES))


def recounted(cases: Cases, first: date, placed: "Cases | None" = None) -> dict[str, dict[str, Sums]]:
    """The same sums counted anew over some cases: what an account sees that is limited to units.

    Parameters
    ----------
    cases : QuerySet of Case
    first : date
    placed : QuerySet of Case, optional
        Cases that departments are told of, where not all.
    """
    decided = cases.order_by().filter(decided_on__gte=first)
    found: dict[str, dict[str, Sums]] = {
        ALL: {"": sum((s for _, s in weeks_recounted(cases, first)), Sums())}
    }
    marked = decided.filter(marks__kind__in=list(MARK_KINDS)).values_list("marks__kind", "marks__code")
    for kind, code, *own in marked.annotate(**_COUNTED):
        found.setdefault(kind, {})[code] = Sums(*own)
    whole = decided if placed is None else placed.order_by().filter(decided_on__gte=first)
    by_department = whole.filter(portions__kind=DEPARTMENT).values_list("portions__code")
    held = decided.exclude(assignee=None).values_list("assignee")
    for kind, rows in ((DEPARTMENT, by_department), (HOLDER, held)):
        for code, *own in rows.annotate(**_COUNTED):
            found.setdefault(kind, {})[str(code)] = Sums(*own)
    return found


def weeks_recounted(cases: Cases, first: date) -> Iterator[tuple[date, Sums]]:
    """Sums of some cases by week, counted anew."""
    took = {f"took_{i}": Count("pk", filter=of_duration(age)) for i, age in enumerate(AGES)}
    sums: dict[str, Any] = {
        **_COUNTED, "at_risk": Sum("at_risk_cents"),
        "money": Sum("amount_cents", filter=_CONFIRMED), "back": Sum("recovered_cents"),
        "spent": Sum("spent_hours"), "holding": Sum("held_hours"), "held": Count("held_hours"), **took,
    }  # fmt: skip
    days = cases.order_by().filter(decided_on__gte=first).values_list("decided_on").annotate(**sums)
    weeks: dict[date, Sums] = {}
    for day, *values in days.order_by("decided_on"):
        own = weeks.setdefault(week_of(day), Sums())
        weeks[week_of(day)] = own + Sums(*(v or 0 for v in values))
    return iter(sorted(weeks.items()))
