"""Filters of the list that the figures lead to, each on what a figure counted."""

import re
from datetime import date, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from fraud.workbench.books import MARK_KINDS, Mark, Word
from fraud.workbench.marks import DETECTORS
from fraud.workbench.models import Case, Unit
from fraud.workbench.speech import spoken

AGES: dict[str, tuple[int, int | None]] = {
    "0-7": (0, 7),
    "8-30": (8, 30),
    "31-90": (31, 90),
    "91-": (91, None),
}
"""Days, from and to; the last has no end."""
OUTCOMES: dict[str, tuple[str, str]] = {
    "open": ("未结", "open"),
    "decided": ("已有结论", "decided"),
    "confirmed": ("确认", "confirmed"),
    "cleared": ("排除", "cleared"),
    "recovered": ("已追回", "recovered"),
}
SOURCES: dict[str, tuple[str, str]] = {
    "ranked": ("清单", "ranked"),
    "random": ("随机抽查", "random slice"),
    "learning": ("为学习而选", "chosen for learning"),
    "scheme": ("新手法", "new scheme"),
}
"""How a case came to be; the same words mark it."""
NARROWING: dict[str, tuple[str, str]] = {
    **MARK_KINDS,
    "region": ("地区", "region"),
    "outcome": ("结论", "outcome"),
    "source": ("来源", "source"),
    "age": ("已开天数", "days open"),
    "took": ("用时（天）", "days it took"),
    "week": ("结论周", "week of the decision"),
    "since": ("结论自", "decided from"),
}


def narrowed(cases: "QuerySet[Case]", asked: QueryDict) -> "QuerySet[Case]":
    """Cases that the filters of `NARROWING` ask for; what cannot be understood is ignored."""
    for kind in MARK_KINDS:
        if code := asked.get(kind):
            cases = cases.filter(Exists(Mark.objects.filter(case=OuterRef("pk"), kind=kind, code=code)))
    if region := asked.get("region"):
        cases = cases.filter(Exists(Unit.objects.filter(case=OuterRef("pk"), kind="region", code=region)))
    if asked.get("source") in SOURCES:
        cases = cases.filter(source=asked["source"])
    if asked.get("outcome") in OUTCOMES:
        cases = cases.filter(of_outcome(asked["outcome"]))
    if asked.get("age") in AGES:
        cases = cases.filter(of_age(asked["age"]))
    if asked.get("took") in AGES:
        cases = cases.filter(of_duration(asked["took"]))
    if first := week_of(asked.get("week", "")):
        cases = cases.filter(decided_on__range=(first, first + timedelta(6)))
    if since := day_of(asked.get("since", "")):
        cases = cases.filter(decided_on__gte=since)
    return cases


def told(name: str, value: str) -> str:
    """A filter's value in words, where there are any."""
    known = {"outcome": OUTCOMES, "source": SOURCES, "detector": DETECTORS}.get(name, {})
    if name in ("rule", "reason"):
        return spoken(Word.objects.filter(pk=value).values_list("zh", "en").first() or (value, ""))
    return spoken(known.get(value, (value, "")))


def of_outcome(outcome: str) -> Q:
    """Cases of one of `OUTCOMES`."""
    if outcome == "open":
        return Q(open=True)
    if outcome == "decided":
        return ~Q(outcome="")
    return Q(recovered_cents__gt=0) if outcome == "recovered" else Q(outcome=outcome)


def of_age(age: str) -> Q:
    """Open cases whose days since they were opened lie in one of `AGES`."""
    low, high = AGES[age]
    now = timezone.now()
    found = Q(open=True, opened_at__lte=now - timedelta(low))
    return found if high is None else found & Q(opened_at__gt=now - timedelta(high + 1))


def of_duration(took: str) -> Q:
    """Decided cases whose days from opening to decision lie in one of `AGES`."""
    low, high = AGES[took]
    found = Q(decided_on__isnull=False, spent_hours__gte=24 * low)
    return found if high is None else found & Q(spent_hours__lt=24 * (high + 1))


def week_of(told: str) -> date | None:
    """First day of a week told as ``2026-W07``.

    Examples
    --------
    >>> week_of("2026-W07")
    datetime.date(2026, 2, 9)
    """
    found = re.fullmatch(r"(\d{4})-W(\d{2})", told)
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        return None


def day_of(told: str) -> date | None:
    """A day told as ``2026-02-09``."""
    try:
        return date.fromisoformat(told) if told else None
    except ValueError:
        return None
