"""Whatever the arguments, the money adds up and identifiers point somewhere."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.synthetic import EXTRA_SCHEME_NAMES, LOOK_ALIKE_NAMES, SCHEME_NAMES, generate


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    patients=st.integers(100, 300),
    months=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    camouflage=st.floats(0, 1),
    prevalence=st.floats(0, 5),
    schemes=st.none() | st.lists(st.sampled_from((*SCHEME_NAMES, *EXTRA_SCHEME_NAMES)), max_size=4),
    look_alikes=st.sampled_from([(), LOOK_ALIKE_NAMES]),
    start=st.sampled_from(["2024-01", "2025-06", "2026-11"]),
)
def test_totals_and_references(**arguments: object) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "city"
        generate(out, **arguments)
        db = duckdb.connect()
        for name in ("claims", "lines", "diagnoses", "patients", "institutions", "audits"):
            db.execute(f"create view {name} as select * from '{out}/{name}.parquet'")
        checks = (
            "select count(*) from claims left join (select claim_id, sum(amount) as s from lines group by 1) "
            "using (claim_id) where s is distinct from total_amount",
            "select count(*) from lines where abs(round(unit_price * quantity, 2) - amount::double) > 0.001",
            "select count(*) from claims where abs(fund_amount) > abs(eligible_amount)",
            "select count(*) from claims where abs(eligible_amount) > abs(total_amount)",
            "select count(*) from claims where started_at > ended_at or ended_at > settled_at",
            "select count(*) from claims anti join patients using (patient_id)",
            "select count(*) from lines anti join claims using (claim_id)",
            "select count(*) from claims anti join lines using (claim_id)",
            "select count(*) - count(distinct claim_id) from claims",
            "select count(*) from audits where decided_at > (select max(settled_at) + interval 31 day "
            "from claims)",
        )
        assert [db.execute(sql).fetchall()[0][0] for sql in checks] == [0] * len(checks)
        db.close()
