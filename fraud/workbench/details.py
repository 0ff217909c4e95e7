"""What a case's page shows from the dataset: lines, what falls on whom, and the subject over time.

Read once, when a run is published, and kept with the case: the pages never open a dataset.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from fraud.workbench.keyed import Keyed, Rows

_LINE_COLUMNS = (
    "line_id", "claim_id", "item_code", "item_name", "category", "quantity", "unit_price", "amount",
    "charged_at",
)  # fmt: skip
_STEPS, _BUCKETS = 8, 400  # buckets of an eighth of an octave: a typical amount is known within 9%
_FEWEST, _TIMES = 100, 3.0
MOST_LINES, MOST_ITEMS, MOST_CLAIMS = 200, 40, 400
"""Lines kept of a claim, items of a case, claims of a timeline."""
_DAYS = 730
PARTIES = ("patient", "doctor", "department", "institution")


@dataclass
class Details:
    """What was read of a dataset.

    Attributes
    ----------
    lines : mapping
        Claim → its lines; amounts in cents.
    typical : mapping
        Item → (lines, median, 99th percentile) of what a line of it costs, in cents.
    claims : mapping
        Patient → claims, oldest first: start, end, visit type, institution, cents, claim.
    days : mapping
        (kind, id) → days: day, claims, cents.
    """

    lines: dict[str, Rows] = field(default_factory=dict)
    typical: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    claims: dict[str, list[list[Any]]] = field(default_factory=dict)
    days: dict[tuple[str, str], list[list[Any]]] = field(default_factory=dict)


@dataclass
class DetailTables:
    """What belongs to a run's evidence claims and subjects, in columns; `part` makes rows of some.

    Attributes
    ----------
    names : mapping
        Item → name.
    typical : mapping
        As `Details`.
    lines : Keyed or None
        Lines by claim.
    past : mapping
        Kind → what is shown of its subjects' past, by subject.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    typical: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    lines: Keyed | None = None
    past: dict[str, Keyed] = field(default_factory=dict)

    def part(self, claim_ids: Iterable[str], subjects: Mapping[str, Iterable[str]]) -> Details:
        """Rows of some evidence claims and subjects."""
        found = Details(typical=self.typical)
        if self.lines is not None:
            lines = self.lines.rows(claim_ids)
            found.lines = {claim: [_line(r, self.names) for r in own] for claim, own in lines.items()}
        for kind, table in self.past.items():
            for code, rows in table.rows(sorted(set(subjects.get(kind, ())))).items():
                if kind == "patient":
                    found.claims[code] = [_claim(r) for r in rows[-MOST_CLAIMS:]]
                else:
                    days = [[str(r["day"]), r["claim_id_count"], r["cents_sum"]] for r in rows]
                    found.days[kind, code] = days
        return found


def read_details(
    dataset: Path, month: str, claim_ids: list[str], subjects: Mapping[str, Iterable[str]]
) -> Details:
    """Rows of what `read_tables` reads, all at once."""
    return read_tables(dataset, month, claim_ids, subjects).part(claim_ids, subjects)


def read_tables(
    dataset: Path, month: str, claim_ids: Iterable[str], subjects: Mapping[str, Iterable[str]]
) -> DetailTables:
    """Read what belongs to evidence claims and subjects.

    Parameters
    ----------
    dataset : Path
        Dataset folder; tables it does not have are left out.
    month : str
        Scored month: nothing later is read of the subjects' past.
    claim_ids : iterable of str
        Evidence claims.
    subjects : mapping
        Kind (patient, doctor, department, institution) → ids whose past is shown.
    """
    found = DetailTables()
    if (path := dataset / "lines.parquet").exists():
        table = _lines(path, claim_ids)
        found.names, found.lines = _item_names(dataset), Keyed(table, "claim_id")
        items = (
            pc.unique(table["item_code"].cast(pa.string())).to_pylist()
            if "item_code" in table.column_names
            else []
        )
        found.typical = _typical(path, sorted({code or "" for code in items}))
    path = dataset / "claims.parquet"
    have = set(pq.ParquetDataset(path).schema.names)
    for kind in PARTIES:
        own = sorted(set(subjects.get(kind, ())))
        if own and f"{kind}_id" in have:
            table = _past(path, f"{kind}_id", own, month, have)
            table = table if kind == "patient" else _days(table, f"{kind}_id")
            found.past[kind] = Keyed(table, f"{kind}_id")
    return found


