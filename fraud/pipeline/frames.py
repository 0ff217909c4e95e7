"""Datasets and feature tables as the frames that detectors take."""

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from fraud.backtest.burden import age_band
from fraud.engines import Engine, open_engine
from fraud.errors import DataError
from fraud.features.measures import left
from fraud.ingest import canonical_dataset
from fraud.pipeline.work import work_folder
from fraud.schema import ENTITIES, month_text, relation
from fraud.settings import Settings

KINDS = ("claim", *ENTITIES)


@contextmanager
def opened(dataset: Path, settings: Settings, beside: Path) -> Iterator[tuple[Engine, Path]]:
    """Engine with a dataset registered, its files in a temporary folder in `beside`.

    Yields
    ------
    Engine
        The engine, closed and cleaned up afterwards.
    Path
        The canonical dataset: `dataset` itself, or its ingested copy where it held CSV.
    """
    if not dataset.is_dir():
        raise DataError(f"{dataset}: no such dataset folder. Write one with fraud ingest or fraud synth.")
    with work_folder(beside) as work:
        canonical = canonical_dataset(dataset, work / "dataset", settings)
        with open_engine(settings.engine, work) as engine:
            engine.open_dataset(canonical)
            yield engine, canonical


def dataset_name(dataset: Path) -> str:
    """Name in ``dataset.toml``, which keeps the models of different datasets apart; else ``fraud``."""
    description = dataset / "dataset.toml"
    if not description.exists():
        return "fraud"
    data = tomllib.loads(description.read_text(encoding="utf-8"))
    return str(data.get("name") or data.get("dataset", {}).get("name") or "fraud")


def under(progress: Any, stage: str) -> Any:
    """Progress of a room's many small steps as one stage."""
    if progress is None:
        return None
    return lambda _text, done, total: progress(stage, done, total)


def months_with_claims(engine: Engine) -> list[int]:
    """Month numbers that hold at least one claim, ascending."""
    claims = relation("claims")
    months = engine.to_arrow(claims.select("month").distinct().order_by("month"), "months")
    return [m for m in months["month"].to_pylist() if m is not None]


def require_month(engine: Engine, dataset: Path, month: int) -> list[int]:
    """Months with claims, having checked that `month` is one of them.

    Raises
    ------
    DataError
        The month holds no claim.
    """
    present = months_with_claims(engine)
    if month not in present:
        span = f"{month_text(present[0])} to {month_text(present[-1])}" if present else "no month at all"
        raise DataError(
            f"{dataset}: no claims were settled in {month_text(month)}; the dataset holds {span}."
        )
    return present


def require_span(engine: Engine, dataset: Path, begin: int, end: int) -> list[str]:
    """Months between `begin` and `end` that hold no claims; the two themselves must.

    Raises
    ------
    DataError
        The first or the last month holds no claims.
    """
    problems: list[str] = []
    for month in sorted({begin, end}):
        try:
            require_month(engine, dataset, month)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    present = set(months_with_claims(engine))
    return [month_text(m) for m in range(begin, end + 1) if m not in present]


