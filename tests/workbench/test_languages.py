"""Each page speaks one language, the reader's; the catalog is whole.

``UPDATE_CATALOG=1`` brings the catalog's files up to date with the code; new messages then want English.
"""

import os
import re
from html.parser import HTMLParser

import polib
import pytest
from catalog import COMPILED, FILE, messages, update
from django.test import Client, override_settings
from django.urls import reverse
from django.utils.translation import override
from run_folders import NAMES, write_data, write_run
from test_excel import NOTICE, filled, upload
from test_permissions import ARGUMENTS, OWN, PAGES, POSTED

from fraud.workbench import speech
from fraud.workbench.cases import Given, act
from fraud.workbench.forms import AMOUNT, ANSWER, CASE, CHECK, WORDS
from fraud.workbench.models import Account, Case
from fraud.workbench.notes import comment, mark
from fraud.workbench.publishing import publish
from fraud.workbench.random_slice import choose_share

CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+")
DATA = (
    "缬沙坦",
    "床位",
    "重复开药",
    "条例第三十八条（二）",
    "条款",
    "认可",
    "部分认可",
    "申诉",
    "疑点核查通知书",
)
"""Chinese that is no part of the interface: of the dataset, and answers of the workbook."""
PROPER = {
    "English", "Excel", "SHA", "UTC", "audits", "csv", "fraud", "name", "xlsx", "region", "institution",
    "department", "txt", "test", "own", "publish", "DUP", "DRUG", "more",
}  # fmt: skip
"""Latin words that Chinese pages may hold: names of people, files and programs, and codes one types."""


