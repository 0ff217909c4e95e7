# ruff: noqa: E501 (sentences of tests)
"""Faults put into a month of the sample: each caught at its level, and a clean year that stops nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.drift import Drift, Profile, judge, profile
from fraud.engines import open_engine
from fraud.errors import DataError, UsageError
from fraud.pipeline.allowing import split_allowed
from fraud.pipeline.drifting import refuse_stops
from fraud.schema import month_number
from fraud.settings import DriftSettings, EngineSettings

MONTH = month_number("2025-06")
MONTHS = range(MONTH - 5, MONTH + 1)
Tables = dict[str, pd.DataFrame]


def drift(dataset: Path, work: Path) -> Drift:
    with open_engine(EngineSettings(), work) as engine:
        engine.open_dataset(dataset)
        return judge(profile(engine, MONTHS), MONTH, DriftSettings())


def told(found: Drift) -> set[tuple[str, str]]:
    return {(f.code, f.level) for f in found.findings}


def june(claims: pd.DataFrame) -> pd.Series:
    return claims["settled_at"].dt.strftime("%Y-%m") == "2025-06"


def hospital_missing(t: Tables) -> None:
    claims = t["claims"]
    large = claims["institution_id"].value_counts().index[0]
    t["claims"] = claims[~(june(claims) & (claims["institution_id"] == large))]


def cents(t: Tables) -> None:
    claims = t["claims"]
    for column in ("total_amount", "fund_amount"):
        claims[column] = [a * 100 if hit else a for a, hit in zip(claims[column], june(claims), strict=True)]


def renumbered(t: Tables) -> None:
    claims, lines = t["claims"], t["lines"]
    hit = lines["claim_id"].isin(claims.loc[june(claims), "claim_id"])
    lines["item_code"] = np.where(hit, "N" + lines["item_code"], lines["item_code"])


def twice(t: Tables) -> None:
    claims = t["claims"]
    day = claims["settled_at"].dt.strftime("%Y-%m-%d")
    busy = day[june(claims)].value_counts().index[0]
    again = claims[day == busy].copy()
    again["claim_id"] = "again-" + again["claim_id"]
    t["claims"] = pd.concat([claims, again], ignore_index=True)


def other_people(t: Tables) -> None:
    """A county joins: half of June's claims are of new residents of a region of their own."""
    claims, patients = t["claims"], t["patients"]
    hit = june(claims) & (np.arange(len(claims)) % 2 == 0)
    new = patients[patients["patient_id"].isin(claims.loc[hit, "patient_id"])].copy()
    new["patient_id"] = "new-" + new["patient_id"]
    new["insurance_type"], new["region"] = "other", "R99"
    t["patients"] = pd.concat([patients, new], ignore_index=True)
    claims["patient_id"] = np.where(hit, "new-" + claims["patient_id"], claims["patient_id"])


def nothing(t: Tables) -> None:
    """As it is."""


