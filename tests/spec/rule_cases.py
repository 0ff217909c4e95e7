# ruff: noqa: E501 (rows of tables)
"""Bills written as text tables in, hits out, on both engines and one claim at a time.

A case is a table of claims: who, where, when, what was charged, and which rules must hit with which
amount at issue. A claim with ``-`` under ``hits`` is innocent: no rule of the whole set may hit it.
All cases of the session become one dataset, judged once per engine; patients carry the case's name,
so cases do not meet.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.engines import open_engine
from fraud.pipeline import ruling
from fraud.rules import batch, history, indexing, replay, single
from fraud.rules.compiled import CompiledRules
from fraud.rules.hits import hits_of
from fraud.rules.rule_set import load_rule_set
from fraud.rules.single_hits import Hit, single_hits
from fraud.schema import month_number
from fraud.settings import EngineSettings
from tests.rule_tables import Finding, _finding, write

MONTHS = ("2026-03", "2026-04")
YEAR = 2026
KINDS = {"h1": "tertiary", "h2": "secondary", "h3": "primary", "shop": "pharmacy"}
SPECIALTIES = (
    "general", "psychiatry", "rehabilitation", "oncology", "cardiology", "ophthalmology", "stomatology",
)  # fmt: skip
Rows = list[dict[str, Any]]
Prices = dict[str, tuple[str, Decimal]]
CHARGE = re.compile(
    r"(?P<name>[^*@/>]+)(\*(?P<quantity>-?[\d.]+))?(@(?P<price>[\d.]+))?(=(?P<amount>-?[\d.]+))?"
    r"(/(?P<supply>\d+)d)?(>(?P<first>[\d-]+)(\.\.(?P<last>[\d-]+))?)?"
)


@dataclass(frozen=True)
class Case:
    """One rule's worked example.

    Attributes
    ----------
    name : str
        Which suspicion it shows.
    claims : str
        Text table; the columns not given are those of `DEFAULTS`, and ``why`` is the rest of the row.
    patients : str
        Text table: patient, sex, born, died; a patient who is not named is a woman born in 1976.
    """

    name: str
    claims: str
    patients: str = ""


DEFAULTS = {
    "patient": "", "place": "h1", "kind": "outpatient", "out": "", "dx": "Z00.0", "charges": "", "total": "",
    "visit": "", "dept": "general", "doctor": "d1", "settled": "",
}  # fmt: skip


def rows_of(text: str) -> list[dict[str, str]]:
    """Rows of a text table: a header line, then one line per row; ``-`` is empty, the last column is the rest."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    header = lines[0].split()
    found = []
    for line in lines[1:]:
        cells = line.split(maxsplit=len(header) - 1)
        assert len(cells) == len(header), f"row and header differ: {line}"
        found.append({k: "" if v == "-" else v for k, v in zip(header, cells, strict=True)})
    return found


def day(text: str) -> dt.datetime:
    """``03-01`` or ``2025-12-01``, at nine o'clock."""
    text = text if len(text) > 5 else f"{YEAR}-{text}"
    return dt.datetime.fromisoformat(text) + dt.timedelta(hours=9)


def catalogue(text: str) -> Prices:
    """Name → category and price."""
    return {r["name"]: (r["category"], Decimal(r["price"])) for r in rows_of(text)}


def lines_of(claim: str, text: str, begin: dt.datetime, prices: Prices) -> Rows:
    """Lines of ``name*quantity@price=amount/30d>03-02..03-05`` joined by ``+``; all but the name may be left out."""
    found: Rows = []
    for part in filter(None, text.split("+")):
        match = CHARGE.fullmatch(part)
        assert match, f"no charge: {part}"
        category, price = prices[match["name"]]
        price = Decimal(match["price"]) if match["price"] else price
        quantity = Decimal(match["quantity"] or "1")
        amount = Decimal(match["amount"]) if match["amount"] else quantity * price
        first = day(match["first"]) if match["first"] else begin
        last = day(match["last"]) if match["last"] else first
        for offset in range((last - first).days + 1):
            found.append(
                {
                    "line_id": f"{claim}.{len(found)}", "claim_id": claim, "item_code": match["name"],
                    "item_name": match["name"], "category": category, "quantity": float(quantity),
                    "unit_price": float(price), "amount": amount.quantize(Decimal("0.01")),
                    "charged_at": first + dt.timedelta(days=offset),
                    "days_supply": float(match["supply"]) if match["supply"] else None,
                }
            )  # fmt: skip
    return found


def tables_of(cases: list[Case], prices: Prices, items: str) -> dict[str, Rows]:
    """Tables of the contract with all cases; half of every claim is paid by the fund."""
    tables: dict[str, Rows] = {
        "claims": [], "lines": [], "diagnoses": [], "patients": [],
        "institutions": [{"institution_id": i, "kind": k} for i, k in KINDS.items()],
        "departments": [{"department_id": f"k-{s}", "institution_id": "h1", "specialty": s} for s in SPECIALTIES],
        "doctors": [{"doctor_id": d, "institution_id": "h1"} for d in ("d1", "d2")],
        "items": [
            {
                "item_code": r["name"], "name": r["name"], "category": r["category"], "sex_limit": r["sex"] or None,
                "min_age": float(r["min_age"]) if r["min_age"] else None,
                "max_age": float(r["max_age"]) if r["max_age"] else None,
                "price_limit": Decimal(r["limit"]) if r["limit"] else None,
                "days_per_unit": float(r["days"]) if r["days"] else None,
            }
            for r in rows_of(items)
        ],
    }  # fmt: skip
    for case in cases:
        people = {r["patient"]: r for r in (rows_of(case.patients) if case.patients else [])}
        for row in rows_of(case.claims):
            row = DEFAULTS | {k: v for k, v in row.items() if v or k in ("dx", "doctor")}
            _add_claim(tables, case.name, row, prices)
            people.setdefault(row["patient"], {"patient": row["patient"], "sex": "F", "born": "1976-05-01"})
        for name, person in people.items():
            tables["patients"].append(
                {
                    "patient_id": f"{case.name}.{name}", "sex": person.get("sex") or None,
                    "birth_date": day(person["born"]).date() if person.get("born") else None,
                    "death_date": day(person["died"]).date() if person.get("died") else None,
                    "insurance_type": "resident",
                }
            )  # fmt: skip
    return tables