class Interface(HTMLParser):
    """What a page says: its text and the words of its attributes, but for codes and keys."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said, self._silent = [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        if tag in ("code", "kbd", "script", "option") or (tag == "button" and "lang" in own):
            self._silent += tag != "option" or own.get("value") is None
        self.said += [own[n] for n in ("title", "aria-label", "placeholder", "alt") if own.get(n)]

    def handle_endtag(self, tag):
        if tag in ("code", "kbd", "script") or (tag in ("button", "option") and self._silent):
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data):
        if not self._silent and data.strip():
            self.said.append(data.strip())


def chinese_of(page: str) -> list[str]:
    for data in sorted(DATA, key=len, reverse=True):
        page = page.replace(data, "")
    return sorted({found for said in Interface(page).said for found in CHINESE.findall(said)})


def latin_of(page: str) -> list[str]:
    page = re.sub("SHA-256 [0-9a-f]{64}", "", page)
    words = {w for said in Interface(page).said for w in re.findall(r"[A-Za-z][A-Za-z_0-9]{2,}", said)}
    return sorted(words - PROPER - set(Account.objects.values_list("username", flat=True)))


@pytest.fixture
def full(people, tmp_path):
    """A month with all that pages show: lines, a timeline, a ring, decisions, marks, drawn cases."""
    choose_share("0.5", "head")
    subjects = [("patient", "Z1", 80.0), ("doctor", "D7", 50.0), ("ring", "R1", 9.0), ("patient", "P1", 5.0)]
    words = {"amount": ("费用", "cost"), "P-DUP-DRUG": ("重复开药", "drug twice")}
    run = write_run(tmp_path / "runs", "2025-07", subjects)
    boss = people["everything"]
    for subject in ("P1", "D1"):
        case = Case.objects.get(subject_id=subject)
        case = act(case.pk, "take", boss, case.version)
        act(case.pk, "clear", boss, case.version, Given(reason="dialysis"))
    publish(run, "test", NAMES, write_data(tmp_path / "data"), words)
    case = Case.objects.get(subject_id="Z1", open=True)
    case = act(case.pk, "take", boss, case.version)
    mark(case, boss, "Z1-a", "innocent")
    comment(case, boss, "ok")
    ring = Case.objects.get(subject_id="R1", month="2025-07")
    ring = act(ring.pk, "take", boss, ring.version)
    ring = act(ring.pk, "confirm", boss, ring.version, Given(reason="upcoding", amount_cents=100_000))
    act(ring.pk, "send", boss, ring.version)
    return case


def reader(people, language: str) -> Client:
    client = Client()
    client.force_login(people["everything"])
    client.cookies[speech.COOKIE] = language
    return client


def every_page(client: Client, case: Case, own: int):
    """Addresses and pages: all of the matrix, each with the case that has most to show, and some refused."""
    evidence = case.suspicions.get().evidence.first().pk
    for name in PAGES:
        if name in ("asset", "plotly", "ring_pictures", "attachment", "sign_out", "language", "password"):
            continue
        arguments = ARGUMENTS.get(name, [])
        if arguments == OWN:
            arguments = [own]
        elif arguments and name in ("case", "act", "names", "comment", "attach", "mark", "claim"):
            arguments = [case.pk, evidence][: len(arguments)]
        address = reverse(name, args=arguments)
        answer = client.post(address, follow=True) if name in POSTED else client.get(address, follow=True)
        if "html" in answer.headers.get("Content-Type", ""):
            yield f"{name}", answer.content.decode()
    for query in (
        "due=overdue",
        "sort=due",
        "rule=P-DUP-DRUG&outcome=decided&source=random",
        "q=nobody",
        "page=9",
    ):
        yield query, client.get(f"/cases/?{query}").content.decode()
    for other in Case.objects.exclude(pk=case.pk):
        yield f"case {other.subject_id}", client.get(f"/cases/{other.pk}/").content.decode()
    yield "404", client.get("/cases/999/").content.decode()
    yield "drill", client.get("/cases/drill/?by=department").content.decode()
    for action, posted in (
        ("confirm", {"amount": "x"}),
        ("confirm", {}),
        ("send", {}),
        ("clear", {"version": 99}),
    ):
        told = {"action": action, "version": case.version, **posted}
        yield f"refused {action}", client.post(f"/cases/{case.pk}/act/", told).content.decode()
    client.post("/cases/assign/", {"case": [f"{case.pk}:99"], "assignee": "auditor"})
    yield "messages", client.get("/cases/").content.decode()
    faulty = {ANSWER: "部分认可", AMOUNT: "x", WORDS: ""}
    ring = Case.objects.get(state="sent")
    for answers in (faulty, {ANSWER: "?"}, {ANSWER: "认可", CHECK: "0" * 12}, {ANSWER: "认可", CASE: "x"},
                    {ANSWER: "认可", AMOUNT: "=1+1"}, {ANSWER: "认可"}):  # fmt: skip
        sheet = upload(client, filled(NOTICE, {ring.pk: answers}))
        yield f"sheet {answers}", client.get(sheet.url).content.decode()
    yield "sheet refused", upload(client, b"x").content.decode()
    yield "forms", client.get("/forms/?state=sent").content.decode()


def test_english_pages_hold_no_chinese_but_data(people, full):
    client = reader(people, "en")
    found = {name: chinese_of(page) for name, page in every_page(client, full, people["everything"].pk)}
    assert {name: said for name, said in found.items() if said} == {}
    page = client.get("/cases/").content.decode()
    assert '<html lang="en">' in page
    assert {"Suspicions", "Take next", "Strongest reason"} <= set(Interface(page).said)


def test_chinese_pages_hold_no_english_but_proper_words(people, full):
    client = reader(people, "zh-hans")
    found = {name: latin_of(page) for name, page in every_page(client, full, people["everything"].pk)}
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize("role", ["auditor", "administrator", "read_only"])
def test_refusals_are_told_in_the_reader_s_language(browser, role):
    client = browser(role)
    client.cookies[speech.COOKIE] = "en"
    for name in PAGES:
        if name in POSTED or ARGUMENTS.get(name):
            continue
        answer = client.get(reverse(name), follow=True)
        assert chinese_of(answer.content.decode()) == [], name


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_pages_before_and_about_signing_in(people, language):
    client = Client()
    client.cookies[speech.COOKIE] = language
    pages = [client.get("/sign-in/"), client.post("/sign-in/", {"name": "x", "password": "y"})]
    signed_in = reader(people, language)
    wrong = {"old_password": "x", "new_password1": "short", "new_password2": "other"}
    pages += [
        signed_in.get("/password/"),
        signed_in.post("/password/", wrong),
        Client(enforce_csrf_checks=True).post("/cases/take/"),
    ]
    for page in pages[:-1]:
        told = page.content.decode()
        assert (chinese_of(told) if language == "en" else latin_of(told)) == []


def test_the_reader_chooses_and_the_choice_stays(people):
    client = Client()
    client.force_login(people["head"])
    page = client.get("/cases/?state=sent").content.decode()
    assert 'lang="zh-CN"' in page
    assert 'name="next" value="/cases/?state=sent"' in page
    answer = client.post("/language/", {"language": "en", "next": "/cases/?state=sent"})
    assert answer.url == "/cases/?state=sent"
    assert client.cookies[speech.COOKIE]["httponly"]
    page = client.get("/cases/")
    assert 'lang="en"' in page.content.decode()
    assert page.headers["Content-Language"] == "en"
    assert client.post("/language/", {"language": "xx", "next": "https://evil.example/"}).url == "/"
    assert client.cookies[speech.COOKIE].value == "en"


def test_the_browser_s_language_counts_only_where_the_site_says_so(settings_of):
    client = Client(headers={"accept-language": "en-GB,en;q=0.9"})
    assert 'lang="zh-CN"' in client.get("/sign-in/").content.decode()
    with settings_of(language="browser"):
        assert 'lang="en"' in client.get("/sign-in/").content.decode()
        german = Client(headers={"accept-language": "de"})
        assert 'lang="zh-CN"' in german.get("/sign-in/").content.decode()
    with settings_of(language="en"):
        assert 'lang="en"' in Client().get("/sign-in/").content.decode()


@pytest.fixture
def settings_of():
    from django.conf import settings

    return lambda **own: override_settings(WORKBENCH=settings.WORKBENCH.model_copy(update=own))


def test_money_and_days_as_each_reader_expects():
    from datetime import UTC, date, datetime

    at = datetime(2026, 11, 22, 2, 5, tzinfo=UTC)
    with override("zh-hans"):
        assert [speech.money(c) for c in (99_900, 1_234_567, -2_000_000, None)] == [
            "999 元", "1.23 万元", "-2.00 万元", "0 元"]  # fmt: skip
        assert (speech.day(date(2026, 1, 2)), speech.month("2026-11"), speech.moment(at)) == (
            "2026-01-02", "2026-11", "2026-11-22 10:05")  # fmt: skip
        assert speech.spoken(("中", "en")) == "中"
    with override("en"):
        assert [speech.money(c) for c in (99_900, 1_234_567)] == ["999 yuan", "12,346 yuan"]
        assert (speech.day(date(2026, 1, 2)), speech.month("2026-11"), speech.moment(at)) == (
            "2 Jan 2026", "Nov 2026", "22 Nov 2026 10:05")  # fmt: skip
        assert (speech.moment("2026-11-22 10:05"), speech.moment("soon"), speech.month("x")) == (
            "22 Nov 2026 10:05", "soon", "x")  # fmt: skip
        assert (speech.spoken(("中", "en")), speech.spoken(("中", ""))) == ("en", "中")


def test_the_catalog_is_whole():
    if os.environ.get("UPDATE_CATALOG"):
        assert update() == []
    kept = polib.pofile(str(FILE), wrapwidth=110)
    spoken = {(e.msgid, e.msgid_plural or None, e.msgctxt) for e in kept}
    assert spoken == set(messages())  # none is missing, none is unused
    assert len(spoken) == len(kept)
    for entry in kept:
        told = [*entry.msgstr_plural.values()] if entry.msgid_plural else [entry.msgstr]
        assert all(told), entry.msgid
        assert not entry.fuzzy, entry.msgid
        for text in told:
            assert not CHINESE.search(text.replace("“", "").replace("”", "")), entry.msgid
            assert not set(text) & set('"<>&'), entry.msgid  # it stands in attributes as it is
            assert sorted(_places(text)) == sorted(_places(entry.msgid)), entry.msgid
    assert COMPILED.read_bytes() == kept.to_binary()


def _places(text: str) -> list[str]:
    return re.findall(r"%\(\w+\)s|%s|%%", text)
