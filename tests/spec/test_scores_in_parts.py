"""A table scored in parts, on either engine, has the very scores it has in one piece."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.detectors.parts import score_parts
from fraud.detectors.scorer import Scorer
from fraud.engines import open_engine
from fraud.errors import NotTrainedError
from fraud.settings import EngineSettings, Experiment
from tests.unit import detector_frames

SMALL = {
    "folds": 2,
    "forest": {"trees": 10, "sample": 64},
    "boosting": {"trees": 10, "fewest_trees": 10, "bags": 1, "min_positives": 5},
}
ENGINES = ["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path, dict[str, Scorer]]:
    """A claim table, its three unequal parts, and a model of each shape."""
    frame, bad = detector_frames.claims(rows=900)
    frame = frame.sort_values(["month", "claim_id"], ignore_index=True)
    labels = detector_frames.audits(frame, bad)
    folder = tmp_path_factory.mktemp("parts") / "features_claim.parquet"
    folder.mkdir()
    mixed = frame.sample(frac=1, random_state=3)
    for number, (low, high) in enumerate(((0, 10), (10, 500), (500, 900))):
        part = pa.Table.from_pandas(mixed.iloc[low:high], preserve_index=False)
        pq.write_table(part, folder / f"part-{number}.parquet")

    def fitted(known: pd.DataFrame, **more: object) -> Scorer:
        return Scorer.fit(frame, known, Experiment.model_validate(SMALL | more), directions={})

    models = {
        "blend": fitted(labels),
        "second stage": fitted(labels, second_stage=True),
        "label-free": fitted(labels.iloc[:0]),
    }
    return frame, folder, models


@pytest.mark.parametrize("engine", ENGINES)
def test_parts_score_as_the_whole_does(table, engine, tmp_path):
    frame, folder, models = table
    months = sorted(frame["month"].unique())[-2:]
    late = frame[frame["month"].isin(months)].reset_index(drop=True)
    with open_engine(EngineSettings(name=engine, threads=1), tmp_path) as opened:
        for name, scorer in models.items():
            assert (scorer.supervised is None) == (name == "label-free")
            found = score_parts(opened, folder, scorer, months)
            whole = pd.concat([late[["claim_id", "month"]], scorer.score(late)], axis=1)
            pd.testing.assert_frame_equal(found, whole, check_exact=True)
        assert len(score_parts(opened, folder, models["blend"])) == len(frame)


def test_missing_columns_are_told_before_anything_runs(table, tmp_path):
    frame, _, models = table
    pq.write_table(pa.Table.from_pandas(frame.drop(columns="claim_gap")), tmp_path / "t.parquet")
    with (
        open_engine(EngineSettings(threads=1), tmp_path) as opened,
        pytest.raises(NotTrainedError, match="claim_gap"),
    ):
        score_parts(opened, tmp_path / "t.parquet", models["blend"])
