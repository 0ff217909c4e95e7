"""Names are encrypted at rest, shown to roles that may, and each showing is in the trail."""

import pytest
from django.conf import settings
from django.test import override_settings

from fraud.errors import DataError
from fraud.workbench.books import SealedName
from fraud.workbench.models import Case, TrailEntry
from fraud.workbench.sealed import Name, keep, opened, read_names

WHO = "王小明<script>"


@pytest.fixture
def kept(database):
    keep([Name("patient", "P1", WHO, "C-1234"), Name("doctor", "D1", "李医生", "")], "test")


def test_the_database_holds_no_name(kept, database):
    raw = database.read_bytes() + (database.parent / f"{database.name}-wal").read_bytes()
    for secret in (WHO, "王小明", "李医生", "C-1234"):
        assert secret.encode() not in raw
        assert secret.encode("unicode_escape") not in raw
    assert [n.name for n in opened([("patient", "P1"), ("patient", "P9"), ("doctor", "D1")])] == [
        WHO,
        "李医生",
    ]


def test_a_row_under_another_subject_or_another_secret_does_not_open(kept):
    with override_settings(SECRET_KEY="x" * 50), pytest.raises(DataError, match="解密"):
        opened([("patient", "P1")])
    row = SealedName.objects.get(subject_id="P1")
    SealedName.objects.filter(subject_id="D1").update(sealed=row.sealed)
    with pytest.raises(DataError, match="解密"):
        opened([("doctor", "D1")])
    SealedName.objects.update(sealed=bytes(row.sealed)[:-1])
    with pytest.raises(DataError):
        opened([("patient", "P1")])


def test_again_is_the_same_name_sealed_anew(kept):
    before = bytes(SealedName.objects.get(subject_id="P1").sealed)
    keep([Name("patient", "P1", "新名", "")], "test")
    assert SealedName.objects.filter(subject_id="P1").count() == 1
    assert bytes(SealedName.objects.get(subject_id="P1").sealed) != before
    assert opened([("patient", "P1")])[0].name == "新名"


def test_the_page_shows_them_once_asked_and_the_trail_knows(kept, browser, case):
    client = browser("auditor")
    assert "王小明" not in client.get(f"/cases/{case.pk}/").content.decode()
    page = client.post(f"/cases/{case.pk}/names/").content.decode()
    assert "王小明&lt;script&gt;" in page
    assert "C-1234" in page
    row = TrailEntry.objects.last()
    assert (row.actor, row.action, row.subject) == ("auditor", "names_shown", f"case:{case.pk}")
    assert "王小明" not in row.details
    for role in ("read_only", "data_scientist", "administrator"):
        assert browser(role).post(f"/cases/{case.pk}/names/").status_code == 403
        assert "显示姓名" not in browser(role).get(f"/cases/{case.pk}/").content.decode()


def test_names_of_a_ring_s_members(kept, browser):
    ring = Case.objects.get(subject_id="R1")
    assert "王小明" in browser("auditor").post(f"/cases/{ring.pk}/names/").content.decode()


def test_what_does_not_open_is_said(kept, browser, case):
    SealedName.objects.update(sealed=b"short")
    response = browser("auditor").post(f"/cases/{case.pk}/names/")
    assert response.status_code == 409
    assert "无法解密" in response.content.decode()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_file_of_names(tmp_path, encoding):
    path = tmp_path / "names.csv"
    path.write_text(
        "subject_id,name,certificate_no,subject_kind\nP1,王小明,C1,\nD1,李医生,,doctor\n", encoding=encoding
    )
    assert read_names(path) == [Name("patient", "P1", "王小明", "C1"), Name("doctor", "D1", "李医生", "")]


def test_bad_files_are_refused_by_row_without_a_value(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("subject_id,name,subject_kind\n,王,\nP1,,\nP2,王,street\nP3,赵,\n", encoding="utf-8")
    with pytest.raises(DataError) as refused:
        read_names(path)
    assert len(refused.value.problems) == 3
    assert "王" not in str(refused.value)
    path.write_text("id,who\n1,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="missing"):
        read_names(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_names(tmp_path / "nowhere.csv")
    assert settings.SECRET_KEY
