"""DuckDB gives its memory back when asked, and goes on within the same limit."""

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.engines import open_engine
from fraud.settings import EngineSettings


def limit(engine):
    return engine._connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]


def test_what_was_held_is_given_back_and_queries_go_on(tmp_path):
    with open_engine(EngineSettings(memory_limit="500MB"), tmp_path / "work") as engine:
        pq.write_table(pa.table({"n": list(range(1000))}), tmp_path / "numbers.parquet")
        engine.register("numbers", tmp_path / "numbers.parquet")
        numbers = ibis.table({"n": "int64"}, name="numbers")
        before = limit(engine)
        first = engine.to_arrow(numbers.agg(total=numbers.n.sum()))
        engine.release()
        assert limit(engine) == before
        assert engine.to_arrow(numbers.agg(total=numbers.n.sum())) == first
