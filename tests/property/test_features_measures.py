# ruff: noqa: E501 (tables read better whole)
"""Measures against slow plain Python."""

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.engines import open_engine
from fraud.features.claim_items import usual
from fraud.features.measures import DAY, distinct_before, entropy
from fraud.settings import EngineSettings

SLOW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EVENTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.sampled_from(["x", "y", "z", None])), max_size=25
)


@pytest.fixture
def run(tmp_path):
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:

        def rows_of(table, expression):
            path = tmp_path / "given.parquet"
            pq.write_table(table, path)
            engine.register("given", path)
            return engine.to_arrow(expression).to_pylist()

        yield rows_of


@SLOW
@given(EVENTS)
def test_distinct_before(run, events):
    table = pa.table(
        {
            "claim_id": pa.array([str(i) for i in range(len(events))], pa.string()),
            "settled_second": pa.array([e[0] * DAY // 4 for e in events], pa.int64()),
            "key": pa.array([e[1] for e in events], pa.string()),
            "part": pa.array([e[2] for e in events], pa.string()),
        }
    )
    given_rows = ibis.table(
        {"claim_id": "string", "settled_second": "int64", "key": "string", "part": "string"}, name="given"
    )
    got = {
        r["claim_id"]: (r["n"], r["n_own"])
        for r in run(table, distinct_before(given_rows, ["key"], "part", 3, "n"))
    }
    rows = table.to_pylist()
    want = {}
    for row in rows:
        if row["part"] is None:
            continue
        past = {
            o["part"] for o in rows
            if o["key"] == row["key"] and o["part"] is not None
            and row["settled_second"] - 3 * DAY <= o["settled_second"] < row["settled_second"]
        }  # fmt: skip
        want[row["claim_id"]] = (len(past), int(row["part"] in past))
    assert got == want


@SLOW
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_entropy_and_concentration(run, weights):
    import math

    table = pa.table({"key": ["k"] * len(weights), "weight": pa.array(weights, pa.int64())})
    given_rows = ibis.table({"key": "string", "weight": "int64"}, name="given")
    (got,) = run(table, entropy(given_rows, ["key"], "weight", "m"))
    shares = [w / sum(weights) for w in weights]
    assert got["m_n"] == len(weights)
    assert got["m_top"] == pytest.approx(max(shares))
    assert got["m_hhi"] == pytest.approx(sum(s * s for s in shares), abs=1e-7)
    if len(weights) > 1:
        even = -sum(s * math.log(s) for s in shares) / math.log(len(weights))
        assert got["m_entropy"] == pytest.approx(even, abs=1e-7)
    else:
        assert got["m_entropy"] is None


@SLOW
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=30))
def test_usual_is_the_lower_median_of_the_peers_months(run, cells):
    table = pa.table(
        {
            "month": pa.array([c[0] for c in cells], pa.int64()),
            "item": ["i"] * len(cells),
            "cents": pa.array([c[1] for c in cells], pa.int64()),
        }
    )
    given_rows = ibis.table({"month": "int64", "item": "string", "cents": "int64"}, name="given")
    calendar = given_rows.select(month="month", scored_month=given_rows.month * 0 + 5).distinct()
    calendar = calendar.filter(calendar.month >= 3)
    got = run(table, usual(given_rows, calendar, ["item"], "cents"))
    peers = sorted(c[1] for c in cells if c[0] >= 3)
    want = (
        [
            {
                "scored_month": 5,
                "item": "i",
                "usual": float(peers[(len(peers) - 1) // 2]),
                "usual_n": len(peers),
            }
        ]
        if peers
        else []
    )
    assert got == want