def _add_claim(tables: dict[str, Rows], case: str, row: dict[str, str], prices: Prices) -> None:
    claim, begin = f"{case}.{row['claim']}", day(row["in"])
    end = day(row["out"] or row["in"])
    lines = lines_of(claim, row["charges"], begin, prices)
    total = Decimal(row["total"]) if row["total"] else sum((line["amount"] for line in lines), Decimal(0))
    first, *more = row["dx"].split("+")
    shop = row["place"] == "shop"
    tables["lines"] += lines
    tables["diagnoses"] += [{"claim_id": claim, "position": n, "code": c} for n, c in enumerate(more, 2)]
    tables["claims"].append(
        {
            "claim_id": claim, "visit_id": f"{case}.{row['visit']}" if row["visit"] else None,
            "patient_id": f"{case}.{row['patient']}", "institution_id": row["place"], "visit_type": row["kind"],
            "department_id": None if shop else f"k-{row['dept']}", "doctor_id": row["doctor"] or None,
            "started_at": begin, "ended_at": end,
            "settled_at": (day(row["settled"]) if row["settled"] else end) + dt.timedelta(hours=2),
            "diagnosis_code": first or None, "total_amount": total.quantize(Decimal("0.01")),
            "fund_amount": (total / 2).quantize(Decimal("0.01")),
        }
    )  # fmt: skip


def expected(case: Case) -> dict[str, set[str]]:
    """Claim → ``RULE/ROW:amount`` of every hit it must have."""
    return {
        f"{case.name}.{r['claim']}": set(filter(None, r["hits"].split(",")))
        for r in rows_of(case.claims)
    }  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """What both ways found.

    Attributes
    ----------
    hits : DataFrame
        The batch's table of hits.
    claims : DataFrame
        The batch's summary by claim.
    single : dict
        Claim → hits on the screen.
    findings, single_findings : set
        Raw findings of both ways, see `tests.rule_tables`.
    skipped : dict
        Rules that were not decided.
    index : bytes
        The index of history.
    """

    hits: pd.DataFrame
    claims: pd.DataFrame
    single: dict[str, list[Hit]]
    findings: set[Finding]
    single_findings: set[Finding]
    skipped: dict[str, str]
    index: bytes

    def told(self) -> dict[str, set[str]]:
        """Claim → ``RULE/ROW:amount`` of the batch."""
        found: dict[str, set[str]] = {}
        for row in self.hits.itertuples(index=False):
            found.setdefault(row.claim_id, set()).add(
                _text(row.rule, row.knowledge, round(row.amount_at_issue * 100))
            )
        return found

    def told_singly(self) -> dict[str, set[str]]:
        """Claim → ``RULE/ROW:amount`` of the screen."""
        return {
            c: {_text(h.code, h.knowledge.get("id", ""), h.amount) for h in hits}
            for c, hits in self.single.items()
            if hits
        }


def _text(rule: str, row: str, cents: int) -> str:
    return f"{rule}{'/' if row else ''}{row}:{cents / 100:g}"


def judge(engine: str, folder: Path, tables: dict[str, Rows], rules_folder: Path) -> Judged:
    """Judge a dataset by the built-in rules and a user's folder, in batch and one claim at a time."""
    rules = load_rule_set(rules_folder)
    with open_engine(EngineSettings(name=engine, threads=1), folder / "work") as opened:
        opened.open_dataset(write(folder / "data", tables))
        found = batch.find(opened, [month_number(m) for m in MONTHS], rules)
        assert found.facts is not None
        indexing.write(found.facts, folder / "history.sqlite")
        hits = hits_of(found, ruling._claims(opened, found), ruling._lines(opened, found), rules.snoozes)
        claims = list(replay.encounters(found.facts))
    index = history.HistoryIndex(folder / "history.sqlite")
    compiled = CompiledRules(found.checks, rules.classes, index.master())
    screen, alone = {}, set()
    for encounter in claims:
        result = single.find(compiled, encounter, index.of(encounter.patient_id))
        alone |= {_finding(found, encounter.claim_id, row, compiled.items) for row in result.rows}
        screen[encounter.claim_id] = single_hits(compiled, result, encounter.total or 0)
    index.close()
    many = {
        _finding(found, r.claim_id, (r.check, r.item, None if pd.isna(r.day) else int(r.day), r.cents, r.value, r.partner), found.items)
        for r in found.rows.itertuples(index=False)
    }  # fmt: skip
    kept = (folder / "history.sqlite").read_bytes()
    return Judged(hits.table, hits.claims, screen, many, alone, hits.skipped, kept)
