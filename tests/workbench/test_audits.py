"""Decisions come back in the contract's form."""

import csv
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import write_run

from fraud.errors import UsageError
from fraud.schema import AUDITS
from fraud.workbench import audits
from fraud.workbench.cases import Given, act
from fraud.workbench.models import Case, Evidence, TrailEntry
from fraud.workbench.notes import mark
from fraud.workbench.publishing import publish


@pytest.fixture
def decided(case, people):
    """One case cleared, one confirmed and recovered, one only suspected, one untouched."""
    boss = people["everything"]

    def walk(case, *steps):
        for action, given in steps:
            case = act(case.pk, action, boss, case.version, given)

    walk(case, ("take", Given()), ("clear", Given(reason="dialysis")))
    confirmed = ("take", Given()), ("confirm", Given(reason="upcoding", amount_cents=12_345))
    walk(Case.objects.get(subject_id="C9"), *confirmed)
    walk(
        Case.objects.get(subject_id="D1"), *confirmed, ("send", Given()), ("accept", Given()),
        ("conclude", Given(clause="第三十八条")), ("recover", Given(amount_cents=10_001)),
    )  # fmt: skip


def test_parquet_has_the_contract_s_columns_and_what_was_concluded(decided, tmp_path):
    assert audits.export(tmp_path / "audits.parquet", "test") == 6
    table = pq.read_table(tmp_path / "audits.parquet")
    assert table.schema.equals(AUDITS.arrow())
    cleared, confirmed = (r for r in table.to_pylist() if r["subject_kind"] != "claim")
    assert isinstance(cleared.pop("decided_at"), datetime)
    assert cleared == {"subject_kind": "patient", "subject_id": "P1", "outcome": "cleared", "scheme": None,
                       "recovered_amount": None, "reason": "ranked"}  # fmt: skip
    assert confirmed["outcome"] == "confirmed"
    assert (confirmed["scheme"], confirmed["recovered_amount"]) == ("upcoding", Decimal("100.01"))
    assert TrailEntry.objects.last().action == "exported"
    assert [p.name for p in tmp_path.glob("*audits*")] == ["audits.parquet"]