FAULTS: dict[Callable[[Tables], None], set[tuple[str, str]]] = {
    nothing: set(),
    hospital_missing: {("institution_missing", "stop")},
    cents: {("amount_scale", "stop")},
    renumbered: {("new_codes", "stop"), ("lost_codes", "stop")},
    twice: {("repeated_claims", "stop")},
    other_people: {("population", "stop")},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_each_fault_is_caught_at_its_level(fault, sample, tmp_path):
    folder = shutil.copytree(sample, tmp_path / "city", ignore=shutil.ignore_patterns("truth"))
    names = ("claims", "lines", "patients")
    schemas = {n: pq.read_schema(folder / f"{n}.parquet") for n in names}
    tables = {n: pq.read_table(folder / f"{n}.parquet").to_pandas() for n in names}
    fault(tables)
    for name, frame in tables.items():
        pq.write_table(
            pa.Table.from_pandas(frame, schemas[name], preserve_index=False), folder / f"{name}.parquet"
        )
    found = drift(folder, tmp_path / "work")
    assert FAULTS[fault] <= told(found), found.findings
    if not FAULTS[fault]:
        assert not found.stops, found.findings
    for finding in found.findings:
        assert finding.period == "2025-06"
        assert finding.zh
        assert finding.en


# -- by the figures alone --------------------------------------------------------------------------


def figures(counts: dict[int, list[int]], refunds: float = 0.03, amount: float = 10.0) -> Profile:
    """Months of institutions A, B, … with so many claims each, all of one kind and code."""
    rows = [
        {"month": month, "institution_id": chr(65 + i), "claims": n, "refunds": round(n * refunds), "fund": n * 1000,
         "log_amount": amount, "repeats": 0}
        for month, of in counts.items() for i, n in enumerate(of)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    months = sorted(counts)
    whole = frame.groupby("month")["claims"].sum()
    days = pd.DataFrame({"month": months, "day": months, "claims": whole.to_numpy(), "repeats": 0})
    codes = pd.DataFrame({"month": months, "code": "X", "rows": 1, "cents": 100})
    groups = pd.DataFrame({"month": months, "value": "employee", "rows": whole.to_numpy()})
    return Profile(frame, days, {"item_code": codes}, {"insurance_type": groups})


def year(usual: list[int], back: int = 15) -> dict[int, list[int]]:
    return {m: list(usual) for m in range(MONTH - back, MONTH + 1)}


def test_a_clean_year_has_nothing():
    assert judge(figures(year([500, 200])), MONTH, DriftSettings()).findings == ()


def test_a_small_clinic_that_closes_is_a_warning_and_a_tiny_one_is_nothing():
    counts = year([100_000, 60, 20])
    counts[MONTH] = [100_000, 0, 0]
    [found] = judge(figures(counts), MONTH, DriftSettings()).findings
    assert (found.code, found.level, found.place) == ("institution_missing", "warn", "B")


def test_a_season_that_returns_is_no_drift():
    """A school clinic is empty every summer; the year before knew that."""
    counts = year([1000, 400])
    counts[MONTH] = counts[MONTH - 12] = [1000, 4]
    assert judge(figures(counts), MONTH, DriftSettings()).findings == ()
    counts[MONTH - 12] = [1000, 400]
    [found] = judge(figures(counts), MONTH, DriftSettings()).findings
    assert (found.code, found.place) == ("institution_missing", "B")


def test_a_holiday_month_is_low_everywhere_and_says_nothing_of_one_institution():
    counts = year([1000, 400])
    counts[MONTH] = [300, 120]
    assert judge(figures(counts), MONTH, DriftSettings()).findings == ()


def test_one_institution_that_grows_fivefold_is_a_warning():
    counts = year([1000, 40])
    counts[MONTH] = [1000, 200]
    [found] = judge(figures(counts), MONTH, DriftSettings()).findings
    assert (found.code, found.level, found.place) == ("institution_volume", "warn", "B")


def test_refunds_that_stop_coming_stop_the_month():
    of = figures(year([1000]))
    of.institutions.loc[of.institutions["month"] == MONTH, "refunds"] = 0
    [found] = judge(of, MONTH, DriftSettings()).findings
    assert (found.code, found.level, found.usual) == ("refunds_missing", "stop", 30.0)


@pytest.mark.parametrize(("times", "level"), [(1.5, None), (3, "warn"), (100, "stop"), (0.01, "stop")])
def test_amounts_may_grow_a_little_and_not_a_hundredfold(times, level):
    of = figures(year([1000]))
    of.institutions.loc[of.institutions["month"] == MONTH, "log_amount"] += np.log(times)
    found = judge(of, MONTH, DriftSettings()).findings
    assert [f.level for f in found] == ([level] if level else [])


def test_too_short_a_history_says_nothing():
    assert judge(figures(year([1000], back=2)), MONTH, DriftSettings()).findings == ()


# -- what comes of it ------------------------------------------------------------------------------


def test_a_stop_refuses_with_every_difference_named_and_can_be_allowed(tmp_path):
    of = figures(year([1000, 500]))
    of.institutions.loc[of.institutions["month"] == MONTH, ["refunds", "log_amount"]] = [0, 20.0]
    found = judge(of, MONTH, DriftSettings())
    with pytest.raises(DataError) as refused:
        refuse_stops(found, "city", ("drift_amount_scale",), tmp_path)
    assert "refunds_missing" in str(refused.value)
    assert "amount_scale" not in str(refused.value)
    assert (tmp_path / "refused" / "2025-06" / "drift.json").exists()
    refuse_stops(found, "city", ("drift_amount_scale", "drift_refunds_missing"), tmp_path)


def test_allowing_what_is_no_check_is_wrong_usage():
    assert split_allowed(("future", "drift_population"), {"future"}) == ("future",)
    with pytest.raises(UsageError, match="no such check: nonsense"):
        split_allowed(("nonsense",), {"future"})
