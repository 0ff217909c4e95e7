# ruff: noqa: E501 (rows of tables)
"""The index of recent history: written whole or not at all, the same for the same data, read-only."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fraud.engines import open_engine
from fraud.errors import DataError
from fraud.pipeline.ruling import publish_index
from fraud.rules import batch, history, indexing
from fraud.rules.history import HistoryIndex
from fraud.rules.past import NOTHING, History, Packed
from fraud.rules.rule_set import load_rule_set
from fraud.schema import month_number
from fraud.settings import EngineSettings
from tests.rule_tables import write


def claim(name: str, patient: str, day: str, **more: Any) -> dict[str, Any]:
    at = dt.datetime.fromisoformat(day) + dt.timedelta(hours=10)
    return {
        "claim_id": name, "patient_id": patient, "institution_id": "h1", "doctor_id": "d1", "visit_type": "outpatient",
        "started_at": at, "ended_at": at, "settled_at": at, "diagnosis_code": "E11.9",
        "total_amount": Decimal("30.00"), "fund_amount": Decimal("15.00"),
    } | more  # fmt: skip


def line(name: str, of: str, item: str, amount: str = "30.00", **more: Any) -> dict[str, Any]:
    return {
        "line_id": name, "claim_id": of, "item_code": item, "item_name": "二甲双胍片", "category": "drug",
        "quantity": 30.0, "unit_price": 1.0, "amount": Decimal(amount), "days_supply": 30.0,
    } | more  # fmt: skip


def tables() -> dict[str, list[dict[str, Any]]]:
    stay = {"visit_type": "inpatient", "ended_at": dt.datetime(2026, 3, 6, 10), "visit_id": "v1"}
    return {
        "claims": [
            claim("c1", "p1", "2026-02-01"),
            claim("c2", "p1", "2026-03-02"),
            claim("c3", "p2", "2026-03-02", **stay),
            claim("c4", "p3", "2026-03-02"),
            claim("r4", "p3", "2026-03-03", total_amount=Decimal("-30.00"), fund_amount=Decimal("-15.00")),
            claim("c0", "p1", "2025-01-01"),
        ],
        "lines": [
            line("l1", "c1", "i1"),
            line("l2", "c2", "i1"),
            line("l3", "c2", "i2"),
            line("l4", "c2", "i2", "-30.00", quantity=-30.0),
            line("l5", "c3", "i1"),
            line("l6", "c4", "i1"),
            line("l0", "c0", "i1"),
        ],
        "diagnoses": [{"claim_id": "c2", "position": 2, "code": "I10"}],
        "patients": [{"patient_id": p, "sex": "F", "birth_date": dt.date(1970, 1, 1)} for p in ("p1", "p2", "p3")],
        "items": [
            {
                "item_code": "i1", "name": "二甲双胍片", "category": "drug", "drug_class": "A10BA", "days_per_unit": 1.0,
                "price_limit": Decimal("2.50"), "sex_limit": "F", "min_age": 10.0,
            },
            {"item_code": "i2", "name": "甲", "category": "drug", "drug_class": None},
        ],
    }  # fmt: skip


@dataclass
class Written:
    """An index and what it was written from."""

    path: Path
    facts: Any


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    yield from build(tmp_path, tables())


def build(folder: Path, rows: dict[str, list[dict[str, Any]]], threads: int = 1) -> Iterator[Written]:
    """Index of a dataset; the engine is open meanwhile."""
    with open_engine(EngineSettings(name="duckdb", threads=threads), folder / "work") as engine:
        engine.open_dataset(write(folder / "data", rows))
        found = batch.find(engine, [month_number("2026-03")], load_rule_set())
        assert found.facts is not None
        path = folder / "index" / "history.sqlite"
        indexing.write(found.facts, path)
        yield Written(path, found.facts)


def claims(known: History) -> list[str]:
    return [known.claim_id(n) for n in range(known.count)]


def test_a_patients_history_is_what_stands(written):
    index = history.HistoryIndex(written.path)
    known = index.of("p1")
    assert claims(known) == ["c1", "c2"], "in order of time; what is older than 400 days is left out"
    last = known.visit(1).day_in
    assert dict(known.diagnosed()) == {"E11.9": last, "I10": last}
    [(*item, begin, end)] = known.items()
    assert item == ["i1", "二甲双胍片", "drug"]
    assert [(visit, milli, supply) for visit, _, milli, supply in known.fills(begin, end)] == [
        (0, 30_000, 30_000), (1, 30_000, 30_000),
    ], "lines taken back are none"  # fmt: skip
    first = known.visit(0)
    assert (first.institution_id, first.doctor_id, first.is_stay) == ("h1", "d1", False)
    stay = index.of("p2").visit(0)
    assert (stay.is_stay, stay.day_out - stay.day_in, stay.visit_id, stay.group) == (True, 4, "v1", "E11")
    assert index.of("p3") == NOTHING, "a claim refunded in full is none"
    index.close()


def test_an_unknown_patient_has_no_history(written):
    index = history.HistoryIndex(written.path)
    for patient in ("nobody", "", "p1' OR '1'='1", "汉字"):
        assert index.of(patient) == NOTHING
    index.close()


def test_only_what_was_settled_before_counts(written):
    index = history.HistoryIndex(written.path)
    known = index.of("p1")
    second = known.visit(1).settled_second
    before = known.before(second, "c2")
    assert claims(before) == ["c1"]
    assert dict(before.diagnosed()) == {"E11.9": known.visit(0).day_in}
    assert [f[0] for *_, a, b in before.items() for f in before.fills(a, b)] == [0]
    assert claims(known.before(second, "c3")) == ["c1", "c2"], "of one second the lower id comes first"
    nothing = known.before(0, "c2")
    assert (nothing.count, list(nothing.diagnosed())) == (0, [])
    index.close()


def test_the_master_comes_along(written):
    index = history.HistoryIndex(written.path)
    master = index.master()
    assert master == written.facts.master
    assert (master.items["i1"].drug_class, master.days_per_unit, master.price_limit) == (
        "A10BA",
        {"i1": 1.0},
        {"i1": 250},
    )
    assert [(r.items, r.sex, r.min_age) for r in master.limits] == [("code:i1", "F", 10.0)]
    index.close()


def test_the_same_claims_give_the_same_index(written, tmp_path):
    again = tmp_path / "again.sqlite"
    indexing.write(written.facts, again)
    shuffled = {t: random.Random(7).sample(rows, len(rows)) for t, rows in tables().items()}
    other = next(build(tmp_path / "other", shuffled, threads=2))
    changed = tables()
    changed["lines"][1]["quantity"] = 31.0
    different = next(build(tmp_path / "changed", changed))
    assert written.path.read_bytes() == again.read_bytes() == other.path.read_bytes()
    versions = [_version(p) for p in (written.path, again, other.path, different.path)]
    assert len(set(versions[:3])) == 1
    assert versions[3] != versions[0]


def _version(path: Path) -> str:
    index = history.HistoryIndex(path)
    index.close()
    return index.version


def test_a_broken_write_leaves_the_old_index(written, monkeypatch):
    before = written.path.read_bytes()

    def broken(facts: object) -> Iterator[tuple[str, Packed]]:
        yield "p1", Packed()
        raise OSError("disk full")

    monkeypatch.setattr(indexing, "_histories", broken)
    with pytest.raises(OSError, match="disk full"):
        indexing.write(written.facts, written.path)
    assert written.path.read_bytes() == before
    monkeypatch.undo()
    indexing.write(written.facts, written.path)
    assert written.path.read_bytes() == before
    assert [p.name for p in written.path.parent.iterdir()] == ["history.sqlite"], (
        "no half-written file is left"
    )


def test_who_reads_while_it_is_written_sees_the_old_one(written):
    index = history.HistoryIndex(written.path)
    known = index.of("p1")
    indexing.write(written.facts, written.path)
    assert index.of("p1") == known
    index.close()


def test_it_is_read_only(written):
    index = history.HistoryIndex(written.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        index._connection.execute("DELETE FROM patient")
    index.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such history index. Run fraud score"),
        (b"", "no history index of this version. Run fraud score again"),
        (b"this is no database, however long it is " * 50, "no history index of this version"),
        ("schema", "no history index of this version"),
        ("table", "no history index of this version"),
    ],
)
def test_what_is_no_index_of_this_version_is_refused(written, tmp_path, content, says):
    path = tmp_path / "given.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_bytes(written.path.read_bytes())
        connection = sqlite3.connect(path)
        connection.execute(
            "UPDATE fact SET value = '1' WHERE name = 'schema'" if content == "schema" else "DROP TABLE fact"
        )
        connection.commit()
        connection.close()
    with pytest.raises(DataError) as caught:
        history.HistoryIndex(path)
    assert f"given.sqlite: {says}" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_an_older_month_scored_again_does_not_replace_a_newer_index(tmp_path):
    def index(name: str, until: str) -> Path:
        path = tmp_path / name
        connection = sqlite3.connect(path)
        connection.executescript(history.TABLES)
        told = [("schema", history.SCHEMA), ("until", until), ("version", name)]
        connection.executemany("INSERT INTO fact VALUES (?, ?)", told)
        connection.commit()
        connection.close()
        return path

    place = tmp_path / "history.sqlite"
    for name, until, expected in (
        ("a", "2026-05", "a"),
        ("b", "2026-04", "a"),
        ("c", "2026-06", "c"),
        ("d", "2026-06", "d"),
    ):
        publish_index(index(name, until), place)
        known = HistoryIndex(place)
        assert known.version == expected
        known.close()
    place.write_text("no database", encoding="utf-8")
    publish_index(index("e", "2026-01"), place)
    known = HistoryIndex(place)
    assert known.version == "e"
    known.close()
    publish_index(tmp_path / "nothing", place)
