# ruff: noqa: E501 (tables read better whole)
"""Entities, the whole catalog, and the two engines against each other."""

import numpy as np
import pytest
from feature_cases import case

from fraud.features.catalog import claim_context, features, of_entity

CASES = [
    case(
        "house",
        # three months: p1 comes again and again, d1 sees all of it
        claims="""
        claim_id patient_id institution_id doctor_id visit_type started_at          ended_at            total_amount fund_amount
        c1       p1         h1             d1        outpatient 2026-01-05T09:00:10 2026-01-05T09:00:10 100.10       50.05
        c2       p1         h1             d1        outpatient 2026-02-05T09:00:10 2026-02-05T09:00:10 100.10       50.05
        c3       p1         h1             d1        outpatient 2026-03-05T09:00:10 2026-03-05T09:00:10 100.10       50.05
        c4       p2         h1             d1        inpatient  2026-03-01T09:00:10 2026-03-11T09:00:10 1000.30      900.27
        c5       p2         h2             0000      outpatient 2026-03-21T09:00:10 2026-03-21T09:00:10 33.33        11.11
        """,
        entity="institution",
        expect="""
        institution_id claims amount_at_risk institution_claims_3m institution_patient_n institution_patient_top institution_patient_repeat institution_inpatient_share institution_stay_max institution_amount_per_day institution_same_amount_share institution_shared_patient_share institution_no_doctor_share
        h1             2      950.32         4                     2                     0.75                    0.5                        0.25                        10                   100.03                     0.5                           0.5                             0
        h2             1      11.11          1                     1                     1                       0                          0                           -                    -                          -                             1                               1
        """,
    ),
]


@pytest.mark.parametrize("one", CASES, ids=lambda c: c.name)
def test_entity(built, one):
    built.check(one)


def test_tables_hold_the_catalog(built):
    for entity, table in built.tables.items():
        expected = of_entity(entity)
        if entity == "claim":
            for other in ("patient", "doctor", "department", "institution"):
                expected += claim_context(other)
        assert built.columns[entity] == expected
        assert tuple(table.columns[-len(expected) :]) == expected
        assert (table[list(expected)].dtypes == "float64").all()


def test_one_row_per_subject(built):
    for entity, table in built.tables.items():
        assert not table.duplicated([f"{entity}_id", "month"]).any()
        assert table[f"{entity}_id"].notna().all()


def test_no_infinity_and_no_giant_doctor(built):
    for entity, table in built.tables.items():
        values = table[list(built.columns[entity])].to_numpy()
        assert not np.isinf(values).any()
    assert not any(str(d).endswith(".-") for d in built.tables["doctor"]["doctor_id"])


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_engines_agree(built_duckdb, built_spark):
    for entity, one in built_duckdb.tables.items():
        key = f"{entity}_id"
        other = built_spark.tables[entity].sort_values(key).reset_index(drop=True)
        one = one.sort_values(key).reset_index(drop=True)
        assert list(one.columns) == list(other.columns)
        wrong = [c for c in one if not _same(one[c], other[c], c)]
        assert not wrong, f"{entity}: engines differ in {wrong}"


def _same(one, other, name):
    if name not in features():
        return list(one.astype(str)) == list(other.astype(str))
    whole = (one.dropna() % 1 == 0).all()
    close = np.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)
    return close and (not whole or one.equals(other))
