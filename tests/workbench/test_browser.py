"""Auditors at the keyboard, in a real browser: a decision, a whole case with an appeal, the pictures."""

import time

import pytest
from browsing import WANTED, answered, choose_file, downloaded, picture, scroll_to, sign_in, step, visit
from chrome import PROGRAM
from fixtures import PASSWORD
from run_folders import write_data, write_run

from tests.conftest import MONTH

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")


def test_from_signing_in_to_a_decision_without_a_mouse(chrome, site):
    write_run(site.home / "runs", "2025-06")
    site.fraud("publish", "runs/2025-06")
    site.people(**{"li.ming": "auditor"})
    chrome.open(f"{site.serve()}/cases/?subject_kind=")
    chrome.until("document.activeElement.name == 'name'")
    chrome.type("li.ming")
    chrome.run("document.querySelector('[name=password]').focus()")
    chrome.type(PASSWORD)
    chrome.press("Enter")
    chrome.until("location.pathname == '/cases/'")
    chrome.press("?")
    assert chrome.run("document.getElementById('help').open") is True
    chrome.run("document.getElementById('help').close()")
    chrome.press("j", "j", "j", "k")
    assert chrome.run("document.querySelector('tr.on code').textContent") == "P1"
    chrome.press("Enter")
    chrome.until("location.pathname == '/cases/2/'")
    chrome.press("u")  # back, with the filter
    chrome.until("location.search == '?subject_kind='")
    chrome.press("/")
    assert chrome.run("document.activeElement.id") == "search"
    chrome.press("Escape", "n")
    chrome.until("location.pathname == '/cases/1/'")
    chrome.press("1")
    assert chrome.run("document.activeElement.name") == "reason"
    chrome.run("document.activeElement.value = 'over_prescription'")
    chrome.run("document.querySelector('details[open] [name=amount]').focus()")
    chrome.type("3200.5")
    chrome.press("Enter")
    chrome.until("document.querySelector('.banner.good')")
    assert "3,200.50 元" in chrome.run("document.querySelector('.money').innerText")
    assert chrome.logged == []  # the content policy stopped nothing, and nothing was missing


def test_from_publish_to_recovered_with_an_appeal_that_reduces(chrome, site):
    data = write_data(site.home / "data")
    write_run(site.home / "runs", "2025-07", [("patient", "Z1", 900.0), ("doctor", "D7", 500.0)])
    site.fraud("publish", "runs/2025-07", "--dataset", str(data))
    site.people(auditor="auditor", senior="senior_auditor", head="head")
    address = site.serve()

    sign_in(chrome, address, "auditor")
    chrome.press("n")
    chrome.until("location.pathname == '/cases/1/' && document.querySelector('#evidence')")
    page = chrome.run("document.body.innerText")
    for shown in ("缬沙坦", "时间线", "同一医师", "金额落在何处", "<b>床位</b>"):
        assert shown in page, shown
    chrome.press("j", "y")  # one claim is fraud, the other is not
    chrome.until("location.hash == '#e1' && document.querySelector('tr.on')?.id == 'e2'")
    chrome.press("o")
    chrome.until("document.querySelector('#e2 .no')")
    chrome.run("""{const files = new DataTransfer(); files.items.add(new File(['病程记录'], '病历.txt'));
        const input = document.querySelector('input[type=file]'); input.files = files.files;
        input.form.requestSubmit();}""")
    chrome.until("document.querySelector('#notes .file a')")
    chrome.press("c")
    chrome.type("第三页与费用清单不符")
    chrome.run("document.getElementById('comment').form.requestSubmit()")
    chrome.until("document.querySelector('.said-so')")
    confirmed = {"reason": "duplicate_prescription", "amount": "1000"}
    assert step(chrome, "confirm", **confirmed) == "确认疑点"
    assert step(chrome, "send") == "已推送机构"
    assert step(chrome, "appeal", text="机构称其中一笔已退费") == "机构申诉"
    assert step(chrome, "review_again") == "复审"

    sign_in(chrome, address, "senior")
    visit(chrome, f"{address}/cases/1/", "#evidence")
    assert step(chrome, "reduce", reason="new_evidence", amount="600", text="退费属实") == "核减"

    sign_in(chrome, address, "head")
    visit(chrome, f"{address}/cases/1/", "#evidence")
    assert step(chrome, "conclude", clause="条例第三十八条（二）") == "结论"
    assert step(chrome, "recover", amount="600") == "追回"
    told = chrome.run("document.querySelector('.history').innerText")
    assert "1,000.00 → 600.00" in told
    assert chrome.logged == []

    assert "whole" in site.fraud("workbench", "verify-trail")
    assert "3 decisions" in site.fraud("audits", "export", "--out", "audits.csv")
    rows = (site.home / "audits.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    assert [r.split(",")[:3] for r in rows] == [
        ["patient", "Z1", "confirmed"], ["claim", "Z1-a", "confirmed"], ["claim", "Z1-b", "cleared"],
    ]  # fmt: skip


