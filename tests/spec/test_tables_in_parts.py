"""A table that is computed part by part reads as one, on both engines, and replaces what was there."""

import ibis
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine, part_files
from fraud.settings import EngineSettings

ENGINES = ["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])]


@pytest.mark.parametrize("name", ENGINES)
def test_parts_read_as_one(name, tmp_path):
    pq.write_table(pa.table({"month": [1, 1, 2, 3], "n": [10, 11, 20, 30]}), tmp_path / "rows.parquet")
    rows = ibis.table({"month": "int64", "n": "int64"}, name="rows")
    with open_engine(EngineSettings(name=name), tmp_path / "work") as engine:
        engine.register("rows", tmp_path / "rows.parquet")
        engine.materialize_parts("whole", [rows, rows, rows])
        path = engine.materialize_parts("whole", [rows.filter(rows.month == m) for m in (1, 3)])
        found = engine.to_arrow(ibis.table(rows.schema(), name="whole").order_by("n"))
    assert found.to_pydict() == {"month": [1, 1, 3], "n": [10, 11, 30]}
    assert sorted(pads.dataset(part_files(path)).to_table()["n"].to_pylist()) == [10, 11, 30]
    assert pq.read_table(path).num_rows == 3
