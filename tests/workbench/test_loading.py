"""Rows straight into tables: the same as Django writes, in parts as well as at once, all or none."""

import datetime

import pyarrow as pa
import pytest
from django.db import connection, transaction
from run_folders import write_data, write_run

from fraud.workbench import publishing, random_slice, run_contents
from fraud.workbench.desk import Lines, Portion, PortionSum, Timeline
from fraud.workbench.keyed import Keyed
from fraud.workbench.loading import load, load_objects, reserve, store
from fraud.workbench.models import Case, Evidence, RuleHit, Run, Step, Suspicion, TrailEntry, Unit

MANY = [("patient", f"Q{i}", 100.0 + i) for i in range(7)] + [("patient", "Z1", 9.0), ("doctor", "D7", 8.0)]
TABLES = (Case, Suspicion, Evidence, Lines, Timeline, RuleHit, Portion, PortionSum, Unit, Step)


def test_objects_read_back_as_django_would_have_written_them(case):
    with transaction.atomic():
        (key,) = reserve(Case, 1)
        made = Case.objects.get(pk=case.pk)
        made.pk, made.suspicion_id, made.rule_marks = key, "S-x", [["R", "“规则”"]]
        made.due_on, made.opened_at = (
            datetime.date(2026, 7, 1),
            datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC),
        )
        assert load_objects(Case, [made]) == 1
    read = Case.objects.get(pk=key)
    assert [getattr(read, f.attname) for f in Case._meta.concrete_fields] == [
        getattr(made, f.attname) for f in Case._meta.concrete_fields
    ]
    assert Case.objects.create(**{**_values(made), "suspicion_id": "S-y"}).pk > key  # keys go on after it
    made.rule_marks, made.score = [], 0.25
    store(Case, ("rule_marks", "score"), [made])
    read.refresh_from_db()
    assert (read.rule_marks, read.score, read.month) == ([], 0.25, made.month)
    assert load(Unit, ("case_id", "kind", "code"), []) == 0


def _values(case) -> dict:
    return {f.attname: getattr(case, f.attname) for f in Case._meta.concrete_fields if f.attname != "id"}


def test_rows_by_key():
    table = pa.table({"k": ["b", None, "a", "b"], "n": [1, 2, 3, 4]})
    kept = Keyed(table, "k")
    assert kept.rows(["b", "c", "b"]) == {"b": [{"k": "b", "n": 1}, {"k": "b", "n": 4}]}
    assert kept.rows([]) == kept.rows(["c"]) == {}
    assert Keyed(table.slice(0, 0), "k").rows(["a"]) == {}


def _told() -> dict:
    """All that publishing wrote, but for times and keys that only number rows."""
    found = {}
    for model in TABLES:
        names = [f.attname for f in model._meta.concrete_fields if f.attname not in ("at", "opened_at")]
        names = names if model in (Case, Suspicion, Evidence) else [n for n in names if n != "id"]
        found[model.__name__] = sorted(map(repr, model.objects.values_list(*names)))
    return found


def test_a_list_in_parts_is_the_list_at_once(tmp_path, monkeypatch):
    random_slice.choose_share("0.5", "head")
    run, data = write_run(tmp_path / "runs", "2025-07", MANY), write_data(tmp_path / "data")
    with transaction.atomic():
        publishing.publish(run, "test", dataset=data)
        whole = _told()
        transaction.set_rollback(True)
    monkeypatch.setattr(run_contents, "PART", 2)
    publishing.publish(run, "test", dataset=data)
    assert _told() == whole
    assert Case.objects.filter(source="random").count() == 5


def test_a_part_that_fails_takes_the_parts_before_it_along(tmp_path, monkeypatch):
    monkeypatch.setattr(run_contents, "PART", 2)
    before = _told(), Run.objects.count(), TrailEntry.objects.count()
    run, written = write_run(tmp_path / "runs", "2025-07", MANY), []

    def fail(content):
        written.append(content)
        if len(written) == 3:
            raise RuntimeError("the disk is full")
        return original(content)

    original = publishing.write_cases
    monkeypatch.setattr(publishing, "write_cases", fail)
    with pytest.raises(RuntimeError):
        publishing.publish(run, "test")
    assert (_told(), Run.objects.count(), TrailEntry.objects.count()) == before
    monkeypatch.setattr(publishing, "write_cases", original)
    assert publishing.publish(run, "test").opened == len(MANY)
    assert publishing.publish(run, "test").already
    assert connection.vendor == "sqlite"
