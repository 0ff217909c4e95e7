"""Decisions that lie beside the dataset reach the list."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from tests.conftest import MONTH, NEXT, Place


def decisions(folder: Path, subjects: pd.DataFrame) -> Path:
    path = folder / "audits.parquet"
    subjects[["subject_kind", "subject_id"]].assign(
        outcome="cleared", decided_at=pd.Timestamp(f"{MONTH}-28 10:00"), reason="ranked"
    ).to_parquet(path)
    return path


def test_what_was_cleared_last_month_shows_as_such(
    own_model: Place, sample: Path, scored: Path, tmp_path: Path
):
    """Everybody listed in both months was cleared before the second began; without the file nobody was."""
    runs = tmp_path / "runs"
    shutil.copytree(scored / MONTH, runs / MONTH)
    last, plain = (pd.read_parquet(scored / m / "suspicions.parquet") for m in (MONTH, NEXT))
    again = set(last["subject_id"]) & set(plain["subject_id"])
    assert again
    file = decisions(tmp_path, last[last["subject_id"].isin(again)])
    done = own_model.run("score", sample, "--month", NEXT, "--out", runs, "--audits", file)
    assert done.code == 0, done.err
    found = pd.read_parquet(runs / NEXT / "suspicions.parquet").set_index("subject_id")
    cleared = found["status_vs_last_month"] == "previously_cleared"
    assert set(found.index[cleared]) >= again & set(found.index)
    assert (plain["status_vs_last_month"] == "previously_cleared").sum() < cleared.sum()


def test_a_file_that_is_no_audits_is_refused(own_model: Place, sample: Path, tmp_path: Path):
    wrong = tmp_path / "wrong.parquet"
    pd.DataFrame({"subject_id": ["x"]}).to_parquet(wrong)
    done = own_model.run("score", sample, "--month", NEXT, "--out", tmp_path / "runs", "--audits", wrong)
    assert done.code == 3
    assert "required columns are missing" in done.err
    assert not (tmp_path / "runs" / NEXT).exists()
