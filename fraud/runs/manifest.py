"""What made a run: content hashes, control totals, code version; and what earlier runs found."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraud.schema import TABLES, month_number, month_text

if TYPE_CHECKING:
    import pandas as pd

_SOURCES = (".py", ".toml", ".csv", ".html", ".css", ".js", ".j2", ".json", ".gz")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys, the same text for the same value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False, default=_text)


def write_json(value: Any, path: Path) -> None:
    """Write `canonical` of a value as a file that ends with its line."""
    path.write_text(canonical(value) + "\n", encoding="utf-8")


def _text(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else sorted(value) if isinstance(value, set) else str(value)


def fingerprint(*parts: Any) -> str:
    """Identity of a run: hash of the package's code and of everything else its files depend on.

    Parameters
    ----------
    *parts : Path, pydantic model, mapping, sequence or scalar
        Inputs, settings, model and rule-set versions, the previous list. Of a path its content
        counts, not its place; an absent one counts as absent.
    """
    known = [code_version(), *(_part(part) for part in parts)]
    return hashlib.sha256(canonical(known).encode()).hexdigest()


def _part(part: Any) -> Any:
    if isinstance(part, Path):
        return content_hash(part)
    if hasattr(part, "model_dump"):
        return part.model_dump(mode="json")
    if isinstance(part, Mapping):
        return {str(k): _part(v) for k, v in part.items()}
    if isinstance(part, list | tuple):
        return [_part(p) for p in part]
    return part


def content_hash(path: Path) -> str:
    """SHA-256 over the files of a folder (names and bytes, hidden ones left out), or of one file."""
    if path.is_file():
        return file_hash(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("[!.]*") if p.is_file()) if path.exists() else []:
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_hash(file)}\n".encode())
    return digest.hexdigest()


@cache
def code_version() -> dict[str, str]:
    """Package version and hash of the package's own source files."""
    import fraud

    root = Path(fraud.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in _SOURCES):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root).as_posix()}\0{file_hash(path)}\n".encode())
    return {"package": f"fraud {fraud.__version__}", "sha256": digest.hexdigest()}


def input_facts(tables: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Row counts, control totals and content hashes of input tables.

    Parameters
    ----------
    tables : mapping of str to Path
        Contract table → its Parquet file or folder of part files.

    Returns
    -------
    list of dict
        ``table``, ``rows``, ``bytes``, ``sha256``, ``totals`` (sum of each amount column as text,
        first and last of each time column), sorted by table.
    """
    return [_facts(name, tables[name]) for name in sorted(tables)]


def _facts(name: str, path: Path) -> dict[str, Any]:
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    return {
        "table": name,
        "rows": sum(pq.read_metadata(f).num_rows for f in files),
        "bytes": sum(f.stat().st_size for f in files),
        "sha256": content_hash(path),
        "totals": _totals(name, files),
    }


def _totals(name: str, files: list[Path]) -> dict[str, str]:
    """Exact sums of amounts and the span of times, one column chunk at a time."""
    sums: dict[str, Any] = {}
    spans: dict[str, tuple[Any, Any]] = {}
    for file in files:
        source = pq.ParquetFile(file)
        names = (
            [c.name for c in TABLES[name] if c.name in source.schema_arrow.names] if name in TABLES else []
        )
        chosen = [n for n in names if TABLES[name][n].kind in ("amount", "timestamp")]
        for batch in source.iter_batches(columns=chosen, batch_size=131_072):
            for column in chosen:
                values = batch.column(column)
                if pa.types.is_temporal(values.type):
                    span = pc.min_max(values).as_py()
                    both = [v for v in (*spans.get(column, ()), span["min"], span["max"]) if v is not None]
                    if both:
                        spans[column] = (min(both), max(both))
                elif (total := pc.sum(values).as_py()) is not None:
                    sums[column] = sums.get(column, 0) + total
    totals = {f"sum({c})": str(v) for c, v in sums.items()}
    totals |= {f"min({c})": str(low) for c, (low, _) in spans.items()}
    totals |= {f"max({c})": str(high) for c, (_, high) in spans.items()}
    return dict(sorted(totals.items()))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Manifest of a run folder; None where there is no complete run."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def previous_list(out: Path, month: str) -> "pd.DataFrame | None":
    """Suspicion list of the month before, where it was run: contract columns, amounts as floats."""
    folder = out / month_text(month_number(month) - 1)
    return read_list(folder) if (folder / "suspicions.parquet").exists() else None


def read_list(folder: Path) -> "pd.DataFrame":
    """Suspicion list of a run folder: contract columns, amounts in yuan as floats."""
    frame = pq.read_table(folder / "suspicions.parquet").to_pandas()
    return frame.astype(dict.fromkeys(["amount_at_risk", "expected_recovery"], "float64"))


def history(out: Path, month: str, months: int = 12) -> "pd.DataFrame":
    """Totals of earlier runs, for the month-on-month picture.

    Returns
    -------
    DataFrame
        ``month`` and what those runs' manifests hold under ``totals``; only months before `month`,
        ascending, at most ``months - 1``.
    """
    import pandas as pd

    last = month_number(month)
    rows = []
    for number in range(last - months + 1, last):
        manifest = read_manifest(out / month_text(number))
        if manifest is not None:
            rows.append({"month": month_text(number), **manifest.get("totals", {})})
    return pd.DataFrame(rows) if rows else pd.DataFrame({"month": pd.Series(dtype="str")})
