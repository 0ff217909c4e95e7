"""What queries cost, as runs keep it."""

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.settings import EngineSettings


@pytest.fixture
def engine(tmp_path):
    rows = pa.table({"place": [1, 2, 3] * 500, "cents": list(range(1500))})
    pq.write_table(rows, tmp_path / "rows.parquet")
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.register("rows", tmp_path / "rows.parquet")
        yield engine


def test_each_query_is_told_with_its_rows_and_its_dearest_operators(engine):
    rows = ibis.table({"place": "int64", "cents": "int64"}, name="rows")
    engine.materialize("sums", rows.group_by("place").agg(cents=rows.cents.sum()))
    assert engine.to_arrow(rows.filter(rows.cents < 10), "few").num_rows == 10
    sums, few = engine.queries
    assert (sums["name"], sums["rows"]) == ("sums", 3)
    assert (few["name"], few["rows"]) == ("few", 10)
    assert sums["rows_scanned"] == 1500
    assert sums["spilled_mb"] == 0
    assert sums["cpu_seconds"] >= 0
    assert "%" in sums["plan"]


def test_a_query_that_spills_says_so(tmp_path):
    settings = EngineSettings(memory_limit="60MB", threads=1)
    rows = pa.table({"place": pa.array(range(3_000_000), pa.int64())})
    pq.write_table(rows, tmp_path / "rows.parquet")
    with open_engine(settings, tmp_path / "work") as engine:
        engine.register("rows", tmp_path / "rows.parquet")
        table = ibis.table({"place": "int64"}, name="rows")
        wide = table.mutate(**{f"c{i}": table.place * (i + 7919) % 104_729 for i in range(4)})
        engine.materialize("sorted", wide.order_by(["c1", "c2", "place"]))
        (told,) = engine.queries
    assert told["spilled_mb"] > 0
    assert told["rows"] == 3_000_000