def test_many_cases_are_chosen_and_assigned_by_keys(chrome, site):
    write_run(site.home / "runs", "2025-06")
    site.fraud("publish", "runs/2025-06")
    site.people(head="head", auditor="auditor")
    sign_in(chrome, site.serve(), "head")
    chrome.press("j", "x", "j", "x", "a")
    assert chrome.run("document.getElementById('picked').innerText") == "2"
    assert chrome.run("document.activeElement.id") == "assignee"
    chrome.run("document.activeElement.value = 'auditor'")
    chrome.run("document.activeElement.form.requestSubmit()")
    chrome.until("document.querySelector('.banner.good')")
    assert chrome.run("document.querySelectorAll('.t-first_review').length") == 2
    chrome.press("Escape", "v")
    chrome.type("待办")
    chrome.press("Enter")
    chrome.until("document.querySelector('[data-view]')")
    assert chrome.logged == []


def test_two_auditors_race_for_one_case(chrome, another, site):
    write_run(site.home / "runs", "2025-06")
    site.fraud("publish", "runs/2025-06")
    site.people(first="auditor", second="auditor")
    address = site.serve()
    for page, name in ((chrome, "first"), (another, "second")):
        sign_in(page, address, name)
    for page in (chrome, another):
        page.press("n")  # neither waits for the other's answer
    for page in (chrome, another):
        page.until("document.querySelector('#evidence')")
    held = [page.run("location.pathname") for page in (chrome, another)]
    assert sorted(held) == ["/cases/1/", "/cases/2/"]
    for page in (chrome, another):  # both see the third case free
        visit(page, f"{address}/cases/3/", "input[name=action][value=take]")
    assert step(chrome, "take") == "初审"
    another.run("document.querySelector('input[name=action][value=take]').form.requestSubmit()")
    another.until("document.querySelector('.banner.bad')")
    assert "已被他人更新" in another.run("document.querySelector('.banner.bad').innerText")
    assert "first" in another.run("document.querySelector('.head-line').innerText")
    assert "whole" in site.fraud("workbench", "verify-trail")


def test_an_excel_round_trip(chrome, site, tmp_path):
    """The notice leaves, the institution fills it in, and its reply moves the case on."""
    write_run(site.home / "runs", "2025-06")
    site.fraud("publish", "runs/2025-06")
    site.people(auditor="auditor")
    address = site.serve()
    sign_in(chrome, address, "auditor")
    chrome.press("n")
    chrome.until("location.pathname == '/cases/1/' && document.querySelector('#evidence')")
    assert step(chrome, "confirm", reason="upcoding", amount="1000") == "确认疑点"

    visit(chrome, f"{address}/forms/", "[name=send]")
    chrome.run("document.querySelector('[name=send]').checked = true")
    folder = tmp_path / "down"
    folder.mkdir()
    notice = downloaded(chrome, folder, "document.querySelector('[name=send]').form.requestSubmit()")
    assert notice.name.startswith("notice-")
    row = {"answer": "部分认可", "amount": 400.5, "words": "其余有病历", "by": "王院长"}
    reply = answered(notice, tmp_path / "reply.xlsx", row)

    visit(chrome, f"{address}/forms/", "input[type=file]")
    choose_file(chrome, "input[type=file]", reply)
    chrome.run("document.querySelector('input[type=file]').form.requestSubmit()")
    chrome.until("location.pathname.startsWith('/sheets/') && document.querySelector('.o-good')")
    shown = chrome.run("document.querySelector('main').innerText")
    assert "部分认可" in shown and "认可金额 400.50 元。其余有病历（填写人：王院长）" in shown
    chrome.run("document.documentElement.dataset.old = 'yes'")
    chrome.run("document.querySelector('main form').requestSubmit()")
    chrome.until("!document.documentElement.dataset.old && document.querySelector('.banner.good')")
    assert "已登记 1 行" in chrome.run("document.querySelector('.banner.good').innerText")
    visit(chrome, f"{address}/cases/1/", "#evidence")
    assert chrome.run("document.querySelector('h2 .state').innerText") == "部分认可"
    assert "400.50" in chrome.run("document.querySelector('.history').innerText")
    assert chrome.logged == []
    assert "whole" in site.fraud("workbench", "verify-trail")


def test_a_reader_changes_the_language_and_keeps_the_place(chrome, site):
    write_run(site.home / "runs", "2025-06")
    site.fraud("publish", "runs/2025-06")
    site.people(auditor="auditor")
    sign_in(chrome, site.serve(), "auditor")
    chrome.run("document.querySelector('.choose [name=state]').value = 'unassigned'")
    chrome.run("document.querySelector('.choose').requestSubmit()")
    chrome.until("location.search.includes('state=unassigned')")
    chrome.run("document.querySelector('.languages [value=en]').click()")
    chrome.until("document.documentElement.lang == 'en' && location.search.includes('state=unassigned')")
    assert "Take next" in chrome.run("document.body.innerText")
    chrome.press("n")
    chrome.until("location.pathname == '/cases/1/' && document.querySelector('#evidence')")
    assert (
        "Strongest" not in chrome.run("document.title")
        and chrome.run("document.documentElement.lang") == "en"
    )
    assert chrome.logged == []


