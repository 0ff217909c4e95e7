"""Working days, and until when a case may stay where it is."""

from datetime import date, timedelta

import pytest
from django.test import override_settings
from fixtures import HOME

from fraud.errors import UsageError
from fraud.settings import WorkbenchSettings
from fraud.workbench import deadlines
from fraud.workbench.cases import Given, act
from fraud.workbench.deadlines import Calendar, calendar, due_on
from fraud.workbench.models import Case
from fraud.workbench.workflow import DEADLINES, STATES


def own(**given):
    return override_settings(WORKBENCH=WorkbenchSettings(**given))


@pytest.mark.parametrize(
    ("day", "days", "due"),
    [
        ("2026-09-30", 1, "2026-10-08"),  # the national days
        ("2026-09-18", 1, "2026-09-20"),  # a Sunday that is worked
        ("2026-02-13", 2, "2026-02-24"),  # the spring festival, after a Saturday that is worked
        ("2026-11-20", 10, "2026-12-04"),
        ("2026-11-21", 1, "2026-11-23"),
        ("2027-12-31", 1, "2028-01-03"),  # beyond the calendar: weekdays
    ],
)
def test_due_dates(day, days, due):
    assert calendar().after(date.fromisoformat(day), days) == date.fromisoformat(due)


def test_the_bundled_calendar_is_sound():
    found = calendar()
    assert not found.holidays & found.workdays
    assert all(day.weekday() >= 5 for day in found.workdays)
    assert found.last == 2027
    for year in (2024, 2025, 2026):  # the notices give eleven to thirteen days off a year, weekends apart
        assert 245 <= sum(found.works(date(year, 1, 1) + timedelta(n)) for n in range(365)) <= 252


def test_every_bad_row_of_a_site_s_calendar_is_named(tmp_path):
    (tmp_path / "own.csv").write_text("date,kind\n2026-13-01,holiday\n2026-01-02,free\n2026-01-05,holiday\n")
    with pytest.raises(UsageError) as refused:
        calendar(str(tmp_path / "own.csv"))
    assert [p.split(":")[1].split(", ")[1] for p in refused.value.problems] == ["line 2", "line 3"]
    with pytest.raises(UsageError, match="cannot be read"):
        calendar(str(tmp_path / "nowhere.csv"))


def test_a_site_s_calendar_and_deadlines_go_over_the_bundled_ones(tmp_path):
    (tmp_path / "own.csv").write_text("date,kind,name,source\n2026-11-23,holiday,x,own\n")
    friday = date(2026, 11, 20)
    with own(holidays=str(tmp_path / "own.csv"), deadlines={"sent": 1, "panel": 0}):
        assert due_on("sent", friday) == date(2026, 11, 24)
        assert due_on("panel", friday) is None
    with own(deadlines={"sleeping": 1}), pytest.raises(UsageError, match="sleeping"):
        due_on("sent", friday)
    assert Calendar().after(friday, 1) == date(2026, 11, 23)


def test_states_without_a_limit_are_the_ended_ones():
    assert set(DEADLINES) <= set(STATES)
    assert set(STATES) - set(DEADLINES) == {"cleared", "recovered", "referred", "archived"}


def test_each_new_state_has_its_own_due_date(case, people, monkeypatch):
    today = date(2026, 9, 29)
    monkeypatch.setattr(deadlines.timezone, "localdate", lambda *_: today)
    assert case.due_on is not None
    case = act(case.pk, "take", people["auditor"], case.version)
    assert case.due_on == calendar().after(today, DEADLINES["first_review"])
    today = date(2026, 10, 20)
    before = case.due_on
    case = act(case.pk, "reassign", people["head"], case.version, Given(assignee="auditor_2"))
    assert case.due_on == before  # somebody else has no more time
    case = act(case.pk, "clear", people["auditor_2"], case.version, Given(reason="season"))
    assert case.due_on is None


def test_new_cases_are_due():
    assert Case.objects.filter(due_on=None).count() == 0
    assert HOME.exists()
