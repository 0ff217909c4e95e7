"""What the pages show, and that nothing on them runs that should not."""

import logging
import re
import sys

import pytest
from run_folders import write_run

from fraud.workbench import views
from fraud.workbench.cases import Given, act
from fraud.workbench.models import Case, Run, TrailEntry
from fraud.workbench.publishing import publish

STORED = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def subjects(response):
    return [c.subject_id for c in response.context["page"]]


def test_the_list_is_ranked_by_money(browser):
    assert subjects(browser("read_only").get("/cases/")) == ["R1", "P1", "D1", "C9"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject_kind=doctor", ["D1"]),
        ("state=first_review", ["P1"]),
        ("state=nonsense", ["R1", "P1", "D1", "C9"]),
        ("status=up", []),
        ("month=2025-06&q=C", ["C9"]),
        ("month=2024-01", []),
        ("assignee=me", ["P1"]),
        ("assignee=none", ["R1", "D1", "C9"]),
        ("assignee=auditor", ["P1"]),
        ("q=%27%20OR%201%3D1", []),
        ("page=99999", ["R1", "P1", "D1", "C9"]),
    ],
)
def test_filters(browser, people, case, query, found):
    act(case.pk, "take", people["auditor"], case.version)
    response = browser("auditor").get(f"/cases/?{query}")
    assert response.status_code == 200
    assert subjects(response) == found


def test_pages_come_from_the_database(browser, tmp_path):
    publish(write_run(tmp_path, "2025-07", [("patient", f"Q{i:02d}", 10.0 + i) for i in range(30)]), "test")
    client = browser("auditor")
    response = client.get("/cases/?month=2025-07&page=2")
    assert subjects(response) == [f"Q{i:02d}" for i in range(19, 9, -1)]
    assert "month=2025-07&amp;page=3" in response.content.decode()


def test_why_at_a_glance(browser):
    page = browser("auditor").get("/cases/").content.decode()
    for shown in ("P1 的概述", "重复开药", "团伙", "新增", "待分派"):
        assert shown in page


def test_the_case_page_has_it_all(browser, case):
    page = browser("auditor").get(f"/cases/{case.pk}/").content.decode()
    for shown in (
        "费用高",
        "自身过去",
        "门诊慢特病",
        "n=240",
        "+1.50",
        "-0.50",
        "98.0%",
        "1,800 元",
        "12.34",
    ):
        assert shown in page, shown
    for shown in ("条例第三十八条（二）", "近365天的诊断", "P1-a", "P1-b", "列入清单", "领取"):
        assert shown in page, shown


def test_a_ring_shows_members_their_cases_and_its_picture(browser, case):
    ring = Case.objects.get(subject_id="R1")
    page = browser("auditor").get(f"/cases/{ring.pk}/").content.decode()
    assert f'href="/cases/{case.pk}/"' in page
    assert "/runs/1/rings.html#R1" in page
    assert "H1" in page


def test_pictures_run_in_an_origin_of_their_own_and_only_unchanged(browser, tmp_path):
    folder = write_run(tmp_path, "2025-07")
    publish(folder, "test")
    address = f"/runs/{Run.objects.get(month='2025-07').pk}/rings.html"
    response = browser("auditor").get(address)
    assert "团伙" in response.content.decode()
    assert response.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
    (folder / "rings.html").write_text("changed", encoding="utf-8")
    assert browser("auditor").get(address).status_code == 404


def test_every_view_of_a_case_is_in_the_trail(browser, case):
    browser("read_only").get(f"/cases/{case.pk}/")
    row = TrailEntry.objects.last()
    assert (row.actor, row.action, row.subject) == ("read_only", "viewed", f"case:{case.pk}")


def test_views_of_the_list_and_refused_steps_are_too_but_not_what_was_searched(browser, case):
    browser("read_only").get("/cases/?q=P1&state=")
    row = TrailEntry.objects.last()
    assert (row.action, row.subject, row.details) == ("viewed", "list", '{"filters": ["q"]}')
    browser("read_only").post(f"/cases/{case.pk}/act/", {"action": "take", "version": 0})
    assert TrailEntry.objects.filter(action="step_refused", subject=f"case:{case.pk}").count() == 1


