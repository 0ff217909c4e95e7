"""Comments, files and words on single claims; what is wrong with a file does no harm."""

import io
import os
import random
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, connection
from fixtures import HOME

from fraud.workbench import attachments, trail
from fraud.workbench.attachments import TYPES, attach, plain_name
from fraud.workbench.cases import Given, Refused, act
from fraud.workbench.desk import Attachment, Comment, Verdict
from fraud.workbench.models import TrailEntry
from fraud.workbench.notes import comment, mark, marks

STORED = "<script>alert(1)</script>"
FILES = HOME / "files"


def zipped(*names: str) -> bytes:
    """The same bytes at any hour: a bare name would be stamped with the clock."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), "x")
    return out.getvalue()


CONTENT = {
    ".pdf": b"%PDF-1.7 x",
    ".png": b"\x89PNG\r\n\x1a\n x",
    ".jpg": b"\xff\xd8\xff\xe0",
    ".jpeg": b"\xff\xd8\xff\xe0",
    ".tif": b"II*\0xx",
    ".tiff": b"MM\0*xx",
    ".xlsx": zipped("[Content_Types].xml", "xl/workbook.xml"),
    ".docx": zipped("[Content_Types].xml", "word/document.xml"),
    ".ofd": zipped("OFD.xml"),
    ".csv": "结算,金额\n".encode("gb18030"),
    ".txt": "说明".encode(),
}


def kept() -> set[str]:
    return set(os.listdir(FILES))


def upload(client, case, name, content, follow=False):
    file = SimpleUploadedFile("x", content)
    file._name = name  # Django's own class would tidy the name before it is sent
    return client.post(f"/cases/{case.pk}/attach/", {"file": file}, follow=follow)


@pytest.mark.parametrize("ending", TYPES)
def test_every_type_comes_back_as_a_download_unchanged(browser, case, ending):
    client, before = browser("auditor"), kept()
    assert upload(client, case, f"病历{ending.upper()}", CONTENT[ending]).status_code == 302
    made = case.attachments.get()
    answer = client.get(f"/cases/{case.pk}/files/{made.pk}/")
    assert b"".join(answer.streaming_content) == CONTENT[ending]
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    (stored,) = kept() - before
    assert stored == made.stored
    assert (FILES / stored).stat().st_mode & 0o077 == 0
    assert FILES.stat().st_mode & 0o077 == 0
    actions = list(TrailEntry.objects.filter(subject=f"case:{case.pk}").values_list("action", flat=True))
    assert actions == ["attached", "downloaded"]
    assert trail.verify().whole


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.exe", b"MZ"),
        ("a.svg", b"<svg onload=alert(1)>"),
        ("a.html", STORED.encode()),
        ("a.pdf", b"<html>" + STORED.encode()),
        ("a.png", b"%PDF-1.7"),
        ("a.pdf.exe", b"%PDF-1.7"),
        ("a.xlsx", b"%PDF-1.7"),
        ("a.xlsx", zipped("xl/workbook.xml", "xl/vbaProject.bin")),
        ("a.docx", zipped("../../evil", "xl/workbook.xml")),
        ("a.xlsx", CONTENT[".xlsx"][:40]),
        ("a.txt", b"\0\1\2"),
        ("a.txt", b"\xff\xff\xff\xff"),
        ("a.txt", b""),
        ("a.txt", b"x" * 1_000_001),
        ("", b"x"),
        (".pdf", b"%PDF-1.7"),
        ("noending", b"%PDF-1.7"),
    ],
)
def test_what_is_not_taken_leaves_nothing(browser, people, case, name, content):
    before = kept()
    upload(browser("auditor"), case, name or "x", content)
    with pytest.raises(Refused):
        attach(case, people["auditor"], name, io.BytesIO(content), len(content))
    assert kept() == before
    assert not case.attachments.exists()
    assert TrailEntry.objects.filter(action="attachment_refused").exists()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("..\\..\\a.txt", "a.txt"),
        ("/abs/病历.txt", "病历.txt"),
        ("a\u202etxt.exe.txt", "atxt.exe.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        ("x" * 500 + ".txt", "x" * 116 + ".txt"),
        ('"; filename="b.txt', '"; filename="b.txt'),
    ],
)
def test_names_are_only_ever_names(browser, people, case, given, shown):
    assert plain_name(given) == shown
    before = kept()
    made = attach(case, people["auditor"], given, io.BytesIO(b"x"), 1)
    assert made.name == shown
    (new,) = kept() - before
    assert new == made.stored
    header = browser("auditor").get(f"/cases/{case.pk}/files/{made.pk}/").headers["Content-Disposition"]
    assert header.startswith("attachment;")
    assert "\n" not in header


def test_a_changed_or_lost_file_is_not_given_back(browser, case):
    client = browser("auditor")
    upload(client, case, "a.txt", b"one")
    made = case.attachments.get()
    address = f"/cases/{case.pk}/files/{made.pk}/"
    (FILES / made.stored).write_bytes(b"two")
    assert client.get(address).status_code == 404
    (FILES / made.stored).unlink()
    assert client.get(address).status_code == 404
    assert TrailEntry.objects.filter(action="attachment_broken").count() == 2


def test_a_file_is_reached_through_its_own_case_only(browser, case):
    client = browser("auditor")
    upload(client, case, "a.txt", b"one")
    made = case.attachments.get()
    assert client.get(f"/cases/{case.pk + 1}/files/{made.pk}/").status_code == 404


def test_a_failure_while_it_is_written_down_leaves_no_file(case, people, monkeypatch):
    before = kept()
    monkeypatch.setattr(attachments.trail, "record_note", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attach(case, people["auditor"], "a.txt", io.BytesIO(b"x"), 1)
    assert kept() == before
    assert not case.attachments.exists()


def test_thousands_of_random_files_do_no_harm(case, people):
    draw, before, taken = random.Random(7), kept(), 0
    for _ in range(400):
        ending = draw.choice(list(TYPES))
        content = bytearray(CONTENT[ending])
        for _ in range(draw.randrange(6)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        content = bytes(content[: draw.randrange(1, len(content) + 1)])
        assert TYPES[ending](io.BytesIO(content)) in (True, False)
        taken += TYPES[ending](io.BytesIO(content))
    assert 0 < taken < 400
    assert kept() == before


def test_a_comment_is_shown_as_text_and_kept(browser, case):
    client = browser("auditor")
    client.post(f"/cases/{case.pk}/comment/", {"text": STORED + " 见病历第三页"})
    page = client.get(f"/cases/{case.pk}/").content.decode()
    assert "见病历第三页" in page
    assert "<script>alert" not in page
    assert TrailEntry.objects.filter(action="commented", subject=f"case:{case.pk}").count() == 1


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001])
def test_comments_that_are_none(case, people, text):
    with pytest.raises(Refused):
        comment(case, people["auditor"], text)
    with pytest.raises(Refused):
        comment(case, people["read_only"], "fine")


@pytest.mark.parametrize("table", ["comment", "attachment", "verdict"])
def test_the_database_itself_refuses_to_change_them(case, people, table):
    case = act(case.pk, "take", people["auditor"], case.version)
    comment(case, people["auditor"], "x")
    mark(case, people["auditor"], "P1-a", "innocent")
    attach(case, people["auditor"], "a.txt", io.BytesIO(b"x"), 1)
    for verb in (f"UPDATE workbench_{table} SET actor = 'x'", f"DELETE FROM workbench_{table}"):
        with pytest.raises(DatabaseError, match="written once"), connection.cursor() as cursor:
            cursor.execute(verb)
    for model in (Comment, Attachment, Verdict):
        with pytest.raises(TypeError):
            model.objects.first().delete()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE workbench_comment SET text = 'x'", "comment 1 was changed"),
        ("UPDATE workbench_verdict SET verdict = 'fraud'", "verdict 1 was changed"),
        ("UPDATE workbench_attachment SET sha256 = 'x' WHERE id = 2", "attachment 2 was changed"),
        ("DELETE FROM workbench_comment", "comment 1, which it records, is missing"),
        ("INSERT INTO workbench_comment SELECT 9, at, actor, text, case_id FROM workbench_comment",
         "comment 9 is in no row"),
    ],
)  # fmt: skip
def test_what_is_changed_behind_the_trail_s_back_is_named(case, people, sql, why):
    case = act(case.pk, "take", people["auditor"], case.version)
    comment(case, people["auditor"], "说明")
    mark(case, people["auditor"], "P1-a", "innocent")
    attach(case, people["auditor"], "a.txt", io.BytesIO(b"x"), 1)
    assert trail.verify().whole
    with connection.cursor() as cursor:
        for table in ("comment", "verdict", "attachment"):
            for event in ("update", "delete"):
                cursor.execute(f"DROP TRIGGER workbench_{table}_{event}")
        cursor.execute(sql)
    found = trail.verify()
    assert not found.whole
    assert why in found.why


def test_the_newest_word_on_a_claim_counts(browser, case, people):
    case = act(case.pk, "take", people["auditor"], case.version)
    client = browser("auditor")
    for said in ("innocent", "fraud"):
        client.post(f"/cases/{case.pk}/mark/", {"claim": "P1-b", "verdict": said})
    assert marks(case) == {"P1-b": "fraud"}
    assert TrailEntry.objects.filter(action="claim_marked").count() == 2


@pytest.mark.parametrize(
    ("name", "claim", "verdict"),
    [("auditor_2", "P1-a", "fraud"), ("read_only", "P1-a", "fraud"), ("auditor", "D1-a", "fraud"),
     ("auditor", "P1-a", "perhaps"), ("auditor", "", "")],
)  # fmt: skip
def test_words_on_claims_that_are_refused(case, people, name, claim, verdict):
    case = act(case.pk, "take", people["auditor"], case.version)
    with pytest.raises(Refused):
        mark(case, people[name], claim, verdict)


def test_a_decided_case_is_marked_no_more(case, people):
    with pytest.raises(Refused):
        mark(case, people["everything"], "P1-a", "fraud")  # nobody holds it
    case = act(case.pk, "take", people["auditor"], case.version)
    case = act(case.pk, "clear", people["auditor"], case.version, Given(reason="season"))
    with pytest.raises(Refused):
        mark(case, people["auditor"], "P1-a", "fraud")
