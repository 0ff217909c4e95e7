# ruff: noqa: E501 (tables read better whole)
"""Items, supply, bundles, contradictions, companions."""

import pytest
from feature_cases import case

CASES = [
    case(
        "clones",
        # h1 bills one bundle to three people; p9's own repeat is nobody else's
        claims="""
        claim_id patient_id institution_id started_at
        c1       p1         h1             2026-03-02T09:00:00
        c2       p2         h1             2026-03-04T09:00:00
        c3       p3         h1             2026-03-06T09:00:00
        n1       p9         h2             2026-03-02T09:00:00
        n2       p9         h2             2026-03-09T09:00:00
        """,
        lines="""
        claim_id item_code quantity amount
        c1       a         1        10
        c1       b         2        20
        c1       c         3        30
        c2       c         3        30
        c2       a         1        10
        c2       b         2        20
        c3       a         1        10
        c3       b         2        20
        c3       c         4        40
        n1       a         1        10
        n1       b         1        10
        n1       c         1        10
        n2       a         1        10
        n2       b         1        10
        n2       c         1        10
        """,
        expect="""
        claim_id claim_cloned_bundle claim_cloned_items claim_own_bundle_again claim_items
        c1       0                   0                  0                      3
        c2       1                   1                  0                      3
        c3       0                   2                  0                      3
        n2       0                   0                  1                      3
        """,
    ),
    case(
        "diagnosis_sets",
        claims="""
        claim_id patient_id started_at
        c1       p1         2026-03-02T09:00:00
        c2       p2         2026-03-04T09:00:00
        n1       p3         2026-03-05T09:00:00
        """,
        diagnoses="""
        claim_id position code
        c1       1        I10
        c1       2        E11
        c1       3        N18
        c2       1        N18
        c2       2        I10
        c2       3        E11
        n1       1        I10
        """,
        expect="""
        claim_id claim_diagnosis_count claim_cloned_diagnoses
        c1       3                     0
        c2       3                     1
        n1       1                     -
        """,
    ),
    case(
        "supply",
        # p1 buys 30 days again after 5 days, elsewhere; p2 refills on time
        claims="""
        claim_id patient_id institution_id doctor_id visit_type started_at
        c1       p1         h1             d1        pharmacy   2026-03-01T09:00:00
        c2       p1         h2             d2        pharmacy   2026-03-06T09:00:00
        n1       p2         h1             d1        pharmacy   2026-02-01T09:00:00
        n2       p2         h1             d1        pharmacy   2026-03-03T09:00:00
        """,
        lines="""
        claim_id item_code quantity days_supply
        c1       pill      2        30
        c2       other     2        30
        n1       pill      2        30
        n2       pill      2        -
        """,
        items="""
        item_code name drug_class days_per_unit
        pill      n    C09        15
        other     n    C09        15
        """,
        expect="""
        claim_id claim_supply_days_max claim_stock_days_max claim_overlap_days claim_class_elsewhere_days claim_class_institutions_90d claim_class_doctors_90d claim_days_since_fill
        c1       30                    0                    0                  0                          0                            0                       -
        c2       30                    25                   25                 30                         1                            1                       5
        n2       30                    0                    0                  0                          1                            1                       30
        """,
    ),
    case(
        "repeats",
        # the same scan twice a day, a charge and its refund, a lab test of last week elsewhere
        claims="""
        claim_id patient_id institution_id started_at
        c1       p1         h1             2026-03-02T09:00:00
        c2       p1         h2             2026-03-05T09:00:00
        n1       p2         h1             2026-03-02T09:00:00
        """,
        lines="""
        claim_id item_code category quantity unit_price amount charged_at
        c1       ct        exam     1        100        100    2026-03-02T09:10:00
        c1       ct        exam     1        100        100    2026-03-02T15:10:00
        c1       bed       bed      1        50         50     2026-03-02T15:10:00
        c2       ct        exam     1        100        100    2026-03-05T09:10:00
        n1       ct        exam     1        100        100    2026-03-02T09:10:00
        n1       ct        exam     1        100        100    2026-03-02T15:10:00
        n1       ct        exam     -1       100        -100   2026-03-02T15:20:00
        """,
        expect="""
        claim_id claim_duplicate_lines claim_duplicate_amount_share claim_tests_again_7d claim_tests_again_elsewhere_7d claim_exam_share claim_care_share
        c1       1                     0.4                          0                    0                              0.8              0.2
        c2       0                     0                            1                    1                              1                0
        n1       0                     0                            0                    0                              1                0
        """,
    ),
    case(
        "trace",
        # one box sold to two people; p3 returns a box and it is sold again
        claims="""
        claim_id patient_id visit_type started_at          total_amount
        c1       p1         pharmacy   2026-03-02T09:00:00 10.00
        c2       p2         pharmacy   2026-03-05T09:00:00 10.00
        n1       p3         pharmacy   2026-03-02T09:00:00 11.00
        r1       p3         pharmacy   2026-03-03T09:00:00 -11.00
        n2       p4         pharmacy   2026-03-05T09:00:00 11.00
        """,
        lines="""
        claim_id item_code trace_code quantity amount
        c1       pill      box1       1        10
        c2       pill      box1       1        10
        n1       pill      box2       1        11
        r1       pill      box2       -1       -11
        n2       pill      box2       1        11
        """,
        expect="""
        claim_id claim_trace_reused claim_trace_reused_elsewhere
        c1       0                  0
        c2       1                  1
        n2       0                  0
        """,
    ),
    case(
        "contradictions",
        claims="""
        claim_id patient_id visit_type started_at          diagnosis_code
        c1       p1         outpatient 2026-03-10T09:00:00 I10.x
        c2       p2         outpatient 2026-03-10T09:00:00 O80.0
        c3       p3         chronic    2026-03-10T09:00:00 I10.x
        n1       p4         chronic    2026-03-10T09:00:00 I10.x
        """,
        patients="""
        patient_id sex birth_date death_date chronic_certificates
        p1         F   1950-03-10 2026-03-01 none
        p2         M   1990-03-10 -          none
        p3         F   2015-03-10 -          none
        p4         F   1960-03-10 -          hypertension
        """,
        lines="""
        claim_id item_code
        c2       womb
        c3       adult
        n1       adult
        """,
        items="""
        item_code name sex_limit min_age
        womb      n    F         -
        adult     n    -         18
        """,
        expect="""
        claim_id claim_days_after_death claim_sex_diagnosis_conflict claim_sex_conflict_items claim_age_conflict_items claim_certificate_missing
        c1       9                      0                            0                        0                        -
        c2       0                      1                            1                        0                        -
        c3       0                      0                            0                        1                        1
        n1       0                      0                            0                        0                        0
        """,
    ),
    case(
        "companions",
        # p1 and p2 meet at one desk for the fourth time; p3 and p4 are one household
        claims="""
        claim_id patient_id operator_id started_at
        a1       p1         o1          2026-01-10T09:00:10
        b1       p2         o1          2026-01-10T09:03:10
        a2       p1         o1          2026-02-10T09:00:10
        b2       p2         o1          2026-02-10T09:03:10
        a3       p1         o1          2026-02-20T09:00:10
        b3       p2         o1          2026-02-20T09:03:10
        a4       p1         o1          2026-03-10T09:00:10
        b4       p2         o1          2026-03-10T09:03:10
        e1       p3         o2          2026-01-10T09:00:10
        f1       p4         o2          2026-01-10T09:03:10
        e2       p3         o2          2026-02-10T09:00:10
        f2       p4         o2          2026-02-10T09:03:10
        e3       p3         o2          2026-02-20T09:00:10
        f3       p4         o2          2026-02-20T09:03:10
        e4       p3         o2          2026-03-10T09:00:10
        f4       p4         o2          2026-03-10T09:03:10
        """,
        patients="""
        patient_id household_id
        p1         x
        p2         y
        p3         z
        p4         z
        """,
        expect="""
        claim_id claim_companions claim_companion_days claim_companion_share claim_operator_burst
        a4       1                3                    1                     1
        b4       1                3                    1                     1
        e4       0                0                    0                     1
        """,
    ),
]


@pytest.mark.parametrize("one", CASES, ids=lambda c: c.name)
def test_items(built, one):
    built.check(one)
