"""Drift of a month: measured, judged, and whether scoring may go on."""

import json
from pathlib import Path

from fraud.drift import Drift, judge, profile
from fraud.drift.judge import REFERENCE
from fraud.engines import Engine
from fraud.errors import DataError, UsageError
from fraud.pipeline.frames import months_with_claims, opened, require_month
from fraud.schema import month_number
from fraud.settings import Settings

PREFIX = "drift_"


def check_drift(dataset: Path, month: str, settings: Settings, beside: Path) -> Drift:
    """Compare a month of a dataset with the months before it.

    Parameters
    ----------
    dataset : Path
    month : str
        ``YYYY-MM``; nothing later is looked at.
    beside : Path
        Folder for temporary files.

    Raises
    ------
    DataError
        The month holds no claims.
    """
    number = month_number(month)
    with opened(dataset, settings, beside) as (engine, _):
        require_month(engine, dataset, number)
        return drift_of(engine, number, settings)


def drift_of(engine: Engine, month: int, settings: Settings) -> Drift:
    """Drift of a month, with the year before it and the months that led to the same season."""
    wanted = [m for m in months_with_claims(engine) if month - REFERENCE - 3 <= m <= month]
    return judge(profile(engine, wanted), month, settings.drift)


def refuse_stops(drift: Drift, name: str, allow: tuple[str, ...], out: Path) -> None:
    """Refuse to score a month that differs too much, unless every such difference is allowed by name.

    Raises
    ------
    DataError
        Findings of level stop whose names (``drift_…``) are not in `allow`; all are named.
    """
    refused = [f for f in drift.stops if PREFIX + f.code not in allow]
    if not refused:
        return
    page = out / "refused" / drift.month
    page.mkdir(parents=True, exist_ok=True)
    write(drift, page / "drift.json")
    names = sorted({PREFIX + f.code for f in refused})
    raise DataError(
        [
            *(f"{name}: {f.table}.{f.column}: {f.en}." for f in refused),
            f"Nothing was published. Read {page / 'drift.json'}; mend the data, or name what to accept: "
            f"{' '.join('--allow ' + n for n in names)}.",
        ]
    )


def write(drift: Drift, path: Path) -> None:
    """Write the findings as JSON."""
    text = json.dumps(drift.told(), ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def split_allowed(allow: tuple[str, ...], known: set[str]) -> tuple[str, ...]:
    """Checks of the quality gate among what is allowed.

    Raises
    ------
    UsageError
        A name is neither a check of the gate nor a finding of drift.
    """
    from fraud.drift.judge import CODES

    drifts = {PREFIX + c for c in CODES}
    unknown = [a for a in allow if a not in known | drifts]
    if unknown:
        raise UsageError(
            f"--allow: no such check: {', '.join(unknown)}. "
            f"The checks are: {', '.join(sorted(known | drifts))}."
        )
    return tuple(a for a in allow if a in known)
