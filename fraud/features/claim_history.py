"""What the patient and the doctor of a claim did before it: frequency, intervals, novelty, repeats."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import (
    before,
    count_over,
    distinct_before,
    flag,
    gap_days,
    left,
    ratio,
)
from fraud.features.scope import Scope

YEAR = 365
ENOUGH = 3
"""Earlier claims needed before a claim is compared with its own past."""
DOCTOR_PAST = 90
"""Days of the doctor's past that are looked at."""
VARIETY = (
    ("patient_id", "institution_id", 1, "claim_patient_institutions_1d"),
    ("patient_id", "institution_id", 30, "claim_patient_institutions_30d"),
    ("patient_id", "institution_id", YEAR, "claim_patient_institutions_365d"),
    ("patient_id", "doctor_id", 30, "claim_patient_doctors_30d"),
    ("doctor_id", "patient_id", 30, "claim_doctor_patients_30d"),
)
"""Whose distinct what in how many days."""
NOTABLE = 5_000
"""Cents: only totals of at least 50 yuan count as repeated amounts (registration fees repeat)."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about history, each with claim_id and features."""
    claims = scope["claims"]
    return [
        scope.keep("claim_patient_past", _patient(claims)),
        scope.keep("claim_variety", _variety(scope, claims)),
        scope.keep("claim_novelty", _novelty(claims)),
        scope.keep("claim_doctor_past", _doctor(scope.reach(claims, DOCTOR_PAST))),
        scope.keep("claim_repeats", _repeats(scope, claims)),
    ]


def _patient(claims: ir.Table) -> ir.Table:
    """Counts and amounts of the patient over 7, 30, 90 and 365 days."""
    visits = claims.is_visit
    window = {days: before("patient_id", days) for days in (7, 30, 90, YEAR)}
    alike = before(["patient_id", "visit_type"], YEAR)
    result = claims.mutate(
        **{f"claim_patient_claims_{d}d": count_over(w, visits) for d, w in window.items()},
        **{f"cents_{d}": count_over(window[d], claims.total) for d in (30, 90, YEAR)},
        stays=count_over(window[YEAR], claims.is_stay),
        stay_days_before=count_over(window[YEAR], claims.stay_days * claims.is_stay),
        last_second=_latest(claims, "patient_id"),
        alike_n=count_over(alike, visits),
        alike_cents=count_over(alike, claims.total),
    )
    enough = result.alike_n >= ENOUGH
    usual = ibis.ifelse(enough, ratio(result.alike_cents, result.alike_n), ibis.null("float64"))
    return result.select(
        "claim_id",
        *[f"claim_patient_claims_{d}d" for d in window],
        **{
            f"claim_patient_amount_{d}d": ratio(result[f"cents_{d}"], ibis.literal(100))
            for d in (30, 90, YEAR)
        },
        claim_patient_stays_365d="stays",
        claim_patient_stay_days_365d="stay_days_before",
        claim_days_since_visit=gap_days(result.settled_second, result.last_second),
        claim_amount_vs_own_past=ratio(result.total, usual.clip(lower=0.0)),
        claim_patient_pace=ratio(result.claim_patient_claims_30d * 12, result.claim_patient_claims_365d),
    )


def _latest(claims: ir.Table, key: str | list[str], days: int = YEAR) -> ir.IntegerValue:
    """Second of the latest earlier visit of a group."""
    visit = ibis.ifelse(claims.is_visit == 1, claims.settled_second, ibis.null("int64"))
    return visit.max().over(before(key, days))


def _variety(scope: Scope, claims: ir.Table) -> ir.Table:
    """Distinct institutions and doctors of the patient, distinct patients of the doctor."""
    visits = claims.filter(claims.is_visit == 1)
    result = scope.asked(visits).select("claim_id")
    for key, counted, days, name in VARIETY:
        part = distinct_before(scope.reach(visits, days), (key,), counted, days, name)
        result = left(result, part.select("claim_id", name), "claim_id")
    return result


