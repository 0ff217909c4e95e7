"""Rows of a feature table, in memory and on disk."""

import numpy as np
import pandas as pd
import pytest

from fraud.detectors.rows import Rows, pieces, release
from fraud.detectors.scorer import Scorer
from fraud.errors import UsageError
from fraud.settings import BoostingSettings, Experiment, ForestSettings

SMALL = Experiment(
    folds=2,
    forest=ForestSettings(trees=10, sample=64),
    boosting=BoostingSettings(trees=10, bags=1, min_positives=5),
)


@pytest.fixture
def table() -> pd.DataFrame:
    """600 claims of three months, in no order, with a gap and an infinity."""
    random = np.random.default_rng(3)
    n = 600
    frame = pd.DataFrame(
        {
            "claim_id": [f"c{i:04d}" for i in random.permutation(n)],
            "month": random.integers(24300, 24303, n),
            "doctor_id": [f"d{i % 40}" for i in range(n)],
            "claim_amount": random.gamma(2, 100, n),
            "claim_items": random.poisson(3, n).astype(float),
        }
    )
    frame.loc[3, "claim_items"] = np.nan
    frame.loc[5, "claim_amount"] = np.inf
    return frame


@pytest.fixture
def files(table, tmp_path) -> list[str]:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    table.iloc[:250].to_parquet(paths[0])
    table.iloc[250:].to_parquet(paths[1])
    return [str(p) for p in paths]


def test_read_from_disk_they_are_the_sorted_table(table, files, tmp_path):
    months = [24300, 24302]
    rows = Rows.read(files, months, tmp_path / "matrix")
    expected = table[table["month"].isin(months)].sort_values(["month", "claim_id"], ignore_index=True)
    assert rows.features == ("claim_amount", "claim_items")
    pd.testing.assert_frame_equal(rows.keys, expected[["claim_id", "month", "doctor_id"]], check_dtype=False)
    np.testing.assert_array_equal(rows.matrix, Rows.of(expected, rows.features).matrix)
    assert not np.isinf(rows.matrix).any()


def test_the_model_does_not_depend_on_where_rows_are_kept(table, files, tmp_path):
    rows = Rows.read(files, [24300, 24301, 24302], tmp_path / "matrix")
    frame = table.sort_values(["month", "claim_id"], ignore_index=True)
    dear = frame.nlargest(40, "claim_items")["claim_id"]
    labels = pd.DataFrame({"subject_id": frame["claim_id"].iloc[::3], "random": False})
    labels["label"] = labels["subject_id"].isin(dear).astype(int)
    kept = [Scorer.fit(source, labels, SMALL, directions={}) for source in (frame, rows)]
    assert kept[0].summary["supervised"]
    assert kept[0].texts() == kept[1].texts()


def test_no_row_in_those_months(files, tmp_path):
    rows = Rows.read(files, [20000], tmp_path / "matrix")
    assert len(rows) == 0
    assert rows.matrix.shape == (0, 2)


def test_a_feature_the_table_does_not_have_is_named(files, tmp_path):
    with pytest.raises(UsageError, match="claim_dream"):
        Rows.read(files, [24300], tmp_path / "matrix", include=("claim_dream",))


def test_some_rows_as_a_table(table, files, tmp_path):
    rows = Rows.read(files, [24301], tmp_path / "matrix", exclude=("claim_items",))
    some = rows.frame(np.array([4, 1]))
    assert some["claim_id"].tolist() == rows.keys["claim_id"].iloc[[4, 1]].tolist()
    assert list(some.columns) == ["claim_id", "month", "doctor_id", "claim_amount"]


def test_pieces_are_the_whole_and_released_pages_come_back(tmp_path):
    matrix = np.memmap(tmp_path / "matrix", np.float32, "w+", shape=(1000, 3))
    matrix[:] = np.arange(3000).reshape(1000, 3)
    release(matrix)
    np.testing.assert_array_equal(np.concatenate(list(pieces(matrix, 64))), np.arange(3000).reshape(1000, 3))
    assert [len(p) for p in pieces(matrix, 400)] == [400, 400, 200]