def test_an_unexpected_error_tells_its_place_and_no_value(browser, monkeypatch):
    def fail(*_):
        raise RuntimeError("patient P1 said")

    monkeypatch.setattr(views, "filtered", fail)
    client = browser("auditor", raise_request_exception=False)
    answer = client.get("/cases/")
    assert answer.status_code == 500
    assert "系统出错" in answer.content.decode()
    try:
        fail()
    except RuntimeError:
        made = logging.LogRecord("django", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    told = logging.getLogger("django").handlers[0].format(made)
    assert "RuntimeError at test_pages.py" in told
    assert "P1" not in told


def test_taking_and_deciding_in_the_browser(browser, case):
    client = browser("auditor")
    assert client.post("/cases/take/").url == f"/cases/{Case.objects.get(subject_id='R1').pk}/"
    address = client.post("/cases/take/").url
    assert address == f"/cases/{case.pk}/"
    version = client.get(address).context["case"].version
    confirm = {
        "action": "confirm",
        "version": version,
        "reason": "duplicate_prescription",
        "amount": "1,200.50",
    }
    assert client.post(f"{address}act/", confirm).url == address
    page = client.get(address).content.decode()
    assert "1,200.50" in page
    assert "确认疑点" in page
    again = client.post(f"{address}act/", confirm)
    assert again.status_code == 409
    assert "已被他人更新" in again.content.decode()


@pytest.mark.parametrize("amount", ["abc", "1.234", "NaN", "1e99", "Infinity", "-1", ""])
def test_amounts_that_are_none(browser, people, case, amount):
    case = act(case.pk, "take", people["auditor"], case.version)
    posted = {"action": "confirm", "version": case.version, "reason": "upcoding", "amount": amount}
    response = browser("auditor").post(f"/cases/{case.pk}/act/", posted)
    assert response.status_code == 409
    assert 'value="upcoding" selected' in response.content.decode()  # what was entered stays
    case.refresh_from_db()
    assert case.state == "first_review"


@pytest.mark.parametrize("posted", [{}, {"version": "x"}, {"action": "nonsense", "version": "0"}])
def test_broken_posts(browser, case, posted):
    assert browser("auditor").post(f"/cases/{case.pk}/act/", posted).status_code == 409


def test_stored_scripts_are_shown_as_text(browser, people, case):
    case = act(case.pk, "take", people["auditor"], case.version)
    act(case.pk, "release", people["auditor"], case.version, Given(text=STORED))
    Case.objects.filter(pk=case.pk).update(
        subject_id=STORED, top_reason=STORED, rule_marks=[[STORED, STORED]]
    )
    for address in (f"/cases/{case.pk}/", "/cases/", f"/cases/?q={STORED}", f"/trail/?subject={STORED}"):
        page = browser("everything").get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img" not in page


@pytest.mark.parametrize(
    "address",
    [
        "/cases/",
        "/cases/1/",
        "/cases/2/",
        "/schemes/",
        "/schemes/1/",
        "/model/",
        "/trail/",
        "/accounts/",
        "/password/",
    ],
)
def test_nothing_inline(browser, address):
    """The content policy would stop it, so it must not be there."""
    page = browser("everything").get(address).content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://", page) == []
    assert 'lang="zh-CN"' in page


def test_before_decisions_are_shown(browser, people, case, tmp_path):
    case = act(case.pk, "take", people["auditor"], case.version)
    act(case.pk, "clear", people["auditor"], case.version, Given(reason="dialysis"))
    publish(write_run(tmp_path, "2025-07"), "test")
    new = Case.objects.get(subject_id="P1", open=True)
    page = browser("auditor").get(f"/cases/{new.pk}/").content.decode()
    assert "该对象以前有结论" in page
    assert "透析班次" in page
    assert f'href="/cases/{case.pk}/"' in page


def test_unknown_cases_and_assets(browser):
    assert browser("auditor").get("/cases/999/").status_code == 404
    assert browser("auditor").get("/assets/..%2Fmodels.py").status_code == 404
    assert browser("auditor").get("/assets/settings.py").status_code == 404