DECIDE = """
from datetime import timedelta
from unittest import mock
from django.utils import timezone
from fraud.workbench.cases import Given, act
from fraud.workbench.models import Account, Case
boss, real = Account.objects.get(username="li.ming"), timezone.now()
for number, case in enumerate(Case.objects.order_by("-expected_cents")[:96]):
    weeks, wait = (number * 3 + number // 9) % 11, 2 + number * 7 % 40
    done = real - timedelta(weeks=weeks, hours=2)
    Case.objects.filter(pk=case.pk).update(opened_at=done - timedelta(wait + 3))
    if number % 4 == 3:
        continue
    with mock.patch("django.utils.timezone.now", lambda: done - timedelta(wait)):
        case = act(case.pk, "take", boss, case.version)
    with mock.patch("django.utils.timezone.now", lambda: done):
        if number % 7 in (1, 4, 5):
            act(case.pk, "clear", boss, case.version, Given(reason="dialysis"))
            continue
        given = Given(reason="over_prescription", amount_cents=case.at_risk_cents)
        case = act(case.pk, "confirm", boss, case.version, given)
        case = act(case.pk, "send", boss, case.version)
        case = act(case.pk, "accept", boss, case.version)
        case = act(case.pk, "conclude", boss, case.version, Given(clause="《条例》第三十八条"))
        if number % 2:
            act(case.pk, "recover", boss, case.version, Given(amount_cents=case.amount_cents // 2))
for case in Case.objects.filter(state="unassigned").order_by("-expected_cents")[:5]:
    case = act(case.pk, "take", boss, case.version)
    act(case.pk, "confirm", boss, case.version, Given(reason="upcoding", amount_cents=100_000))
"""


@pytest.mark.skipif(not WANTED, reason="set UPDATE_IMAGES=1 to make the documentation's pictures again")
def test_pictures_of_the_documentation(chrome, site, scored, sample, tmp_path):
    """A month of the committed sample: list, break-down, a case, a ring, figures, a reply."""
    site.fraud("publish", str(scored / MONTH), "--dataset", str(sample))
    site.people(**{"li.ming": "head", "wang.fang": "auditor"})
    address = site.serve()
    sign_in(chrome, address, "li.ming")
    chrome.press("j")
    picture(chrome, "workbench-list")
    visit(chrome, f"{address}/cases/drill/?by=item", "#cases")
    picture(chrome, "workbench-drill")
    visit(chrome, f"{address}/cases/?subject_kind=patient", "#cases a")
    chrome.press("j", "Enter")
    chrome.until("document.querySelector('#evidence')")
    picture(chrome, "workbench-case")
    scroll_to(chrome, "#evidence")
    picture(chrome, "workbench-evidence")
    visit(chrome, f"{address}/cases/?subject_kind=ring", "#cases a")
    chrome.press("j", "Enter")
    chrome.until("document.querySelector('#ring')")
    chrome.press("r")
    time.sleep(6)  # the frame draws with a script of its own, which nothing here can ask
    scroll_to(chrome, "#ring")
    picture(chrome, "workbench-ring")
    visit(chrome, chrome.run("document.querySelector('#ring iframe').src"), ".js-plotly-plot")
    time.sleep(3)
    scroll_to(chrome, ".js-plotly-plot")
    picture(chrome, "workbench-ring-picture")
    assert chrome.logged == []

    visit(chrome, f"{address}/cases/", "#cases a")
    chrome.run("document.querySelector('.languages [value=en]').click()")
    chrome.until("document.documentElement.lang == 'en'")
    chrome.press("j")
    picture(chrome, "workbench-english")
    chrome.run("document.querySelector('.languages [value=zh-hans]').click()")
    chrome.until("document.documentElement.lang == 'zh-CN'")

    visit(chrome, f"{address}/schemes/", ".scheme")
    picture(chrome, "workbench-schemes")

    site.run(DECIDE)
    visit(chrome, f"{address}/figures/", ".bars")
    picture(chrome, "workbench-figures")
    visit(chrome, f"{address}/forms/", "[name=send]")
    chrome.run("document.querySelector('[name=send]').checked = true")
    folder = tmp_path / "down"
    folder.mkdir()
    notice = downloaded(chrome, folder, "document.querySelector('[name=send]').form.requestSubmit()")
    part = {"answer": "部分认可", "amount": 400.5, "words": "其余有病历"}
    rows = [{"answer": "认可"}, part, {"answer": "申诉", "words": "已退费"}, {"answer": "部分认可"},
            {"answer": "同意"}]  # fmt: skip
    reply = answered(notice, tmp_path / "仁济医院回函.xlsx", *rows)
    visit(chrome, f"{address}/forms/", "input[type=file]")
    choose_file(chrome, "input[type=file]", reply)
    chrome.run("document.querySelector('input[type=file]').form.requestSubmit()")
    chrome.until("location.pathname.startsWith('/sheets/') && document.querySelector('.o-good')")
    picture(chrome, "workbench-excel")
    assert chrome.logged == []