def labels(engine: Engine, kind: str, known_until: int, more: pd.DataFrame | None = None) -> pd.DataFrame:
    """Decisions about subjects of one kind that were known when month `known_until` ended.

    The latest decision about a subject counts (an appeal may reverse the first).

    Parameters
    ----------
    more : pandas.DataFrame, optional
        Rows of ``audits`` beside the dataset's own, such as the workbench's.

    Returns
    -------
    pandas.DataFrame
        subject_id, label (1 confirmed, 0 cleared), random (audited at random), scheme, decided_at;
        one row per subject, sorted by it.
    """
    audits = relation("audits")
    end = datetime((known_until + 1) // 12, (known_until + 1) % 12 + 1, 1)
    known = audits.filter(audits.subject_kind == kind, audits.decided_at < end)
    columns = known.select("subject_id", "outcome", "scheme", "reason", "decided_at")
    frame = engine.to_arrow(columns, f"labels_{kind}").to_pandas()
    if more is not None and len(more):
        own = more[(more["subject_kind"] == kind) & (more["decided_at"] < end)]
        frame = pd.concat([frame, own[list(frame.columns)]], ignore_index=True) if len(own) else frame
    frame = latest(frame)
    return pd.DataFrame(
        {
            "subject_id": frame["subject_id"],
            "label": (frame["outcome"] == "confirmed").astype("int8"),
            "random": frame["reason"] == "random",
            "scheme": frame["scheme"],
            "decided_at": frame["decided_at"].astype("datetime64[us]"),
        }
    ).reset_index(drop=True)


def latest(decisions: pd.DataFrame, subject: Sequence[str] = ("subject_id",)) -> pd.DataFrame:
    """Latest decision about each subject, sorted by it; at the same moment a confirmation outweighs."""
    ordered = decisions.sort_values([*subject, "decided_at", "outcome"])
    return ordered.drop_duplicates(list(subject), keep="last")


def decisions(engine: Engine, more: pd.DataFrame | None = None) -> pd.DataFrame:
    """All decisions, later ones and those of `more` too: subject_kind, subject_id, outcome and decided_at."""
    audits = relation("audits")
    columns = audits.select("subject_kind", "subject_id", "outcome", "decided_at")
    frame = engine.to_arrow(columns, "decisions").to_pandas()
    if more is None or more.empty:
        return frame
    return pd.concat([frame, more[list(frame.columns)]], ignore_index=True)


def read_frame(path: Path, months: Sequence[int] | None = None) -> pd.DataFrame:
    """Feature table as a frame sorted by month and subject, of all months or of `months`."""
    filters = None if months is None else [("month", "in", list(months))]
    frame = pq.read_table(path, filters=filters).to_pandas()
    subject = next(c for c in frame.columns if c.endswith("_id"))
    return frame.sort_values(["month", subject], kind="stable").reset_index(drop=True)


def audited_before(engine: Engine, month: int) -> bool:
    """Whether any decision was known before `month` began."""
    audits = relation("audits")
    begin = datetime(month // 12, month % 12 + 1, 1)
    return engine.to_arrow(audits.filter(audits.decided_at < begin).limit(1), "audited").num_rows > 0


def who_and_where(engine: Engine, month: int, only: Sequence[str] | None = None) -> pd.DataFrame:
    """Claims of a month with their kind of institution and department, and region, age and sex of patients.

    Parameters
    ----------
    only : sequence of str, optional
        A few claims to look up; all of the month by default.

    Returns
    -------
    pandas.DataFrame
        subject_id, institution_kind, department (specialty), region (the patient's, else the
        institution's), age_band and sex; None where unknown.
    """
    claims, institutions, departments = (relation(t) for t in ("claims", "institutions", "departments"))
    chosen = claims.filter(claims.month == month)
    chosen = chosen if only is None else chosen.filter(chosen.claim_id.isin(list(only)))
    places = institutions.select("institution_id", institution_kind="kind", place_region="region")
    wards = departments.select("department_id", department="specialty")
    patients = relation("patients").select("patient_id", "sex", "region", "birth_date", "birth_year")
    chosen = chosen.select("claim_id", "institution_id", "department_id", "patient_id", "settled_at")
    joined = left(
        left(left(chosen, places, "institution_id"), wards, "department_id"), patients, "patient_id"
    )
    born = joined.birth_date.year().cast("int64").fill_null(joined.birth_year)
    told = joined.select(
        "institution_kind",
        "department",
        "sex",
        subject_id=joined.claim_id,
        region=joined.region.fill_null(joined.place_region),
        age=(joined.settled_at.year().cast("int64") - born).cast("float64"),
    )
    frame = engine.to_arrow(told, "who_and_where").to_pandas()
    frame = frame.assign(age_band=age_band(frame["age"])).drop(columns="age")
    texts = [c for c in frame.columns if c != "subject_id"]
    frame[texts] = frame[texts].astype(object).where(frame[texts].notna() & (frame[texts] != ""), None)
    return frame.sort_values("subject_id", ignore_index=True)
