"""The list: orders, due dates, parts, saved views, many cases to one person."""

from datetime import timedelta

import pytest
from django.utils import timezone
from run_folders import write_data, write_run

from fraud.workbench.batch import assign
from fraud.workbench.cases import act
from fraud.workbench.desk import SavedView
from fraud.workbench.models import Case, Step, TrailEntry
from fraud.workbench.publishing import publish


def subjects(response):
    return [c.subject_id for c in response.context["page"]]


@pytest.fixture
def varied():
    """The four cases with other money, probabilities and due dates each."""
    today = timezone.localdate()
    for subject, risk, score, days in (
        ("P1", 9, 0.1, -2),
        ("D1", 8, 0.9, 1),
        ("C9", 7, 0.5, 30),
        ("R1", 6, 0.3, None),
    ):
        due = None if days is None else today + timedelta(days)
        Case.objects.filter(subject_id=subject).update(at_risk_cents=risk, score=score, due_on=due)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=expected", ["R1", "P1", "D1", "C9"]),
        ("sort=risk", ["P1", "D1", "C9", "R1"]),
        ("sort=probability", ["D1", "C9", "R1", "P1"]),
        ("sort=newest", ["R1", "P1", "D1", "C9"]),
        ("sort=due", ["P1", "D1", "C9"]),
        ("sort=nonsense", ["R1", "P1", "D1", "C9"]),
        ("due=overdue", ["P1"]),
        ("due=soon", ["D1"]),
        ("due=never", ["R1", "P1", "D1", "C9"]),
        ("q=P1-a", ["P1"]),
        ("ring=R1", ["R1"]),
        ("doctor=nobody", []),
    ],
)
def test_orders_and_filters(browser, varied, query, found):
    assert subjects(browser("auditor").get(f"/cases/?{query}")) == found


def test_due_dates_are_shown(browser, varied):
    page = browser("auditor").get("/cases/").content.decode()
    assert "逾期 2 天" in page
    assert "到期" in page
    assert 'due=overdue&amp;sort=due" class="late">逾期 <b>1</b>' in page


@pytest.fixture
def parted(tmp_path):
    """A month published with its dataset."""
    data = write_data(tmp_path / "data")
    run = write_run(tmp_path / "runs", "2025-07", [("patient", "Z1", 80.0), ("doctor", "D7", 50.0)])
    publish(run, "test", dataset=data)


@pytest.mark.parametrize(
    ("query", "found"),
    [("doctor=D7", ["Z1", "D7"]), ("item=X1", ["Z1", "D7"]), ("item=X2", ["Z1"]),
     ("item=X2&department=K1", ["Z1"]), ("item=X2&department=K2", []), ("patient=Z1", ["Z1"])],
)  # fmt: skip
def test_cases_by_what_their_evidence_falls_on(browser, parted, query, found):
    assert subjects(browser("auditor").get(f"/cases/?{query}")) == found


def test_money_breaks_down_to_cases(browser, parted):
    client = browser("auditor")
    rows = client.get("/cases/drill/?by=item").context["rows"]
    assert [(r["code"], r["cents"], r["cases"]) for r in rows] == [("X1", 5_500, 2), ("X2", 900, 1)]
    assert rows[0]["down"] == "item=X1&by=department"
    rows = client.get(f"/cases/drill/?{rows[0]['down']}").context["rows"]
    assert [(r["code"], r["cases"]) for r in rows] == [("K1", 2)]
    rows = client.get(f"/cases/drill/?{rows[0]['down']}").context["rows"]
    assert [(r["code"], r["down"]) for r in rows] == [("D7", "")]
    assert subjects(client.get(f"/cases/?{rows[0]['open']}")) == ["Z1", "D7"]
    assert TrailEntry.objects.filter(action="viewed", subject="drill").count() == 3
    assert client.get("/cases/drill/?by=nonsense&q=%00").status_code == 200


def test_a_saved_view_is_one_s_own(browser, people):
    client = browser("auditor")
    query = "state=unassigned&sort=risk&page=3&evil=1"
    assert (
        client.post("/views/save/", {"name": " 待办 ", "query": query}).url
        == "/cases/?state=unassigned&sort=risk"
    )
    made = SavedView.objects.get(name="待办")
    assert (made.account, made.query) == (people["auditor"], "state=unassigned&sort=risk")
    assert 'href="?state=unassigned&amp;sort=risk" data-view=' in client.get("/cases/").content.decode()
    client.post("/views/save/", {"name": "待办", "query": "due=soon"})
    assert SavedView.objects.get(name="待办").query == "due=soon"
    assert browser("head").post(f"/views/{made.pk}/delete/").status_code == 404
    assert "待办" not in browser("head").get("/cases/").content.decode()
    client.post(f"/views/{made.pk}/delete/")
    assert not SavedView.objects.filter(name="待办").exists()
    told = set(TrailEntry.objects.filter(subject=f"view:{made.pk}").values_list("action", flat=True))
    assert told == {"view_saved", "view_deleted"}


@pytest.mark.parametrize("name", ["", "   ", "x" * 41])
def test_names_of_views_that_are_none(browser, name):
    before = SavedView.objects.count()
    assert browser("auditor").post("/views/save/", {"name": name, "query": "x=1"}).status_code == 302
    assert SavedView.objects.count() == before


def test_at_most_thirty_views(browser, people):
    for number in range(40):
        browser("auditor").post("/views/save/", {"name": f"v{number}", "query": ""})
    assert people["auditor"].views.count() == 30


def test_many_cases_to_one_person(browser, people):
    one, two, three, four = Case.objects.order_by("id")
    act(two.pk, "take", people["auditor"], two.version)
    two.refresh_from_db()
    act(three.pk, "take", people["auditor"], three.version)  # the page still shows it as it was
    posted = {"case": [f"{c.pk}:{c.version}" for c in (one, two, three)] + ["x:y", "999:0", "1"],
              "assignee": "auditor_2", "query": "sort=risk&x=1"}  # fmt: skip
    response = browser("head").post("/cases/assign/", posted, follow=True)
    assert response.redirect_chain[0][0] == "/cases/?sort=risk"
    page = response.content.decode()
    assert "已分派 2 件" in page
    assert f"案件 {three.pk}：案件已被他人更新" in page
    assert [c.assignee and c.assignee.username for c in Case.objects.order_by("id")] == [
        "auditor_2", "auditor_2", "auditor", None]  # fmt: skip
    assert Step.objects.filter(action="reassign").count() == 1


def test_nobody_who_may_not_review_is_given_many_cases(people):
    cases = {c.pk: c.version for c in Case.objects.all()}
    done, refused = assign(cases, "read_only", people["head"])
    assert (done, len(refused)) == ([], 4)
    assert assign(cases, "auditor", people["auditor"])[0] == []
    assert Case.objects.filter(assignee=None).count() == 4


def test_help_names_every_key(browser, case):
    for address in ("/cases/", f"/cases/{case.pk}/"):
        page = browser("auditor").get(address).content.decode()
        assert '<dialog id="help"' in page
