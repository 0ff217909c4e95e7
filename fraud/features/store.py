"""Feature store: claim features of months already built, so that a new month builds only its own.

What is kept of a month depends on its own claims and lines, and on the year before. It is used again only
where all of these, the columns the dataset has and the code that made it are the same as then: every month
of the data is reduced to a digest, and a file's name holds the digests of what it was made from.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.dataset as pads
from ibis.formats.pyarrow import PyArrowSchema

from fraud.features.scope import HISTORY, Scope
from fraud.schema import month_text, relation

ALONE = "bundles"
"""The one kept table whose rows depend on nothing but their own month."""
_ROOM = 2**40
"""Row hashes are cut to 40 bits, so that their sum over any number of rows is exact."""


class FeatureStore:
    """Kept tables of past months, one Parquet for each month and table.

    Parameters
    ----------
    folder : Path
        Of one dataset. Holds what a run folder holds: features and pseudonymised ids.
    scope : Scope
        After ``fx_claims`` is kept.
    """

    def __init__(self, folder: Path, scope: Scope) -> None:
        self.folder, self.scope = folder, scope
        self._digests = _digests(scope)
        present = sorted((table, sorted(columns)) for table, columns in scope.engine.present.items())
        self._made_by = [_code(), repr(present)]

    def path(self, name: str, month: int) -> Path:
        """File of a table's month, there or not."""
        first = month if name == ALONE else month - HISTORY
        digests = [f"{m}:{self._digests.get(m, '')}" for m in range(first, month + 1)]
        key = hashlib.sha256("\n".join([*self._made_by, *digests]).encode()).hexdigest()[:24]
        return self.folder / name / f"{month_text(month)}-{key}.parquet"

    def has(self, name: str, month: int) -> bool:
        """Whether a month is kept as the dataset now has it."""
        return self.path(name, month).exists()

    def read(self, name: str, months: Sequence[int]) -> ir.Table:
        """Rows of kept months."""
        parts = []
        for month in months:
            path, table = self.path(name, month), f"fx_stored_{name}_{month}"
            self.scope.engine.register(table, path)
            schema = PyArrowSchema.to_ibis(pads.dataset(path, format="parquet").schema)
            # a file without rows may call its columns required, which others do not
            columns = {name: kind.copy(nullable=True) for name, kind in schema.items()}
            parts.append(ibis.table(columns, name=table))
        return ibis.union(*parts) if len(parts) > 1 else parts[0]

    def keep(self, name: str, table: ir.Table, months: Sequence[int]) -> None:
        """Keep months of a table with ``month`` and ``claim_id``; what the month was before is removed."""
        for month in months:
            path = self.path(name, month)
            path.parent.mkdir(parents=True, exist_ok=True)
            # the number before the ending: an engine that writes beside replaces the ending
            beside = path.with_name(f".{path.stem}.{os.getpid()}.parquet")
            rows = table.filter(table.month == month).order_by("claim_id")
            self.scope.engine.to_parquet(rows, beside, name=f"store {name} {month_text(month)}")
            for old in path.parent.glob(f"{month_text(month)}-*"):
                _remove(old)
            os.replace(beside, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digests(scope: Scope) -> dict[int, str]:
    """Digest of each month: its cleaned claims with their context, lines with their items, diagnoses."""
    claims = scope["claims"]
    # a death is news to no claim before it
    death = ibis.ifelse(claims.death_day < claims.day_in, claims.death_day, ibis.null("int64"))
    own = claims.select("claim_id", "month")
    lines, items = relation("lines"), relation("items")
    named = items.rename({f"item_{c}": c for c in items.columns if c != "item_code"})
    parts: Mapping[str, ir.Table] = {
        "claims": claims.mutate(death_day=death),
        "lines": lines.inner_join(own, "claim_id").left_join(named, "item_code"),
        "diagnoses": relation("diagnoses").inner_join(own, "claim_id"),
    }
    said: dict[int, list[str]] = {}
    for name, rows in parts.items():
        found = scope.engine.to_arrow(_summed(rows), name=f"digest {name}").to_pylist()
        for row in sorted(found, key=lambda r: r["month"]):
            said.setdefault(row["month"], []).append(f"{name} {row['rows']} {row['hashes']}")
    return {month: " ".join(texts) for month, texts in said.items()}


def _summed(rows: ir.Table) -> ir.Table:
    columns: dict[str, Any] = {c: rows[c] for c in rows.columns}
    hashed = rows.select("month", hash=ibis.struct(columns).hash() % _ROOM)
    return hashed.group_by("month").agg(
        rows=hashed.count(), hashes=hashed.hash.cast("decimal(38,0)").sum().cast("string")
    )


@cache
def _code() -> str:
    """Digest of the code that makes features: another version keeps its own."""
    here = Path(__file__).parent
    sources = [*sorted(here.rglob("*.py")), here.parent / "schema.py", here.parent / "engines" / "base.py"]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()
