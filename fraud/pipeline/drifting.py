"""Drift of a month: measured, judged, and whether scoring may go on."""

from pathlib import Path

from fraud.drift import Drift, Finding, judge, profile, shifted
from fraud.drift.judge import REFERENCE
from fraud.engines import Engine
from fraud.features.catalog import CATALOG
from fraud.pipeline.allowing import PREFIX, refusal, refused_folder
from fraud.pipeline.chosen import Model
from fraud.pipeline.frames import months_with_claims, opened, require_month
from fraud.pipeline.ranking import Ranked
from fraud.runs import write_json
from fraud.schema import month_number
from fraud.settings import Settings

REPORT = "drift.json"


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


def against_window(model: Model, ranked: Ranked, month: int, settings: Settings) -> list[Finding]:
    """What differs between the month and the window the model was trained on: features and scores.

    Parameters
    ----------
    model : Model
        One whose target's scorer holds no profile of its window finds nothing.
    ranked : Ranked
        The month as it ranks it.
    """
    kind = model.experiment.target
    scorer = model.scorers[kind]
    if kind == "claim":
        scores = ranked.own  # a rule switched on is no drift
    else:
        scores = ranked.subjects.loc[ranked.subjects["subject_kind"] == kind, "score"].to_numpy(float)
    known = scorer.window.get("score", {}).get("counts")
    return shifted(
        scorer.window,
        ranked.features.now(kind),
        scores if known else None,
        month,
        scorer.summary.get("importance", {}),
        settings.drift,
        {n: (f.title_zh, f.title_en) for n, f in CATALOG.items()},
    )


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
    folder = refused_folder(out, drift.month)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(drift.told(), folder / REPORT)
    problems = [f"{name}: {f.table}.{f.column}: {f.en}." for f in refused]
    raise refusal(problems, folder / REPORT, sorted({PREFIX + f.code for f in refused}))
