"""The synthetic city obeys the contract, is reproducible and gives nothing away."""

import filecmp
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from fraud.errors import UsageError
from fraud.schema import TABLES
from fraud.synthetic import NUISANCE_NAMES, SCHEME_NAMES, generate

SAMPLE = Path(__file__).parents[2] / "data" / "synthetic" / "sample"
SAMPLE_SETTINGS = {"patients": 300, "months": 6, "seed": 20250101, "audit_rate": 0.06}


def connect(city: Path) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect()
    db.execute("set threads = 1")
    for path in sorted(city.glob("*.parquet")):
        db.execute(f"create view {path.stem} as select * from '{path}'")
    for path in sorted((city / "truth").glob("*.parquet")):
        db.execute(f"create view truth_{path.stem} as select * from '{path}'")
    return db


def value(db: duckdb.DuckDBPyConnection, sql: str) -> float:
    return db.execute(sql).fetchall()[0][0]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "city"
    generate(out, patients=5_000, months=12, seed=11)
    return out


@pytest.fixture(scope="module")
def db(city: Path) -> duckdb.DuckDBPyConnection:
    return connect(city)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_tables_have_the_contracts_schema_and_keys(
    city: Path, db: duckdb.DuckDBPyConnection, table: str
) -> None:
    spec = TABLES[table]
    schema = pq.read_schema(city / f"{table}.parquet")
    assert schema.equals(spec.arrow(set(schema.names)), check_metadata=False)
    assert schema.metadata is None
    assert set(spec.required) <= set(schema.names)
    if spec.key:
        assert value(db, f"select count(*) - count(distinct ({', '.join(spec.key)},)) from {table}") == 0
    for column in spec:
        if column.name in schema.names and column.required:
            assert value(db, f"select count(*) from {table} where {column.name} is null") == 0
        if column.name in schema.names and column.domain:
            allowed = ", ".join(f"'{d}'" for d in column.domain)
            assert value(db, f"select count(*) from {table} where {column.name} not in ({allowed})") == 0
    for column, other in spec.references:
        if column in schema.names:
            assert (
                value(
                    db,
                    f"select count(*) from {table} anti join {other} using ({column}) "
                    f"where {column} is not null",
                )
                == 0
            )


def test_money_adds_up_to_the_cent(db: duckdb.DuckDBPyConnection) -> None:
    assert (
        value(
            db,
            "select count(*) from lines where abs(round(unit_price * quantity, 2) - amount::double) > 0.001",
        )
        == 0
    )
    sums = "select claim_id, sum(amount) as total, sum(eligible_amount) as eligible from lines group by 1"
    wrong = f"claims left join ({sums}) s using (claim_id)"
    assert value(db, f"select count(*) from {wrong} where total_amount is distinct from s.total") == 0
    assert (
        value(db, f"select count(*) from {wrong} where claims.eligible_amount is distinct from s.eligible")
        == 0
    )
    order = "abs(fund_amount) <= abs(eligible_amount) and abs(eligible_amount) <= abs(total_amount)"
    assert value(db, f"select count(*) from claims where not ({order})") == 0
    assert value(db, "select count(*) from claims where fund_amount * total_amount < 0") == 0


def test_refunds_are_negative_claims_of_the_same_visit(db: duckdb.DuckDBPyConnection) -> None:
    refunds = value(db, "select count(*) from claims where total_amount < 0")
    share = refunds / value(db, "select count(*) from claims")
    assert 0.001 < share < 0.01
    pairs = "claims r join claims c on r.visit_id = c.visit_id and r.total_amount = -c.total_amount"
    assert value(db, f"select count(distinct r.claim_id) from {pairs} where r.total_amount < 0") == refunds
    assert (
        value(
            db,
            "select count(*) from lines join claims using (claim_id) where amount < 0 and total_amount > 0",
        )
        > 0
    )


def test_times_are_in_order(db: duckdb.DuckDBPyConnection) -> None:
    assert value(db, "select count(*) from claims where started_at > ended_at or ended_at > settled_at") == 0
    assert (
        value(
            db,
            "select count(*) from (select settled_at < lag(settled_at) over (order by claim_id) as back "
            "from claims) where back",
        )
        == 0
    )
    inside = "charged_at between started_at and settled_at + interval 1 hour"
    assert (
        value(
            db,
            "select count(*) from lines join claims using (claim_id) "
            f"where total_amount > 0 and not ({inside})",
        )
        == 0
    )