def test_csv_and_the_page_say_the_same(decided, tmp_path, browser):
    audits.export(tmp_path / "audits.csv", "test")
    written = (tmp_path / "audits.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(written.splitlines()))
    assert [r["subject_id"] for r in rows] == ["P1", "P1-a", "P1-b", "D1", "D1-a", "D1-b"]
    page = browser("head").post("/audits/export/").content.decode("utf-8-sig")
    assert list(csv.DictReader(page.splitlines())) == rows


def claims_of(rows):
    return {r["subject_id"]: r["outcome"] for r in rows if r["subject_kind"] == "claim"}


def test_claims_go_with_their_case_unless_somebody_said_otherwise(people, case):
    boss = people["everything"]
    one = act(case.pk, "take", boss, case.version)
    mark(one, boss, "P1-a", "fraud")  # said of one claim of a case that is cleared
    act(one.pk, "clear", boss, one.version, Given(reason="dialysis"))
    two = Case.objects.get(subject_id="D1")
    for action, given in (
        ("take", Given()), ("confirm", Given(reason="upcoding", amount_cents=12_345)), ("send", Given()),
        ("accept", Given()),
    ):  # fmt: skip
        two = act(two.pk, action, boss, two.version, given)
    mark(two, boss, "D1-b", "fraud")
    mark(two, boss, "D1-b", "innocent")
    act(two.pk, "conclude", boss, two.version, Given(clause="第三十八条"))
    rows = list(audits.decisions())
    assert claims_of(rows) == {
        "P1-a": "confirmed", "P1-b": "cleared", "D1-a": "confirmed", "D1-b": "cleared"}  # fmt: skip
    of = {r["subject_id"]: r for r in rows}
    assert (of["D1-a"]["scheme"], of["D1-b"]["scheme"], of["P1-b"]["scheme"]) == ("upcoding", None, None)
    assert of["D1-a"]["recovered_amount"] is None
    assert of["D1-a"]["decided_at"] == of["D1"]["decided_at"]


def test_a_claim_of_several_cases_has_one_row(people, case, tmp_path):
    """Its own case first, then what was said, then the latest case."""
    boss = people["everything"]
    Evidence.objects.filter(suspicion__case__subject_id="D1", place=1).update(claim_id="C9")
    Evidence.objects.filter(suspicion__case__subject_id="D1", place=2).update(claim_id="P1-a")
    for subject, action, given in (
        ("P1", "confirm", Given(reason="upcoding", amount_cents=5)), ("C9", "clear", Given(reason="season")),
        ("D1", "clear", Given(reason="season")),
    ):  # fmt: skip
        one = Case.objects.get(subject_id=subject)
        one = act(one.pk, "take", boss, one.version)
        if subject == "P1":
            mark(one, boss, "P1-a", "fraud")
        one = act(one.pk, action, boss, one.version, given)
        if action == "confirm":
            for action, given in (("send", Given()), ("accept", Given()), ("conclude", Given(clause="x"))):
                one = act(one.pk, action, boss, one.version, given)
    rows = list(audits.decisions())
    assert len({(r["subject_kind"], r["subject_id"]) for r in rows}) == len(rows)
    found = claims_of(rows)
    assert (found["C9"], found["P1-a"], found["P1-b"]) == ("cleared", "confirmed", "confirmed")


def test_claims_of_a_later_run_are_not_decided(people, case, tmp_path):
    case = act(case.pk, "take", people["auditor"], case.version)
    act(case.pk, "clear", people["auditor"], case.version, Given(reason="dialysis"))
    folder = write_run(tmp_path, "2025-06", [("patient", "P1", 900.0)], fingerprint="f2")
    publish(folder, "test")  # the same month again: a rationale more for the decided case
    Evidence.objects.filter(suspicion__run__fingerprint="f2", place=1).update(claim_id="later")
    assert "later" not in claims_of(audits.decisions())


def test_formulas_are_neutralised(decided, people):
    Case.objects.filter(subject_id="P1").update(subject_id="=1+1")
    assert "'=1+1" in audits.as_csv(list(audits.decisions()))


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UsageError):
        audits.export(tmp_path / "audits.xlsx", "test")


def test_training_reads_the_rows_of_the_export(decided, tmp_path):
    from fraud.pipeline.training import read_audits

    audits.export(tmp_path / "audits.parquet", "test")
    frame = read_audits(tmp_path / "audits.parquet")
    assert list(frame.columns) == [c.name for c in AUDITS]
    assert list(zip(frame["subject_id"], frame["outcome"], strict=True)) == [
        (d["subject_id"], d["outcome"]) for d in audits.decisions()
    ]
    assert list(frame["decided_at"]) == [d["decided_at"] for d in audits.decisions()]


def test_labels_take_the_latest_decision_wherever_it_is_from(decided, tmp_path):
    import pandas as pd

    from fraud.engines import open_engine
    from fraud.pipeline.frames import labels
    from fraud.settings import EngineSettings

    pq.write_table(pa.table({"claim_id": ["C"]}), tmp_path / "x.parquet")
    rows = [
        {"subject_kind": "patient", "subject_id": s, "outcome": o, "decided_at": datetime(2020, 1, 1)}
        for s, o in (("P1", "confirmed"), ("P2", "confirmed"))
    ]
    more = pd.DataFrame(audits.decisions())
    with open_engine(EngineSettings(), tmp_path) as engine:
        path = tmp_path / "audits.parquet"
        pq.write_table(pa.Table.from_pylist(rows, AUDITS.arrow()), path)
        engine._register_contract(AUDITS, path)
        found = labels(engine, "patient", 12 * 2100, more).set_index("subject_id")["label"]
        before = labels(engine, "patient", 12 * 2021, more).set_index("subject_id")["label"]
    assert dict(found) == {"P1": 0, "P2": 1}
    assert dict(before) == {"P1": 1, "P2": 1}  # what was decided later is not known yet
