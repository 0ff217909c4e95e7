"""``fraud backtest``: what it publishes, what it refuses, and that it looks at nothing later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.conftest import Place, settle


def backtest(place: Place, dataset: Path, first: str, last: str, out: Path):
    experiment = place.folder / "small.toml"
    return place.run(
        "backtest", dataset, "--from", first, "--to", last, "--experiment", experiment, "--out", out
    )


def until(dataset: Path, folder: Path, month: str) -> Path:
    """The dataset as it stood when a month ended: later claims and their lines do not exist yet."""
    shutil.copytree(dataset, folder, ignore=shutil.ignore_patterns("truth"))
    end = pd.Period(month, "M").end_time
    claims = pq.read_table(dataset / "claims.parquet")
    keep = claims.to_pandas()["settled_at"] <= end
    claims = claims.filter(keep.to_numpy())
    pq.write_table(claims, folder / "claims.parquet")
    known = set(claims["claim_id"].to_pylist())
    for name in ("lines", "diagnoses"):
        table = pq.read_table(dataset / f"{name}.parquet")
        pq.write_table(
            table.filter([c in known for c in table["claim_id"].to_pylist()]), folder / f"{name}.parquet"
        )
    return folder


@pytest.fixture(scope="module")
def shortened(once, sample):
    """A back-test of the first month of two without the second."""

    def fill(folder: Path) -> None:
        place = settle(folder / "place")
        short = until(sample, folder / "short", "2025-04")
        done = backtest(place, short, "2025-04", "2025-04", folder / "runs")
        assert done.code == 0, done.err

    return once("shortened", fill)


def test_it_publishes_page_figures_and_scores(backtested):
    run = backtested / "runs" / "backtest-small-2025-04-2025-05"
    names = sorted(p.name for p in run.iterdir())
    assert names == ["backtest.html", "backtest_scores.parquet", "figures.json", "manifest.json"]
    figures = json.loads((run / "figures.json").read_text(encoding="utf-8"))
    assert figures["months"] == ["2025-04", "2025-05"]
    assert figures["all"]["decided"] > 0
    assert set(figures["all"]["ways"]) == {"model", "amount", "rules"}
    scores = pd.read_parquet(run / "backtest_scores.parquet")
    assert scores["label"].notna().sum() == figures["all"]["decided"]
    assert not scores.duplicated(["month", "subject_id"]).any()


def test_it_says_how_the_orders_compare(backtested):
    said = (backtested / "said.txt").read_text(encoding="utf-8")
    assert "只按金额" in said
    assert "backtest.html" in said


def test_what_came_later_changes_no_score(backtested, shortened):
    """The first month scored as part of a longer back-test is the same to the last bit."""
    long, short = (
        pd.read_parquet(folder / "runs" / name / "backtest_scores.parquet")
        for folder, name in (
            (backtested, "backtest-small-2025-04-2025-05"),
            (shortened, "backtest-small-2025-04-2025-04"),
        )
    )
    columns = ["subject_id", "score", "p_supervised", "anomaly", "amount", "rule_amount"]
    long = long[long["month"] == "2025-04"].reset_index(drop=True)
    assert len(long) > 100
    pd.testing.assert_frame_equal(long[columns], short[columns], check_exact=True)


@pytest.mark.parametrize(
    ("first", "last", "code", "words"),
    [
        ("2025-05", "2025-04", 2, "is before --from"),
        ("2025-05", "2027-01", 3, "no claims were settled in 2027-01"),
        ("2025-01", "2025-02", 3, "nothing to train on"),
    ],
    ids=["order", "absent", "first"],
)
def test_what_cannot_be_tested_is_refused(place, sample, tmp_path, first, last, code, words):
    done = backtest(place, sample, first, last, tmp_path / "runs")
    assert done.code == code
    assert words in done.err
    assert not list((tmp_path / "runs").glob("backtest*"))


def test_without_decisions_there_is_nothing_to_compare_with(place, sample, tmp_path):
    mute = shutil.copytree(sample, tmp_path / "mute", ignore=shutil.ignore_patterns("audits*", "truth"))
    done = backtest(place, mute, "2025-04", "2025-05", tmp_path / "runs")
    assert done.code == 3
    assert "no decision about a claim" in done.err