def test_people_are_plausible(db: duckdb.DuckDBPyConnection) -> None:
    sex = (
        "select count(*) from lines join claims using (claim_id) join patients using (patient_id) "
        "join items using (item_code)"
    )
    honest = "and claim_id not in (select claim_id from truth_claims)"
    assert value(db, f"{sex} where sex_limit <> sex {honest}") == 0
    dead = "select count(*) from claims join patients using (patient_id) where started_at::date > death_date"
    assert value(db, f"{dead} {honest}") == 0
    assert value(db, "select count(distinct kind) from institutions") == 5
    assert 0.4 < value(db, "select avg((sex = 'F')::int) from patients") < 0.6
    per_month = (
        value(db, "select count(*) from claims")
        / 12
        / value(db, "select count(distinct patient_id) from claims")
    )
    assert 1.4 < per_month < 2.8


def test_seasons_weeks_and_days(db: duckdb.DuckDBPyConnection) -> None:
    flu = "select count(*) from claims where diagnosis_code = 'J10.100' and month(started_at) in"
    assert value(db, f"{flu} (12, 1, 2)") > 4 * value(db, f"{flu} (6, 7, 8)")
    day = "select count(*) from claims where visit_type = 'outpatient' and dayofweek(started_at)"
    assert value(db, f"{day} = 1") > 2 * value(db, f"{day} = 0")
    hour = "select count(*) from claims where visit_type = 'outpatient' and hour(started_at)"
    assert value(db, f"{hour} = 9") > 5 * value(db, f"{hour} = 12")


def test_every_scheme_and_look_alike_takes_place(db: duckdb.DuckDBPyConnection) -> None:
    assert {r[0] for r in db.execute("select distinct scheme from truth_claims").fetchall()} == set(
        SCHEME_NAMES
    )
    assert {r[0] for r in db.execute("select distinct kind from truth_nuisance").fetchall()} == set(
        NUISANCE_NAMES
    )
    assert {r[0] for r in db.execute("select distinct scheme from truth_groups").fetchall()} == set(
        SCHEME_NAMES
    )
    share = value(db, "select count(*) from truth_claims") / value(db, "select count(*) from claims")
    assert 0.009 < share < 0.016
    assert value(db, "select avg((loss_amount > 0)::int) from truth_claims") > 0.9
    assert (
        value(
            db,
            "select count(*) from truth_claims join claims using (claim_id) where loss_amount > fund_amount",
        )
        == 0
    )


def test_claims_name_their_gang(db: duckdb.DuckDBPyConnection) -> None:
    strange = "truth_claims anti join truth_groups using (group_id, scheme)"
    assert value(db, f"select count(*) from {strange}") == 0
    theirs = """
    select avg((p.patient_id is not null)::int) from truth_claims t join claims c using (claim_id)
    left join (select group_id, member_id as patient_id from truth_groups where member_kind = 'patient') p
    using (group_id, patient_id) where t.scheme = 'card_pool'
    """
    assert value(db, theirs) == 1


def test_actors_are_only_partly_dishonest(db: duckdb.DuckDBPyConnection) -> None:
    share = """
    with d as (select member_id as doctor_id from truth_groups where member_kind = 'doctor')
    select avg((claim_id in (select claim_id from truth_claims))::int)
    from claims join (select distinct * from d) using (doctor_id)
    """
    assert value(db, share) < 0.4


NULLABLE = ("doctor_id", "operator_id", "diagnosis_code", "invoice_no")


