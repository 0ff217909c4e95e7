"""A feature table read by columns from disk says what a frame in memory says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.explain import ParquetColumns, beside
from tests.unit.detector_frames import FEATURES, claims


@pytest.fixture
def frame():
    found = claims(rows=600)[0]
    found.loc[found.index[:40], "peer_group"] = "few"
    return found.sort_values(["month", "claim_id"], ignore_index=True)


@pytest.fixture
def files(frame, tmp_path):
    mixed = frame.sample(frac=1, random_state=4)
    parts = [mixed.iloc[:100], mixed.iloc[100:]]
    paths = [tmp_path / f"part-{n}.parquet" for n in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), path)
    return [str(p) for p in paths]


@pytest.mark.parametrize("held", [beside.HELD, 1])
def test_columns_on_disk_are_those_of_the_sorted_frame(frame, files, monkeypatch, held):
    monkeypatch.setattr(beside, "HELD", held)
    month = int(frame["month"].max())
    own = frame[frame["month"] == month].reset_index(drop=True)
    table = ParquetColumns(files, [month])
    assert len(table) == len(own) and list(table.columns) == list(own.columns) and "claim_gap" in table
    pd.testing.assert_series_equal(table["claim_gap"], own["claim_gap"])
    pd.testing.assert_frame_equal(table[["claim_id", "claim_share"]], own[["claim_id", "claim_share"]])
    some = set(own["claim_id"].iloc[5:9])
    pd.testing.assert_frame_equal(
        table.rows("claim_id", some), own[own["claim_id"].isin(some)].reset_index(drop=True)
    )


@pytest.mark.parametrize("held", [beside.HELD, 1])
def test_peers_and_past_are_the_same_from_disk(frame, files, monkeypatch, held):
    monkeypatch.setattr(beside, "HELD", held)
    months = sorted(frame["month"].unique())
    now = frame[frame["month"] == months[-1]].reset_index(drop=True)
    before = frame[frame["month"] < months[-1]].reset_index(drop=True)
    listed = now.iloc[[0, 3, 50]].reset_index(drop=True)
    pairs = {name: [0, 1, 2] for name in FEATURES}
    peers = beside.peers(now, listed, pairs)
    assert beside.peers(ParquetColumns(files, months[-1:]), listed, pairs) == peers
    entities = dict.fromkeys(FEATURES, "claim") | {"doctor_load": "doctor"}
    past = beside.past(before, listed, pairs, entities)
    assert past
    assert beside.past(ParquetColumns(files, months[:-1]), listed, pairs, entities) == past


def test_peers_are_the_narrowest_group_that_is_large_enough(frame):
    month = frame[frame["month"] == frame["month"].max()].reset_index(drop=True)
    listed = month.iloc[[0]].assign(peer_group="few", visit_type="inpatient").reset_index(drop=True)
    found = beside.peers(month, listed, {"claim_gap": [0]})[(0, "claim_gap")]
    inpatient = month.loc[month["visit_type"] == "inpatient", "claim_gap"]
    own = listed["claim_gap"].iloc[0]
    assert (found.label, found.rows) == ("inpatient", len(inpatient))
    assert found.median == np.median(inpatient)
    assert found.percentile == ((inpatient < own).sum() + (inpatient <= own).sum()) / 2 / len(inpatient)


def test_an_unknown_value_has_peers_but_no_place_among_them(frame):
    listed = frame.iloc[[0]].assign(claim_gap=np.nan).reset_index(drop=True)
    found = beside.peers(frame, listed, {"claim_gap": [0]})[(0, "claim_gap")]
    assert found.rows >= beside.FEWEST_PEERS and found.percentile is None
