# ruff: noqa: E501 (tables read better whole)
"""Stays: readmission, idle days, two places at once, cohorts."""

import pytest
from feature_cases import case

CASES = [
    case(
        "split_stay",
        # p1 comes back after 3 days for a related disease; p2's cycles are 21 days apart
        claims="""
        claim_id patient_id visit_type started_at          ended_at            diagnosis_code total_amount
        c1       p1         inpatient  2026-03-01T09:00:00 2026-03-08T09:00:00 I10.x          4000.10
        c2       p1         inpatient  2026-03-11T09:00:00 2026-03-16T09:00:00 I25.1          4000.20
        m1       p2         inpatient  2026-01-20T09:00:00 2026-01-22T09:00:00 Z51.1          4000.30
        m2       p2         inpatient  2026-02-12T09:00:00 2026-02-14T09:00:00 Z51.1          4000.40
        m3       p2         inpatient  2026-03-07T09:00:00 2026-03-09T09:00:00 Z51.1          4000.50
        """,
        expect="""
        claim_id claim_readmission_days claim_readmission_15d claim_split_stay claim_readmission_same_diagnosis_days claim_readmission_gap_change claim_stay_days
        c1       -                      0                     0                -                                     -                            7
        c2       3                      1                     1                -                                     -                            5
        m3       21                     0                     0                21                                    0                            2
        """,
    ),
    case(
        "hanging_bed",
        # c1: three days with the bed alone; c2: treated every day; c3: all charged in one go
        claims="""
        claim_id patient_id visit_type started_at          ended_at
        c1       p1         inpatient  2026-03-01T09:00:00 2026-03-06T09:00:00
        c2       p2         inpatient  2026-03-01T09:00:00 2026-03-04T09:00:00
        c3       p3         inpatient  2026-03-01T09:00:00 2026-03-06T09:00:00
        """,
        lines="""
        claim_id item_code category  charged_at
        c1       bed       bed       2026-03-01T10:00:00
        c1       lab       lab       2026-03-01T10:00:00
        c1       bed       bed       2026-03-02T10:00:00
        c1       care      nursing   2026-03-02T10:00:00
        c1       bed       bed       2026-03-03T10:00:00
        c1       bed       bed       2026-03-04T10:00:00
        c1       bed       bed       2026-03-05T10:00:00
        c1       pill      drug      2026-03-05T11:00:00
        c2       bed       bed       2026-03-01T10:00:00
        c2       rehab     treatment 2026-03-01T10:00:00
        c2       bed       bed       2026-03-02T10:00:00
        c2       rehab     treatment 2026-03-02T10:00:00
        c2       bed       bed       2026-03-03T10:00:00
        c2       rehab     treatment 2026-03-03T10:00:00
        c3       bed       bed       2026-03-05T10:00:00
        """,
        expect="""
        claim_id claim_idle_days claim_idle_share claim_active_day_share
        c1       3               0.6              0.4
        c2       0               0                1
        c3       -               -                -
        """,
    ),
    case(
        "elsewhere",
        # c2 falls inside c1's stay; t2 is a transfer on the day of discharge; s1 a pharmacy errand
        claims="""
        claim_id patient_id institution_id visit_type started_at          ended_at
        c1       p1         h1             inpatient  2026-03-01T09:00:00 2026-03-10T09:00:00
        c2       p1         h2             outpatient 2026-03-05T09:00:00 2026-03-05T09:10:00
        s1       p1         h3             pharmacy   2026-03-06T09:00:00 2026-03-06T09:01:00
        t1       p2         h1             inpatient  2026-03-01T09:00:00 2026-03-10T09:00:00
        t2       p2         h2             inpatient  2026-03-10T12:00:00 2026-03-15T09:00:00
        o1       p3         h1             inpatient  2026-03-01T09:00:00 2026-03-10T09:00:00
        o2       p3         h2             inpatient  2026-03-06T09:00:00 2026-03-12T09:00:00
        """,
        expect="""
        claim_id claim_visits_during_stay claim_inside_stay claim_pharmacy_inside_stay claim_stay_overlap_days claim_double_stay
        c1       1                        0                 0                          0                       0
        c2       -                        1                 0                          0                       -
        s1       -                        0                 1                          0                       -
        t1       0                        0                 0                          0                       0
        t2       0                        0                 0                          0                       0
        o2       0                        0                 0                          3                       0
        """,
    ),
    case(
        "two_places",
        # five minutes apart in two towns, against a referral two hours later
        claims="""
        claim_id patient_id institution_id started_at
        c1       p1         h1             2026-03-05T09:00:30
        c2       p1         h2             2026-03-05T09:05:30
        n1       p2         h1             2026-03-05T09:00:30
        n2       p2         h2             2026-03-05T11:00:30
        """,
        expect="""
        claim_id claim_two_places claim_two_places_hours
        c1       0                -
        c2       1                0.083333333333333333
        n2       0                2
        """,
    ),
    case(
        "cohort",
        # three people in and out of one ward together, two of them with one phone and no shared home
        claims="""
        claim_id patient_id department_id visit_type started_at          ended_at            settled_at          diagnosis_code
        c1       p1         k1            inpatient  2026-03-02T09:00:00 2026-03-07T09:00:00 2026-03-07T10:00:01 M54.5
        c2       p2         k1            inpatient  2026-03-02T10:00:00 2026-03-07T09:00:00 2026-03-07T10:10:02 M54.5
        c3       p3         k1            inpatient  2026-03-02T11:00:00 2026-03-07T09:00:00 2026-03-07T10:20:03 I10.x
        n1       p4         k2            inpatient  2026-03-03T11:00:00 2026-03-07T09:00:00 2026-03-07T10:30:04 I10.x
        """,
        patients="""
        patient_id phone household_id
        p1         t1    a
        p2         t1    b
        p3         t9    c
        p4         t9    c
        """,
        institutions="""
        institution_id kind      beds
        h1             secondary 2
        """,
        expect="""
        claim_id claim_cohort claim_cohort_same_diagnosis claim_cohort_per_bed claim_shared_phone claim_occupancy
        c1       2            1                           1.5                  0                  1.5
        c2       2            1                           1.5                  1                  1.5
        c3       2            0                           1.5                  0                  1.5
        n1       0            0                           0.5                  0                  2
        """,
    ),
]


@pytest.mark.parametrize("one", CASES, ids=lambda c: c.name)
def test_stays(built, one):
    built.check(one)