@pytest.mark.parametrize(
    "feature",
    [
        "cast(right(claim_id, 1) as int) % 2",
        "second(started_at) % 2",
        "(second(started_at) = 0)::int",
        "(minute(settled_at) % 5 = 0)::int",
        "('0x' || right(visit_id, 2))::int % 2",
        "cast(right(patient_id, 1) as int) % 2",
        *[f"({c} is null)::int" for c in NULLABLE],
    ],
)
def test_fraud_leaves_no_artefact(db: duckdb.DuckDBPyConnection, feature: str) -> None:
    """A feature that means nothing has the same mean for fraud and the rest (within four standard errors)."""
    rows = db.execute(
        f"select t.claim_id is not null as bad, avg({feature}), count(*) "
        "from claims left join truth_claims t using (claim_id) "
        "where visit_type <> 'pharmacy' and total_amount > 0 group by 1 order by 1"
    ).fetchall()
    (_, honest, _), (_, bad, n) = rows
    assert abs(bad - honest) < 4 * np.sqrt(max(honest * (1 - honest), 1e-4) / n)


def test_lines_of_fraud_leave_no_artefact(db: duckdb.DuckDBPyConnection) -> None:
    for feature in ("charged_at is null", "lines.doctor_id is null", "lines.department_id is null"):
        rows = db.execute(
            f"select t.claim_id is not null as bad, avg(({feature})::int), count(*) "
            "from lines join claims using (claim_id) "
            "left join truth_claims t using (claim_id) "
            "where visit_type <> 'pharmacy' and claims.doctor_id is not null "
            "and claims.department_id is not null group by 1 order by 1"
        ).fetchall()
        (_, honest, _), (_, bad, n) = rows
        assert abs(bad - honest) < 4 * np.sqrt(honest * (1 - honest) / n), feature


def test_audits_are_biased_late_and_noisy(db: duckdb.DuckDBPyConnection) -> None:
    claims = "audits where subject_kind = 'claim'"
    assert 0.10 < value(db, f"select avg((reason = 'random')::int) from {claims}") < 0.25
    confirmed = f"select avg((outcome = 'confirmed')::int) from {claims} and reason"
    assert value(db, f"{confirmed} = 'tip'") > 2 * value(db, f"{confirmed} = 'random'")
    assert (
        value(
            db,
            "select count(*) from audits "
            "where outcome = 'confirmed' and (scheme is null or recovered_amount is null)",
        )
        == 0
    )
    assert (
        value(
            db,
            "select count(*) from audits "
            "where outcome = 'cleared' and (scheme is not null or recovered_amount is not null)",
        )
        == 0
    )
    late = (
        "select min(date_diff('day', settled_at, decided_at)) "
        "from audits join claims on subject_id = claim_id"
    )
    assert value(db, late) >= 25
    known = f"{claims} and outcome = 'confirmed'"
    false = value(
        db, f"select count(*) from {known} and subject_id not in (select claim_id from truth_claims)"
    )
    assert 0 < false < 0.5 * value(db, f"select count(*) from {known}")
    kinds = {r[0] for r in db.execute("select distinct subject_kind from audits").fetchall()}
    assert kinds >= {"claim", "patient", "doctor", "institution", "department"}
    assert value(db, "select max(decided_at) from audits") < value(
        db, "select date_trunc('month', max(settled_at)) + interval 1 month from claims"
    )


def test_same_seed_same_bytes_other_seed_other_city(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        generate(tmp_path / name, patients=200, months=2, seed=seed)
    files = sorted(str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file())
    same, different, missing = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False)
    assert (sorted(same), different, missing) == (files, [], [])
    assert not filecmp.cmp(
        tmp_path / "a" / "claims.parquet", tmp_path / "c" / "claims.parquet", shallow=False
    )


def test_committed_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    generate(tmp_path / "sample", **SAMPLE_SETTINGS)
    files = sorted(p.relative_to(SAMPLE) for p in SAMPLE.rglob("*") if p.is_file())
    assert sum((SAMPLE / f).stat().st_size for f in files) < 2_000_000
    assert files == sorted(
        p.relative_to(tmp_path / "sample") for p in (tmp_path / "sample").rglob("*") if p.is_file()
    )
    for file in files:
        ours, theirs = tmp_path / "sample" / file, SAMPLE / file
        same_writer = file.suffix != ".parquet" or (
            pq.read_metadata(ours).created_by == pq.read_metadata(theirs).created_by
        )
        if same_writer:
            assert ours.read_bytes() == theirs.read_bytes(), file
        else:  # another pyarrow version writes other bytes for the same rows
            assert pq.read_table(ours).equals(pq.read_table(theirs)), file


