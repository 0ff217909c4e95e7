"""Publishing a run: whole or not at all, again without harm, and never over what people did."""

import shutil

import pytest
from fixtures import HOME
from run_folders import NAMES, SUBJECTS, reasons, write_run

from fraud.errors import DataError
from fraud.workbench import publishing, trail
from fraud.workbench.cases import Given, act
from fraud.workbench.models import Case, Evidence, Ring, RuleHit, Run, Step, Suspicion
from fraud.workbench.publishing import publish

TABLES = (Run, Case, Suspicion, Evidence, RuleHit, Ring, Step)


def counts():
    return [t.objects.count() for t in TABLES]


def clear(case, people):
    case = act(case.pk, "take", people["auditor"], case.version)
    return act(case.pk, "clear", people["auditor"], case.version, Given(reason="dialysis"))


def test_what_the_run_said_is_what_the_case_shows(case):
    assert (case.score, case.at_risk_cents, case.expected_cents) == (0.5, 180_000, 90_000)
    assert (case.top_reason, case.claims) == ("P1 的概述", 2)
    assert case.rule_marks == [["P-DUP-DRUG", "重复开药"]]
    own = case.suspicions.get()
    for frozen, said in zip(own.reasons, reasons("P1"), strict=True):
        assert {k: v for k, v in frozen.items() if v is not None} == said
    hit = own.rule_hits.get()
    assert (hit.clause, hit.amount_cents, hit.exemptions) == (NAMES["P-DUP-DRUG"][1], 1234, ["近365天的诊断"])
    assert [e.claim_id for e in own.evidence.order_by("place")] == ["P1-a", "P1-b"]
    assert Case.objects.get(subject_id="R1").ring_id == "R1"


def test_again_changes_nothing():
    before, rows = counts(), trail.verify().rows
    assert publish(HOME / "runs" / "2025-06", "test", NAMES).already
    assert (counts(), trail.verify().rows) == (before, rows)


def test_a_copy_of_the_run_elsewhere_is_the_same_run(tmp_path):
    shutil.copytree(HOME / "runs" / "2025-06", tmp_path / "copy")
    assert publish(tmp_path / "copy", "test").already


def test_an_empty_list_is_published_too(tmp_path):
    assert publish(write_run(tmp_path, "2025-08", []), "test").opened == 0


def test_no_run_folder_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="not a run folder"):
            publish(folder, "test")


def test_missing_tables_are_all_named(tmp_path):
    folder = write_run(tmp_path, "2025-07")
    (folder / "rings.parquet").unlink()
    (folder / "rule_hits.parquet").unlink()
    with pytest.raises(DataError) as refused:
        publish(folder, "test")
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize("name", ["suspicions.parquet", "rings.html"])
def test_a_changed_file_is_refused(tmp_path, name):
    folder = write_run(tmp_path, "2025-07")
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    before = counts()
    with pytest.raises(DataError, match="differ"):
        publish(folder, "test")
    assert counts() == before


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    before, rows = counts(), trail.verify().rows
    monkeypatch.setattr(publishing, "_rings", lambda *_: 1 / 0)
    folder = write_run(tmp_path, "2025-07")
    with pytest.raises(ZeroDivisionError):
        publish(folder, "test")
    assert (counts(), trail.verify().rows) == (before, rows)
    monkeypatch.undo()
    assert publish(folder, "test").updated == 4


def test_a_later_month_updates_the_open_case_and_leaves_the_person_alone(tmp_path, case, people):
    case = act(case.pk, "take", people["auditor"], case.version)
    case = act(case.pk, "confirm", people["auditor"], case.version, Given(reason="upcoding", amount_cents=70))
    done = publish(write_run(tmp_path, "2025-07", [("patient", "P1", 50.0)]), "test")
    assert (done.opened, done.updated) == (0, 1)
    case.refresh_from_db()
    assert (case.month, case.expected_cents) == ("2025-07", 5_000)
    assert (case.state, case.amount_cents, case.assignee) == ("confirmed", 70, people["auditor"])
    assert [s.expected_cents for s in case.suspicions.order_by("month")] == [90_000, 5_000]


def test_an_earlier_month_published_late_does_not_take_the_figures_back(tmp_path, case):
    publish(write_run(tmp_path, "2025-05", [("patient", "P1", 50.0)]), "test")
    case.refresh_from_db()
    assert (case.month, case.expected_cents, case.suspicions.count()) == ("2025-06", 90_000, 2)


def test_a_cleared_subject_that_comes_back_is_a_new_case(tmp_path, case, people):
    clear(case, people)
    assert publish(write_run(tmp_path, "2025-07", SUBJECTS), "test").opened == 1
    old, new = Case.objects.filter(subject_id="P1").order_by("id")
    assert (old.state, old.month, new.state, new.month) == ("cleared", "2025-06", "unassigned", "2025-07")
    assert (old.steps.get(action="clear").reason, new.status) == ("dialysis", "previously_cleared")
    assert old.decided_at is not None
    assert new.suspicions.get().status == "new"  # what the run said stays as it was


def test_the_same_month_scored_again_opens_no_cleared_case(tmp_path, case, people):
    clear(case, people)
    done = publish(write_run(tmp_path, "2025-06", SUBJECTS, fingerprint="f2"), "test")
    assert (done.opened, done.already) == (0, False)
    assert Case.objects.filter(subject_id="P1").count() == 1
    assert case.suspicions.count() == 2


def test_facts_of_evidence_come_from_the_dataset(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = tmp_path / "data"
    data.mkdir()
    pq.write_table(
        pa.table({"claim_id": ["Z1-a", "other"], "doctor_id": ["D7", "D8"], "secret": ["x", "y"]}),
        data / "claims.parquet",
    )
    publish(write_run(tmp_path / "runs", "2025-07", [("patient", "Z1", 10.0)]), "test", dataset=data)
    first, second = Evidence.objects.filter(suspicion__case__subject_id="Z1").order_by("place")
    assert (first.facts, second.facts) == ({"doctor_id": "D7"}, {})
    with pytest.raises(DataError, match="no claims"):
        publish(write_run(tmp_path / "runs", "2025-08"), "test", dataset=tmp_path)
