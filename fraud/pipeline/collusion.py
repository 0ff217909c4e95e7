"""Rings of a period: found, written beside a month's list or into a folder of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.engines import Engine, dataset_tables, sql_text
from fraud.errors import UsageError
from fraud.pipeline.frames import months_with_claims, opened, require_span, under
from fraud.report.rings_page import RingsContent, write_rings_page
from fraud.rings import Rings
from fraud.runs import (
    RunFolder,
    StageClock,
    code_version,
    file_hash,
    fingerprint,
    input_facts,
    write_table,
)
from fraud.schema import month_number, month_text
from fraud.settings import Settings

Progress = Any
STAGE = "团伙 rings"


@dataclass(frozen=True)
class RingRun:
    """A published folder of rings."""

    first: str
    last: str
    folder: Path

    @property
    def rings(self) -> pd.DataFrame:
        """Rings as published, best first."""
        return pd.read_parquet(self.folder / "rings.parquet")

    @property
    def page(self) -> Path:
        """The page a person opens."""
        return self.folder / "rings.html"


def find_rings(
    dataset: Path, first: str, last: str, out: Path, settings: Settings, progress: Progress = None
) -> RingRun:
    """Find the rings of months `first` to `last` and publish their folder, or publish nothing.

    Parameters
    ----------
    dataset : Path
        Dataset folder.
    first, last : str
        ``YYYY-MM``, inclusive; claims settled later are not looked at.
    out : Path
        Folder that holds the run folders; the rings go into ``rings-FIRST-LAST`` in it.

    Raises
    ------
    UsageError
        `last` is before `first`.
    DataError
        The first or the last month holds no claims.
    """
    begin, end = month_number(first), month_number(last)
    if end < begin:
        raise UsageError(f"--to {last} is before --from {first}; write the earlier month first.")
    clock = StageClock(progress)
    name = f"rings-{first}-{last}"
    with opened(dataset, settings, out) as (engine, canonical), RunFolder(out, name) as folder:
        holes = require_span(engine, dataset, begin, end)
        facts = _facts(canonical, out, first, last, settings, holes)
        facts["fingerprint"] = fingerprint(facts)
        if folder.matches(facts["fingerprint"]):
            return RingRun(first, last, folder.final)
        with clock.stage(STAGE):
            found = rings_between(engine, begin, end, settings, previous_members(out, last), progress)
        with clock.stage("报告 report"):
            write_rings(found, first, last, folder.part)
        facts |= {"sql": sql_text(engine.statements), "skipped": skipped_views(found)}
        facts["totals"] = {"rings": len(found.rings), "members": len(found.members)}
        folder.write_manifest(facts, measured_with(clock, found, engine))
    return RingRun(first, last, folder.final)


def _facts(
    dataset: Path, out: Path, first: str, last: str, settings: Settings, holes: list[str]
) -> dict[str, Any]:
    """Everything the rings depend on."""
    return {
        "inputs": input_facts(dataset_tables(dataset)),
        "settings": settings.rings.model_dump(),
        "months": [first, last],
        "code": code_version(),
        "engine": settings.engine.name,
        "previous_rings": previous_hash(out, last),
        "notes": [f"{month}: no claims were settled in this month" for month in holes],
    }


def rings_between(
    engine: Engine,
    begin: int,
    end: int,
    settings: Settings,
    previous: pd.DataFrame | None,
    progress: Progress = None,
) -> Rings:
    """Rings of the months from `begin` to `end` (month numbers)."""
    from fraud import rings

    return rings.find(engine, begin, end, settings.rings, previous, under(progress, STAGE))


def first_month(engine: Engine, last: int, settings: Settings) -> int:
    """First month of the rings of a scored month: the history set, as far as there are claims."""
    return max(last - settings.rings.history_months + 1, months_with_claims(engine)[0])


def _members_before(out: Path, month: str) -> Path:
    return out / month_text(month_number(month) - 1) / "ring_members.parquet"


def previous_members(out: Path, month: str) -> pd.DataFrame | None:
    """Ring members of the run of the month before, so that rings keep their ids; None without one."""
    path = _members_before(out, month)
    if not path.exists():
        return None
    return pd.read_parquet(path, columns=["ring_id", "member_kind", "member_id"])


def previous_hash(out: Path, month: str) -> str:
    """SHA-256 of the file that `previous_members` reads; empty without one."""
    path = _members_before(out, month)
    return file_hash(path) if path.exists() else ""


def write_rings(found: Rings, first: str, last: str, folder: Path) -> None:
    """Write tables and page of the rings into a run folder."""
    tables: Mapping[str, pd.DataFrame] = {
        "rings": found.rings,
        "ring_members": found.members,
        "ring_claims": found.claims,
        "ring_edges": found.edges,
    }
    for name, frame in tables.items():
        write_table(frame, name, folder)
    write_rings_page(RingsContent(first, last, found, skipped_views(found)), folder)


def skipped_views(found: Rings) -> dict[str, str]:
    """Views that this data cannot give, and why, as the manifest has them."""
    return {f"rings: {view}": why or "not in this data" for view, why in sorted(found.skipped.items())}


def measured_with(clock: StageClock, found: Rings, engine: Engine) -> dict[str, Any]:
    """Costs of the run, of its ring stages and of its queries: the part that differs between equal runs."""
    stages = {name: round(float(seconds), 3) for name, seconds in found.timings.items()}
    return {**clock.measured(), "ring_seconds": stages, "queries": engine.queries}