def test_city_without_fraud(tmp_path: Path) -> None:
    generate(tmp_path / "city", patients=200, months=2, seed=1, schemes=())
    db = connect(tmp_path / "city")
    assert value(db, "select count(*) from truth_claims") == 0
    assert value(db, "select count(*) from truth_groups") == 0
    assert value(db, "select count(*) from truth_nuisance") > 0


def test_unaudited_schemes_are_never_audited(tmp_path: Path) -> None:
    closed = ("card_pool", "drug_resale")
    generate(
        tmp_path / "city",
        patients=800,
        months=8,
        seed=2,
        prevalence=4,
        audit_rate=0.3,
        unaudited_schemes=closed,
    )
    db = connect(tmp_path / "city")
    audited = "audits join truth_claims on subject_id = claim_id"
    assert value(db, f"select count(*) from {audited} where truth_claims.scheme in {closed}") == 0
    assert value(db, f"select count(*) from audits where scheme in {closed}") == 0
    members = "audits join truth_groups g on subject_kind = member_kind and subject_id = member_id"
    assert (
        value(db, f"select count(*) from {members} where g.scheme in {closed} and subject_kind <> 'claim'")
        == 0
    )
    assert value(db, f"select count(*) from {audited}") > 50


def test_prevalence_and_choice_of_schemes(tmp_path: Path) -> None:
    generate(
        tmp_path / "city", patients=600, months=4, seed=2, prevalence=8, schemes=("upcoding", "ghost_stay")
    )
    db = connect(tmp_path / "city")
    assert {r[0] for r in db.execute("select distinct scheme from truth_claims").fetchall()} == {
        "upcoding",
        "ghost_stay",
    }


def test_progress_is_told(tmp_path: Path) -> None:
    steps = []
    generate(tmp_path / "city", patients=120, months=2, seed=1, progress=lambda *a: steps.append(a))
    assert steps == [("months", 1, 2), ("months", 2, 2)]


def test_wrong_arguments_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        generate(
            tmp_path / "city", patients=3, months=0, seed=1, camouflage=2, schemes=("bingo",), start="soon"
        )
    assert len(caught.value.problems) == 5
    assert not list(tmp_path.iterdir())


SIGNALS = {
    # other claims at the same place within ten minutes
    "card_pool": """
        select avg(n) from (
            select (
                select count(*) from claims o
                where o.institution_id = c.institution_id
                and abs(epoch(o.started_at) - epoch(c.started_at)) < 600
            ) as n
            from claims c join truth_claims using (claim_id)
        )
    """,
    # most days of supply on a claim
    "over_prescription": """
        select avg(d) from (
            select max(days_supply) as d from lines join truth_claims using (claim_id) group by claim_id
        )
    """,
    # lines of an item repeated on the day
    "duplicate_charge": """
        select avg(n) from (select claim_id, sum(k - 1) as n from (
            select claim_id, count(*) as k from lines join truth_claims using (claim_id)
            where amount > 0 group by claim_id, item_code, charged_at::date
        ) group by 1)
    """,
    # claims that share their whole basket with another
    "cloned_billing": """
        with b as (
            select claim_id, list_sort(list(item_code || quantity)) as items
            from lines join truth_claims using (claim_id) group by 1
        ) select avg((n > 1)::int) from (select count(*) over (partition by items) as n from b)
    """,
    # share of round totals
    "phantom_invoice": """
        select avg((total_amount % 100 = 0)::int) from claims join truth_claims using (claim_id)
    """,
}


@pytest.mark.parametrize("scheme", sorted(SIGNALS))
def test_camouflage_makes_the_signal_weaker(tmp_path: Path, scheme: str) -> None:
    seen = []
    for camouflage in (0.0, 1.0):
        out = tmp_path / str(camouflage)
        generate(
            out, patients=1_200, months=4, seed=3, camouflage=camouflage, prevalence=8, schemes=(scheme,)
        )
        seen.append(value(connect(out), SIGNALS[scheme]))
    assert seen[0] > 1.25 * seen[1]
