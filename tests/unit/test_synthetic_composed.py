"""Gangs and crowds composed at random: various, worth it, and no artefact."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from fraud.errors import UsageError
from fraud.synthetic import EXTRA_SCHEME_NAMES, LOOK_ALIKE_NAMES, NUISANCE_NAMES, SCHEME_NAMES, generate
from fraud.synthetic.nuisance.circles import CIRCLES as KINDS
from tests.unit.test_synthetic import NULLABLE, connect, value


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    out = tmp_path_factory.mktemp("composed") / "city"
    generate(out, patients=4_000, months=10, seed=23, schemes=("composed_ring",), prevalence=8)
    return connect(out)


def test_gangs_differ_in_every_block(db: duckdb.DuckDBPyConnection) -> None:
    gangs = value(db, "select count(distinct group_id) from truth_groups")
    assert gangs >= 12
    blocks = dict(db.execute("select block, count(distinct choice) from truth_blocks group by 1").fetchall())
    assert min(blocks[b] for b in ("anchor", "gathering", "rhythm", "recruits", "content", "size")) >= 3
    ways = (
        "select group_id, string_agg(block || choice, ' ' order by block) as way from truth_blocks group by 1"
    )
    assert value(db, f"select count(distinct way) from ({ways})") == gangs


def test_gangs_make_money_together(db: duckdb.DuckDBPyConnection) -> None:
    assert value(db, "select avg((loss_amount > 0)::int) from truth_claims") > 0.9
    assert (
        value(db, "select min(s) from (select sum(loss_amount) as s from truth_claims group by group_id)") > 0
    )
    members = """
    select g.group_id, g.member_id, count(t.claim_id) as n from truth_groups g
    join claims c on g.member_id = c.patient_id
    join truth_claims t on t.claim_id = c.claim_id and t.group_id = g.group_id
    where member_kind = 'patient' group by all
    """
    rings = f"select count(*) filter (n >= 2) as k from ({members}) group by group_id"
    assert value(db, f"select avg((k >= 4)::int) from ({rings})") > 0.9
    assert value(db, "select count(*) from truth_claims anti join truth_groups using (group_id)") == 0


@pytest.mark.parametrize(
    "feature",
    [
        "cast(right(claim_id, 1) as int) % 2",
        "second(started_at) % 2",
        "(second(started_at) = 0)::int",
        "(minute(settled_at) % 5 = 0)::int",
        "('0x' || right(visit_id, 2))::int % 2",
        *[f"({c} is null)::int" for c in NULLABLE],
    ],
)
def test_composed_claims_leave_no_artefact(db: duckdb.DuckDBPyConnection, feature: str) -> None:
    rows = db.execute(
        f"select t.claim_id is not null as bad, avg({feature}), count(*) "
        "from claims left join truth_claims t using (claim_id) "
        "where visit_type <> 'pharmacy' and total_amount > 0 group by 1 order by 1"
    ).fetchall()
    (_, honest, _), (_, bad, n) = rows
    assert abs(bad - honest) < 4 * np.sqrt(max(honest * (1 - honest), 1e-4) / n)


def test_money_and_times_hold(db: duckdb.DuckDBPyConnection) -> None:
    sums = "select claim_id, sum(amount) as total from lines group by 1"
    for sql in (
        f"select count(*) from claims join ({sums}) using (claim_id) where total <> total_amount",
        "select count(*) from claims anti join lines using (claim_id)",
        "select count(*) from claims where started_at > ended_at or ended_at > settled_at",
        "select count(*) from lines join claims using (claim_id) where total_amount > 0 "
        "and not (charged_at between started_at and settled_at + interval 1 hour)",
        "select count(*) from lines join claims using (claim_id) join patients using (patient_id) "
        "join items using (item_code) where sex_limit <> sex",
        "select count(*) from truth_claims join claims using (claim_id) where loss_amount > fund_amount",
    ):
        assert value(db, sql) == 0, sql


def test_gangs_do_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    ways = []
    for prevalence in (2, 8):
        out = tmp_path / str(prevalence)
        generate(out, patients=800, months=4, seed=4, schemes=EXTRA_SCHEME_NAMES, prevalence=prevalence)
        db = connect(out)
        first = "group_id = 'composed_ring-000'"
        ways.append(
            db.execute(f"select * from truth_blocks where {first} order by all").fetchall()
            + db.execute(f"select * from truth_groups where {first} order by all").fetchall()
        )
    assert ways[0] == ways[1]


def test_composed_kinds_are_no_part_of_a_default_city(tmp_path: Path) -> None:
    generate(tmp_path / "city", patients=200, months=2, seed=1)
    assert not (tmp_path / "city" / "truth" / "blocks.parquet").exists()
    nuisance = "select count(*) from truth_nuisance where circle_id is not null or kind = 'composed_circle'"
    assert value(connect(tmp_path / "city"), nuisance) == 0
    assert "composed_ring" not in SCHEME_NAMES and "composed_circle" not in NUISANCE_NAMES


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> tuple[duckdb.DuckDBPyConnection, ...]:
    """The same honest city without and with composed circles."""
    cities = []
    for name, look_alikes in (("without", ()), ("with", LOOK_ALIKE_NAMES)):
        out = tmp_path_factory.mktemp("crowds") / name
        generate(out, patients=5_000, months=8, seed=31, schemes=(), look_alikes=look_alikes)
        cities.append(connect(out))
    return tuple(cities)


CIRCLES = "truth_nuisance n join claims using (claim_id) where n.kind = 'composed_circle'"


def test_circles_are_various_innocent_and_meet(crowds: tuple[duckdb.DuckDBPyConnection, ...]) -> None:
    _, db = crowds
    assert value(db, f"select count(*) from {CIRCLES} and circle_id is null") == 0
    assert (
        value(
            db,
            "select count(*) from truth_nuisance where (kind = 'composed_circle') <> (circle_id is not null)",
        )
        == 0
    )
    assert value(db, f"select count(distinct regexp_replace(circle_id, '-[0-9]+', '')) from {CIRCLES}") >= 14
    days = f"select circle_id, started_at::date as d, count(*) as n from {CIRCLES} group by 1, 2"
    assert value(db, f"select avg(n) from ({days})") > 2.5
    assert value(db, "select count(*) from truth_claims") == 0


def test_circles_take_what_they_need(crowds: tuple[duckdb.DuckDBPyConnection, ...]) -> None:
    """Circles of refills move ordinary visits: their members fetch as much as they would have alone."""
    without, with_ = crowds
    moved = [c.name for c in KINDS if c.refill]
    members = (
        f"select distinct patient_id from {CIRCLES} "
        f"and regexp_replace(circle_id, '-[0-9]+', '') in ({', '.join(repr(m) for m in moved)})"
    )
    ids = [r[0] for r in with_.execute(f"select patient_id from ({members}) order by 1").fetchall()]
    fetched = []
    for db in crowds:
        db.execute("create or replace temp table ours (patient_id varchar)")
        db.executemany("insert into ours values (?)", [[i] for i in ids])
        supply = (
            "select sum(days_supply) from lines join claims using (claim_id) join ours using (patient_id) "
            "where visit_type in ('chronic', 'outpatient', 'pharmacy') and category = 'drug'"
        )
        fetched.append(value(db, supply))
    assert len(ids) > 50
    assert abs(fetched[1] / fetched[0] - 1) < 0.08
    special = f"{CIRCLES} and circle_id like 'special_drug%'"
    holders = "select patient_id from patients where len(chronic_certificates) > 0"
    assert value(with_, f"select count(*) from {special} and patient_id not in ({holders})") == 0
    wrong = (
        "select count(*) from lines join truth_nuisance using (claim_id) join claims using (claim_id) "
        "join patients using (patient_id) join items using (item_code) "
        "where kind = 'composed_circle' and sex_limit <> sex"
    )
    assert value(with_, wrong) == 0


def test_unknown_look_alikes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        generate(tmp_path / "city", patients=200, months=1, seed=1, look_alikes=("bingo",))
    assert "bingo" in caught.value.problems[0]
