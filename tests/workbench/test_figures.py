"""Each figure is what the list behind it holds."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone
from run_folders import write_data, write_run

from fraud.workbench import tallies
from fraud.workbench.books import Tally
from fraud.workbench.cases import Given, Refused, act
from fraud.workbench.figures import figures, since
from fraud.workbench.listing import PARTS, broken_down
from fraud.workbench.models import Case, TrailEntry
from fraud.workbench.narrowing import AGES
from fraud.workbench.publishing import publish
from fraud.workbench.scope import limit


@pytest.fixture
def decided(people, tmp_path):
    """Ten patients' cases more, of different ages; some confirmed, some cleared, one recovered."""
    many = [("patient", f"Z{i}", 100.0 + i) for i in range(1, 11)]
    publish(write_run(tmp_path / "runs", "2025-07", many), "test", dataset=write_data(tmp_path / "data"))
    boss = people["everything"]
    for number, case in enumerate(Case.objects.filter(month="2025-07").order_by("id")):
        opened = timezone.now() - timedelta(days=13 * number, minutes=1)
        Case.objects.filter(pk=case.pk).update(opened_at=opened)
        if number in (2, 5, 8):
            continue
        case = act(case.pk, "take", boss, case.version)
        if number % 2:
            act(case.pk, "clear", boss, case.version, Given(reason="dialysis"))
            continue
        case = act(case.pk, "confirm", boss, case.version, Given(reason="upcoding", amount_cents=1_000_000))
        case = act(case.pk, "send", boss, case.version)
        case = act(case.pk, "accept", boss, case.version)
        case = act(case.pk, "conclude", boss, case.version, Given(clause="第三十八条"))
        if number == 4:
            act(case.pk, "recover", boss, case.version, Given(amount_cents=500_000))
    return boss


def count(client, query) -> int:
    return client.get(f"/cases/?{query}").context["totals"]["cases"]


def test_every_figure_opens_as_many_cases_as_it_says(decided, browser):
    client, found = browser("head"), figures(decided, 12)
    for kind in ("ages", "weeks", "took"):
        assert found[kind]
        for bar in found[kind]:
            assert count(client, bar.query) == bar.value, (kind, bar)
    for kind in ("rule", "detector", "reason", "department", "auditor"):
        assert found[kind], kind
        for bar in found[kind]:
            part, n = (int(x) for x in bar.note.split("，")[0].split(" / "))
            assert (count(client, bar.part), count(client, bar.query)) == (part, n), (kind, bar)
    for words, value, query in found["totals"]:
        if words in ("未结案件", "作出结论"):
            assert count(client, query) == int(value)


def test_the_kept_sums_are_what_a_full_recount_gives(decided):
    first = since(24)
    assert tallies.kept(first) == tallies.recounted(Case.objects.all(), first)
    assert dict(tallies.weeks_kept(first)) == dict(tallies.weeks_recounted(Case.objects.all(), first))
    assert tallies.kept(first)["department"]
    Tally.objects.all().delete()  # and a workbench that had decisions before the sums were kept
    import_module("fraud.workbench.migrations.0010_count").count_decisions(apps, None)
    assert tallies.kept(first) == tallies.recounted(Case.objects.all(), first)


def test_a_refused_step_leaves_the_sums_alone(decided, people):
    before = list(Tally.objects.order_by("pk").values())
    case = Case.objects.filter(state="concluded").first()
    with pytest.raises(Refused):
        act(case.pk, "recover", people["everything"], case.version, Given(amount_cents=10**12))
    case = Case.objects.filter(state="unassigned").first()
    case = act(case.pk, "take", people["everything"], case.version)
    with pytest.raises(Refused):
        act(case.pk, "clear", people["everything"], case.version)
    assert list(Tally.objects.order_by("pk").values()) == before


def test_the_first_level_of_the_break_down_is_what_the_portions_sum_to(decided):
    whole = Case.objects.all()
    for kind in PARTS:
        everything = Case.objects.filter(pk__gt=0)  # a condition that leaves none out
        assert broken_down(whole, kind) == broken_down(everything, kind), kind
    assert broken_down(whole, "item")


def test_what_the_figures_are(decided):
    found = figures(decided, 12)
    totals = {words: value for words, value, _ in found["totals"]}
    assert (totals["未结案件"], totals["作出结论"]) == ("7", "7")
    confirmed = Case.objects.filter(outcome="confirmed").count()
    assert totals["确认率"] == f"{confirmed / 7:.0%}"
    assert totals["确认金额"] == f"{confirmed:.1f} 万元"
    assert totals["追回金额"] == "5,000 元"
    assert sum(b.value for b in found["ages"]) == 7
    assert sum(b.value for b in found["weeks"]) == 7
    assert sum(b.value for b in found["took"]) == 7
    assert [b.label for b in found["auditor"]] == ["everything"]


def test_a_limited_account_counts_its_own_cases(decided, people):
    limit(people["head"], [("institution", "H2")], "test")
    found = figures(people["head"], 12)
    assert {t[0]: t[1] for t in found["totals"]}["未结案件"] in ("0", "1")
    assert sum(b.value for b in found["ages"]) + sum(b.value for b in found["took"]) == 1


def test_the_page(decided, browser):
    client = browser("head")
    page = client.get("/figures/?months=3").content.decode()
    for shown in ("未结案件已开天数", "每周结论", "命中率：规则", "误报率：科室", "重复开药", "everything"):
        assert shown in page, shown
    assert client.get("/figures/?months=7%27").status_code == 200
    assert TrailEntry.objects.filter(actor="head", action="viewed", subject="figures").count() == 2


def test_nothing_decided_yet(browser, database):
    assert "还没有结论" in browser("head").get("/figures/").content.decode()


def test_the_head_sets_the_share_and_nobody_else(browser):
    client = browser("head")
    assert client.post("/figures/share/", {"percent": "5"}).status_code == 302
    assert 'value="5"' in client.get("/figures/").content.decode()
    assert TrailEntry.objects.filter(action="random_share_set", actor="head").exists()
    for wrong in ("", "x", "101", "-1", "nan"):
        client.post("/figures/share/", {"percent": wrong})
    assert 'value="5"' in client.get("/figures/").content.decode()
    assert browser("auditor").post("/figures/share/", {"percent": "9"}).status_code == 403


@pytest.mark.parametrize(
    "query",
    ["week=2026-W99", "week=x", "since=2026-13-01", "age=1", "took=-", "outcome=x", "source=x", "rule=%00"],
)
def test_filters_that_are_none(browser, query):
    assert browser("head").get(f"/cases/?{query}").status_code == 200


def test_ages_leave_no_day_out():
    days = [d for low, high in AGES.values() for d in range(low, (high or 400) + 1)]
    assert days == list(range(401))
