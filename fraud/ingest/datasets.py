"""The quality of a dataset folder, and folders of contract-named text made ready for the engines."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from fraud.engines import dataset_tables, part_files
from fraud.errors import DataError, UsageError
from fraud.ingest.profile import load_profile
from fraud.ingest.quality import QualityReport
from fraud.ingest.reporting import measure
from fraud.ingest.run import Progress, described, ingest
from fraud.ingest.store import Store, storage_errors
from fraud.ingest.tables import TableRecord
from fraud.schema import TABLES, Table
from fraud.settings import Settings


def check(
    dataset: Path,
    settings: Settings,
    progress: Progress | None = None,
    month: int | None = None,
    beside: Path | None = None,
) -> QualityReport:
    """Quality of a dataset folder, CSV or Parquet.

    Parameters
    ----------
    dataset : Path
        Folder of the contract's tables.
    settings : Settings
        Thresholds.
    month : int, optional
        Month number to be scored: its volume is compared with the three months before.
    beside : Path, optional
        Folder for temporary files; the system's when left out.

    Raises
    ------
    DataError
        There is no claims table, or required columns are missing.
    """
    with tempfile.TemporaryDirectory(prefix="fraud-check-", dir=beside) as temporary:
        work = Path(temporary)
        folder = canonical_dataset(dataset, work / "dataset", settings, progress)
        with storage_errors(work, settings.engine.memory_limit):
            store = Store(settings.engine, work)
            try:
                return _check(store, folder, settings, month)
            finally:
                store.close()


def _check(store: Store, folder: Path, settings: Settings, month: int | None) -> QualityReport:
    found = dataset_tables(folder)
    _require_columns(folder, found)
    columns = {}
    for name, path in found.items():
        schema = pads.dataset(part_files(path)).schema
        columns[name] = list(schema.names)
        store.view(
            f"data_{name}",
            f"SELECT * FROM read_parquet({store.value(part_files(path))}, union_by_name = true)",
        )
    before = _previous(folder)
    records = {
        name: TableRecord(
            name,
            tuple(columns[name]),
            rows=item["rows"],
            left_out=item["left_out"],
            quarantined=item["quarantined"],
            issues=item["issues"],
        )
        for name, item in before.get("ingest", {}).items()
        if name in columns
    }
    profile = before.get("dataset", {}).get("profile", "")
    report = measure(store, columns, settings.gate, records, _line_totals(profile), month)
    said = described(folder)
    report.dataset = {
        "name": said.get("name") or folder.name,
        "currency": said.get("currency", "CNY"),
        "region": said.get("region", ""),
        "profile": said.get("profile", ""),
        "pseudonyms": said.get("pseudonyms", ""),
    }
    if before:
        report.control_totals = before["control_totals"]
    return report


def _require_columns(folder: Path, found: Mapping[str, Path]) -> None:
    """Refuse a dataset whose tables lack required columns; names them all."""
    problems = []
    for name, path in found.items():
        have = pads.dataset(part_files(path)).schema.names
        missing = [c for c in TABLES[name].required if c not in have]
        if missing:
            problems.append(
                f"{folder.name}: {name}: required columns are missing: {', '.join(missing)}. "
                f"The table has: {', '.join(sorted(have))}. Map them under [{name}.columns] in a profile."
            )
    if problems:
        raise DataError(problems)


def _previous(folder: Path) -> dict[str, Any]:
    """Report that ingest left in the folder, where it did."""
    path = folder / "quality.json"
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return report if isinstance(report, dict) and report.get("ingest") else {}


def _line_totals(profile: str) -> bool:
    try:
        return load_profile(profile).line_totals if profile else True
    except UsageError:
        return True


def canonical_dataset(path: Path, work: Path, settings: Settings, progress: Progress | None = None) -> Path:
    """Folder of contract-typed Parquet: `path` itself, or what canonical ingest makes of it in `work`.

    Raises
    ------
    DataError
        `path` holds no claims, or they cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder.")
    if path.is_dir() and _is_typed(path):
        return path
    ingest(path, work, profile="canonical", settings=settings, progress=progress)
    return work


def _is_typed(folder: Path) -> bool:
    """Whether every contract table of a folder is Parquet with the contract's types."""
    found = dataset_tables(folder)
    others = {p.name.split(".")[0] for p in folder.iterdir() if p.is_file()} & set(TABLES)
    if "claims" not in found or others - set(found):
        return False
    return all(part_files(p) and _types_fit(TABLES[t], part_files(p)) for t, p in found.items())


def _types_fit(table: Table, files: list[str]) -> bool:
    try:
        schema = pq.read_schema(files[0])
    except pa.ArrowInvalid:
        raise DataError(f"{Path(files[0]).name}: not a Parquet file, or a damaged one.") from None
    return all(schema.field(c.name).type == c.arrow for c in table if c.name in schema.names)
