"""Small datasets for rules, and both ways of applying rules to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.engines import open_engine
from fraud.rules import batch, history, indexing, replay, single
from fraud.rules.compiled import CompiledRules
from fraud.rules.rule_set import RuleSet
from fraud.rules.vocabulary import Item
from fraud.schema import TABLES, month_number
from fraud.settings import EngineSettings

Finding = tuple[str, str, str, str, int | None, int, float | None, str]
"""Rule, knowledge row, claim, item code, day, cents, value, partner's code."""


@dataclass(frozen=True)
class Both:
    """What batch and single found: findings, and (rule, claim, earlier claim)."""

    batch: set[Finding]
    single: set[Finding]
    batch_others: set[tuple[str, str, str]]
    single_others: set[tuple[str, str, str]]
    skipped: dict[str, str]

    def rules_of(self, claim: str) -> set[str]:
        """Codes of the rules that hit a claim."""
        return {f[0] for f in self.batch if f[2] == claim}


def write(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Write rows as a dataset; columns that no row names are absent from it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        used = {c for row in rows for c in row}
        schema = pa.schema([f for f in TABLES[name].arrow() if f.name in used])
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / f"{name}.parquet")
    return folder


def apply(dataset: Path, work: Path, months: Sequence[str], rules: RuleSet, engine: str = "duckdb") -> Both:
    """Apply rules to some months of a dataset, in batch and one claim at a time."""
    with open_engine(EngineSettings(name=engine, threads=1), work) as opened:
        opened.open_dataset(dataset)
        found = batch.find(opened, [month_number(m) for m in months], rules)
        if found.facts is None:
            return Both(set(), set(), set(), set(), found.skipped)
        index = work / "history.sqlite"
        indexing.write(found.facts, index)
        claims = list(replay.encounters(found.facts))
    known = history.HistoryIndex(index)
    compiled = CompiledRules(found.checks, rules.classes, known.master())
    one: set[Finding] = set()
    others: set[tuple[str, str, str]] = set()
    for encounter in claims:
        result = single.find(compiled, encounter, known.of(encounter.patient_id))
        for row in result.rows:
            one.add(_finding(found, encounter.claim_id, row, compiled.items))
        others |= {(found.checks[n].rule.code, encounter.claim_id, o) for n, o in result.others}
    known.close()
    rows = found.rows.itertuples(index=False)
    many = {
        _finding(
            found,
            r.claim_id,
            (r.check, r.item, None if pd.isna(r.day) else int(r.day), r.cents, r.value, r.partner),
            found.items,
        )
        for r in rows
    }
    told = {
        (found.checks[r.check].rule.code, r.claim_id, r.other) for r in found.others.itertuples(index=False)
    }
    return Both(many, one, told, others, found.skipped)


def _finding(found: batch.Found, claim: str, row: tuple[Any, ...], items: Sequence[Item]) -> Finding:
    number, item, day, cents, value, partner = row
    check = found.checks[number]
    measured = None if value is None or pd.isna(value) else round(float(value), 9)
    return (
        check.rule.code,
        check.row.id if check.row else "",
        claim,
        items[item].code if item >= 0 else "",
        day,
        int(cents),
        measured,
        items[partner].code if partner >= 0 else "",
    )