def _item_names(dataset: Path) -> dict[str, str]:
    path = dataset / "items.parquet"
    if not path.exists():
        return {}
    table = pq.read_table(path, columns=["item_code", "name"])
    return dict(zip(table["item_code"].to_pylist(), table["name"].to_pylist(), strict=True))


def _lines(path: Path, claim_ids: Iterable[str]) -> pa.Table:
    have = pq.ParquetDataset(path).schema.names
    return pq.read_table(
        path,
        columns=[c for c in _LINE_COLUMNS if c in have],
        filters=pc.field("claim_id").isin(pa.array(claim_ids, pa.string())),
    )


def _line(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    code, at = row.get("item_code") or "", row.get("charged_at")
    return {
        "id": row.get("line_id") or "",
        "code": code,
        "name": row.get("item_name") or names.get(code) or "",
        "category": row.get("category") or "",
        "quantity": None if row.get("quantity") is None else float(row["quantity"]),
        "price": cents(row.get("unit_price")),
        "cents": cents(row.get("amount")) or 0,
        "at": "" if at is None else at.isoformat(" ", "minutes"),
    }


def cents(yuan: Any) -> int | None:
    """Yuan as integer cents."""
    return None if yuan is None else round(yuan * 100)


def _typical(path: Path, items: list[str]) -> dict[str, tuple[int, int, int]]:
    """Median and 99th percentile of what lines of items cost, over all lines, in one pass."""
    counts = np.zeros(len(items) * _BUCKETS, np.int64)
    known = pa.array(items, pa.string())
    for batch in ds.dataset(path).to_batches(columns=["item_code", "amount"]):
        place = pc.index_in(batch["item_code"].cast(pa.string()), value_set=known)
        cents = np.asarray(pc.fill_null(pc.cast(batch["amount"], pa.float64()), 0.0)) * 100
        kept = np.asarray(pc.is_valid(place)) & (cents >= 1)
        bucket = np.minimum((np.log2(cents[kept]) * _STEPS).astype(np.int64), _BUCKETS - 1)
        index = np.asarray(pc.fill_null(place, 0)).astype(np.int64)[kept] * _BUCKETS + bucket
        counts += np.bincount(index, minlength=len(counts))
    found = {}
    for code, own in zip(items, counts.reshape(-1, _BUCKETS), strict=True):
        if total := int(own.sum()):
            upto = np.cumsum(own)
            ends = [int(np.searchsorted(upto, np.ceil(share * total))) for share in (0.5, 0.99)]
            median, high = (round(2 ** ((end + 0.5) / _STEPS)) for end in ends)
            found[code] = (total, median, high)
    return found


def _past(path: Path, key: str, own: list[str], month: str, have: set[str]) -> pa.Table:
    """Claims of some subjects in the two years up to the end of a month, the oldest first."""
    times = [c for c in ("settled_at", "ended_at", "started_at") if c in have]
    columns = [key, "claim_id", *times, "visit_type", "institution_id", "fund_amount"]
    table = pq.read_table(
        path,
        columns=[c for c in dict.fromkeys(columns) if c in have],
        filters=pc.field(key).isin(pa.array(own, pa.string())),
    )
    last = np.datetime64(month, "M") + 1
    first = last.astype("datetime64[D]") - _DAYS
    at = pc.coalesce(*[table[c] for c in times]).cast(pa.timestamp("us"))
    table = table.append_column("at", at).append_column("day", at.cast(pa.date32()))
    within = pc.and_(
        pc.less(table["day"], pa.scalar(last.astype("datetime64[D]").item())),
        pc.greater_equal(table["day"], pa.scalar(first.item())),
    )
    cents = pc.round(pc.multiply(pc.cast(table["fund_amount"], pa.float64()), 100.0)).cast(pa.int64())
    table = table.append_column("cents", pc.fill_null(cents, 0)).filter(within)
    return table.sort_by([("at", "ascending"), ("claim_id", "ascending")])


def _claim(row: Mapping[str, Any]) -> list[Any]:
    start, end = row.get("started_at") or row["at"], row.get("ended_at") or row["at"]
    return [str(start)[:10], str(end)[:10], row.get("visit_type") or "", row.get("institution_id") or "",
            row["cents"], row["claim_id"]]  # fmt: skip


def _days(table: pa.Table, key: str) -> pa.Table:
    """Claims and cents by subject and day."""
    grouped = table.group_by([key, "day"], use_threads=False).aggregate(
        [("cents", "sum"), ("claim_id", "count")]
    )
    return grouped.sort_by([(key, "ascending"), ("day", "ascending")])


def ring_days(claims: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Days of a ring: day, claims, cents."""
    sums: dict[str, list[int]] = {}
    for claim in claims:
        own = sums.setdefault(str(claim["settled_at"])[:10], [0, 0])
        own[0] += 1
        own[1] += cents(claim["amount"]) or 0
    return [[day, *sums[day]] for day in sorted(sums)]


def marked_lines(details: Details, claim_id: str, hits: Rows, names: Mapping[str, tuple[str, str]]) -> Rows:
    """Lines of a claim, the odd ones first and then the dearest.

    A line is odd where a rule that no snooze covers names it, or where it costs more than 99% of the
    item's lines and at least three times the usual.

    Returns
    -------
    list of dict
        id, code, name, category, quantity, price, cents, at, ``rules`` (names), ``usual`` (cents or
        None) and ``dear`` (times the usual, or None).
    """
    of_line: dict[str, set[str]] = {}
    for hit in hits:
        if not hit["snoozed"]:
            for line in hit["line_ids"] or ():
                of_line.setdefault(line, set()).add(names.get(hit["rule"], ("", ""))[0] or hit["rule"])
    made = []
    for line in details.lines.get(claim_id, ()):
        number, usual, high = details.typical.get(line["code"], (0, 0, 0))
        known = number >= _FEWEST and usual > 0
        dear = known and line["cents"] > high and line["cents"] >= _TIMES * usual
        row = line | {"rules": sorted(of_line.get(line["id"], ())), "usual": usual if known else None}
        made.append({**row, "dear": round(line["cents"] / usual, 1) if dear else None})
    return sorted(made, key=lambda r: (not (r["rules"] or r["dear"]), -r["cents"], r["id"]))


def portions(
    claim_ids: Iterable[str],
    facts: Mapping[str, Mapping[str, Any]],
    at_risk: Mapping[str, int],
    details: Details,
) -> Iterator[tuple[str, str, str, int, int]]:
    """What of some claims falls on whom: kind, code, name, claims and cents, by kind and code."""
    sums: dict[tuple[str, str], list[Any]] = {}

    def add(kind: str, code: Any, name: str, cents: int, seen: set[tuple[str, str]]) -> None:
        if not code:
            return
        own = sums.setdefault((kind, str(code)), [name, 0, 0])
        own[2] += cents
        if (kind, code) not in seen:
            own[1] += 1
            seen.add((kind, code))

    for claim_id in claim_ids:
        seen: set[tuple[str, str]] = set()
        fact = facts.get(claim_id, {})
        for kind in PARTIES:
            add(kind, fact.get(f"{kind}_id"), "", at_risk.get(claim_id, 0), seen)
        for line in details.lines.get(claim_id, ()):
            add("item", line["code"], line["name"], line["cents"], seen)
    items = sorted((k for k in sums if k[0] == "item"), key=lambda k: (-sums[k][2], k))[MOST_ITEMS:]
    for key in sorted(set(sums) - set(items)):
        name, claims, cents = sums[key]
        yield key[0], key[1], name[:200], claims, cents
