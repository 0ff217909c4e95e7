# ruff: noqa: E501 (tables read better whole)
"""What was known of the patient and doctor before a claim."""

import pytest
from feature_cases import case

CASES = [
    case(
        "frequency",
        # c2 and c3 are settled in the same second: neither knows of the other
        claims="""
        claim_id patient_id institution_id started_at          total_amount
        c0       p1         h1             2026-02-01T09:00:00 50.10
        c1       p1         h2             2026-03-01T09:00:00 60.20
        c2       p1         h1             2026-03-08T09:00:00 70.30
        c3       p1         h3             2026-03-08T09:00:00 80.40
        c4       p1         h3             2026-03-20T09:00:00 90.50
        n1       p2         h1             2026-03-20T09:00:00 90.50
        """,
        expect="""
        claim_id claim_patient_claims_7d claim_patient_claims_30d claim_patient_claims_90d claim_patient_amount_30d claim_patient_institutions_30d claim_institution_new claim_days_since_visit claim_first_in_year
        c1       0                       1                        1                        50.10                    1                              1                     28                     0
        c2       1                       1                        2                        60.20                    1                              0                     7                      0
        c3       1                       1                        2                        60.20                    1                              1                     7                      0
        c4       0                       3                        4                        210.90                   3                              0                     12                     0
        n1       0                       0                        0                        0                        0                              -                     -                      1
        """,
    ),
    case(
        "refunds",
        # c1 is refunded in full the same month; the refund is no visit
        claims="""
        claim_id patient_id started_at          total_amount fund_amount
        c1       p1         2026-03-02T09:00:00 200.00       150.00
        r1       p1         2026-03-03T09:00:00 -200.00      -150.00
        c2       p1         2026-03-05T09:00:00 80.00        60.00
        """,
        expect="""
        claim_id amount_at_risk claim_refund_share claim_patient_claims_7d claim_patient_amount_30d
        c1       0              1                  0                       0
        r1       0              0                  1                       200
        c2       60             0                  1                       0
        """,
    ),
    case(
        "doctors",
        # "0000" and "-" are placeholders, not one giant doctor
        claims="""
        claim_id patient_id doctor_id started_at
        c1       p1         d1        2026-03-02T09:00:00
        c2       p2         d1        2026-03-02T10:00:00
        c3       p1         d1        2026-03-09T10:00:00
        u1       p3         0000      2026-03-02T09:00:00
        u2       p4         0000      2026-03-03T09:00:00
        u3       p5         -         2026-03-03T09:00:00
        """,
        expect="""
        claim_id claim_doctor_claims_1d claim_doctor_claims_7d claim_doctor_patients_30d claim_doctor_patient_claims_90d claim_doctor_patient_share claim_doctor_new
        c1       0                      0                      0                         0                               -                          -
        c2       1                      1                      1                         0                               0                          -
        c3       0                      1                      2                         1                               0.5                        0
        u1       -                      -                      -                         -                               -                          -
        u2       -                      -                      -                         -                               -                          -
        u3       -                      -                      -                         -                               -                          -
        """,
    ),
    case(
        "amounts",
        # round and repeated amounts against registration fees that everybody pays
        claims="""
        claim_id patient_id institution_id started_at          total_amount
        c1       p1         h1             2026-02-10T09:00:00 3000.00
        c2       p1         h1             2026-03-02T09:00:00 3000.00
        c3       p1         h2             2026-03-03T09:00:00 3000.00
        f1       p2         h1             2026-03-04T09:00:00 12.00
        f2       p3         h1             2026-03-05T09:00:00 12.00
        """,
        expect="""
        claim_id claim_same_amount_patient_365d claim_same_amount_same_place_365d claim_same_amount_institution_30d claim_round_amount claim_whole_yuan
        c2       1                              1                                 1                                 1                  1
        c3       2                              0                                 0                                 1                  1
        f2       -                              -                                 -                                 -                  1
        """,
    ),
    case(
        "travel",
        # an out-of-region claim at a place never seen, against a commuter's usual one
        claims="""
        claim_id patient_id institution_id started_at          out_of_region invoice_no
        c1       p1         h1             2026-03-01T09:00:00 no            A100200
        c2       p1         h9             2026-03-05T09:00:00 yes           B000501
        c3       p1         h9             2026-03-09T09:00:00 yes           B000502
        c4       p1         h9             2026-03-12T09:00:00 yes           B000501
        n1       p2         h9             2026-03-13T09:00:00 yes           B000503
        """,
        expect="""
        claim_id claim_out_of_region_new claim_invoice_reused claim_invoice_run
        c2       1                       0                    0
        c3       0                       0                    1
        c4       0                       1                    2
        n1       1                       0                    0
        """,
    ),
]


@pytest.mark.parametrize("one", CASES, ids=lambda c: c.name)
def test_history(built, one):
    built.check(one)