def _novelty(claims: ir.Table) -> ir.Table:
    """Institution, doctor or diagnosis the patient has not had in a year of known history."""
    known = count_over(before("patient_id", YEAR), claims.is_visit)
    result = claims.mutate(known=known, inst=_count(claims, "institution_id"))
    result = left(result, _known_count(claims, "doctor_id", "doc"), "claim_id")
    result = left(result, _known_count(claims, "diagnosis", "diag"), "claim_id")
    past = result.known > 0
    away = flag(result.out_of_region)
    return result.select(
        "claim_id",
        claim_first_in_year=flag(result.known == 0),
        claim_institution_new=_new(past, result.inst),
        claim_doctor_new=_new(past & result.doc.notnull(), result.doc),
        claim_diagnosis_new=_new(past & result.diag.notnull(), result.diag),
        claim_institution_familiarity=ratio(result.inst, result.known),
        claim_out_of_region=ibis.ifelse(result.out_of_region.isnull(), ibis.null("int64"), away),
        claim_out_of_region_new=ibis.ifelse(
            result.out_of_region.isnull(), ibis.null("int64"), away * flag(result.inst == 0)
        ),
    )


def _count(claims: ir.Table, part: str) -> ir.IntegerValue:
    return count_over(before(["patient_id", part], YEAR), claims.is_visit)


def _known_count(claims: ir.Table, part: str, name: str) -> ir.Table:
    known = claims.filter(claims[part].notnull())
    return known.select("claim_id", **{name: _count(known, part)})


def _new(past: ir.BooleanValue, seen: ir.IntegerValue) -> ir.IntegerValue:
    return ibis.ifelse(past, flag(seen == 0), ibis.null("int64"))


def _doctor(claims: ir.Table) -> ir.Table:
    """Load, amounts and returning patients of the doctor before the claim."""
    known = claims.filter(claims.doctor_id.notnull())
    alike = before(["doctor_id", "visit_type"], DOCTOR_PAST)
    pair = before(["doctor_id", "patient_id"], DOCTOR_PAST)
    result = known.mutate(
        **{f"n{d}": count_over(before("doctor_id", d), known.is_visit) for d in (1, 7, 30, DOCTOR_PAST)},
        cents=count_over(before("doctor_id", 30), known.total),
        pair_n=count_over(pair, known.is_visit),
        alike_n=count_over(alike, known.is_visit),
        alike_cents=count_over(alike, known.total),
    )
    enough = result.alike_n >= 10
    usual = ibis.ifelse(enough, ratio(result.alike_cents, result.alike_n), ibis.null("float64"))
    return result.select(
        "claim_id",
        claim_doctor_claims_1d="n1",
        claim_doctor_claims_7d="n7",
        claim_doctor_claims_30d="n30",
        claim_doctor_amount_30d=ratio(result.cents, ibis.literal(100)),
        claim_doctor_patient_claims_90d="pair_n",
        claim_doctor_patient_share=ratio(result.pair_n, result.n90),
        claim_doctor_pace=ratio(result.n1 * 30, result.n30),
        claim_amount_vs_doctor_past=ratio(result.total, usual.clip(lower=0.0)),
    )


def _repeats(scope: Scope, claims: ir.Table) -> ir.Table:
    """The same total again: by the patient, the doctor, the institution; round and whole amounts."""
    notable = claims.filter((claims.is_visit == 1) & (claims.total >= NOTABLE))
    own = scope.touched(notable, "patient_id", "total")
    patient = own.select(
        "claim_id",
        patient=count_over(before(["patient_id", "total"], YEAR), own.is_visit),
        same_place=count_over(before(["patient_id", "institution_id", "total"], YEAR), own.is_visit),
    )
    recent = scope.reach(notable, 30)
    place = recent.select(
        "claim_id",
        institution=count_over(before(["institution_id", "visit_type", "total"], 30), recent.is_visit),
        base=count_over(before(["institution_id", "visit_type"], 30), recent.is_visit),
    )
    known = recent.filter(recent.doctor_id.notnull())
    doctor = known.select("claim_id", doctor=count_over(before(["doctor_id", "total"], 30), known.is_visit))
    result = scope.asked(claims)
    for part in (patient, place, doctor):
        result = left(result, part, "claim_id")
    visit = result.is_visit == 1
    return result.select(
        "claim_id",
        claim_same_amount_patient_365d=result.patient,
        claim_same_amount_institution_30d=result.institution,
        claim_same_amount_institution_share=ratio(result.institution, result.base),
        claim_same_amount_doctor_30d=result.doctor,
        claim_same_amount_same_place_365d=result.same_place,
        claim_round_amount=_where(visit & (result.total >= NOTABLE), flag(result.total % 10_000 == 0)),
        claim_whole_yuan=_where(visit & (result.total > 0), flag(result.total % 100 == 0)),
        claim_refund_share=result.refund_share.fill_null(0.0),
    )


def _where(condition: ir.BooleanValue, value: ir.Value) -> ir.Value:
    return ibis.ifelse(condition, value, ibis.null(value.type()))
