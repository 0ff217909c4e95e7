"""Claims with what every builder asks of them: cleaned ids, net amounts, days, groups, context.

A refund is a claim with negative amounts. It stays a row (amounts net by summing) but is no visit:
`is_visit` is 0, and its amounts are also taken off the claim it most likely undoes.
"""

from typing import Any

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, exact_sum, flag, left, ratio, without
from fraud.features.scope import STAY_MINIMUM, Scope
from fraud.schema import STAY_TYPES, relation

PLACEHOLDER = r"^([0-]+|9+|x+|\*+|/+|null|none|nan|na|n/a|unknown|test|无|未知|不详)$"
"""Texts that stand for "no id" in real extracts."""
SPREAD = 10
"""A doctor code seen at more institutions than this in one month, and in no master table, is none."""
REFUND_DAYS = 90
"""Days back in which the claim a refund undoes is looked for."""


def known_id(column: Any) -> ir.StringValue:
    """An id, or NULL where it is empty or a placeholder."""
    text = column.strip()
    bad = (text == "") | text.lower().re_search(PLACEHOLDER)
    return ibis.ifelse(bad, ibis.null("string"), text)


def diagnosis_group(code: Any) -> ir.StringValue:
    """First three characters of an ICD code, upper case; NULL where there is none."""
    return code.strip().upper().substr(0, 3).nullif("")


def chapter(group: Any) -> ir.StringValue:
    """Chapter-like block of a three-character ICD code: its letter (ICD-10) or first digit (ICD-9).

    D00–D49 count with C (neoplasms) and H60–H95 (ear) apart from H00–H59 (eye).
    """
    letter = group.substr(0, 1)
    rest = group.substr(1, 2)
    return ibis.cases(
        ((letter == "D") & (rest < "50"), "C"),
        ((letter == "H") & (rest >= "60"), "H6"),
        ((letter == "A") | (letter == "B"), "AB"),
        ((letter == "S") | (letter == "T"), "ST"),
        else_=letter,
    )


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_claims``: one row per claim of `Scope.first`..`Scope.last`.

    Returns
    -------
    Table
        Ids (NULL where unknown), seconds, month, day numbers, amounts in cents (``net_total`` and
        ``net_fund`` less refunds of the same month or earlier), ``is_visit``, ``is_stay``,
        ``stay_days``, ``diagnosis``, ``chapter``, ``kind`` (of institution), ``specialty`` and the
        patient's context.
    """
    refunds = scope.keep("refunds", _refunds(_settled(scope, REFUND_DAYS // 30 + 1)))
    claims = left(_clean(scope), refunds, "claim_id")
    claims = claims.mutate(
        net_total=_net(claims.total, claims.refunded_total),
        net_fund=_net(claims.fund, claims.refunded_fund),
        refund_share=ratio(-claims.refunded_total, claims.total),
    )
    return scope.keep("claims", without(claims, "refunded_total", "refunded_fund"))


def _net(amount: Any, refunded: Any) -> ir.IntegerValue:
    return ibis.greatest(amount + refunded.fill_null(0), 0)


def _settled(scope: Scope, before: int = 0) -> ir.Table:
    """Claims of the months looked at, and of some `before`: what a refund undoes may be older."""
    claims = relation("claims")
    return claims.filter(claims.month.between(scope.first - before, scope.last))


def _clean(scope: Scope) -> ir.Table:
    claims = _settled(scope)
    claims = left(
        claims.mutate(doctor=known_id(claims.doctor_id)).drop("doctor_id"), _spread(), ["doctor", "month"]
    )
    claims = claims.mutate(
        doctor_id=ibis.ifelse(claims.spread.fill_null(0) > SPREAD, ibis.null("string"), claims.doctor)
    )
    day_in = claims.started_second // DAY
    day_out = claims.ended_at.epoch_seconds().cast("int64") // DAY
    nights = ibis.greatest(day_out - day_in, 0)
    stay = claims.visit_type.isin(STAY_TYPES)
    columns = claims.select(
        "claim_id", "visit_id", "patient_id", "institution_id", "doctor_id", "visit_type", "settled_at",
        "settled_second", "started_second", "month", "out_of_region",
        department_id=known_id(claims.department_id),
        operator_id=known_id(claims.operator_id),
        ended_second=claims.ended_at.epoch_seconds().cast("int64"),
        day=claims.settled_second // DAY,
        day_in=day_in,
        day_out=day_out,
        hour=claims.settled_at.hour().cast("int64"),
        weekday=claims.settled_at.day_of_week.index().cast("int64"),
        total=claims.total_amount,
        fund=claims.fund_amount,
        eligible=claims.eligible_amount,
        invoice_no=known_id(claims.invoice_no),
        diagnosis=diagnosis_group(claims.diagnosis_code),
        is_visit=flag(claims.total_amount >= 0),
        is_stay=flag(stay & (claims.total_amount >= 0)),
        is_overnight=flag(stay & (claims.total_amount >= 0) & (nights + 1 >= STAY_MINIMUM)),
        stay_days=ibis.ifelse(stay, ibis.greatest(nights, 1), ibis.null("int64")).cast("int64"),
    )  # fmt: skip
    columns = columns.mutate(chapter=chapter(columns.diagnosis))
    return _context(columns)


def _spread() -> ir.Table:
    """Institutions per doctor code and month, for codes no master table knows."""
    claims, doctors = relation("claims"), relation("doctors")
    pairs = claims.select("month", "institution_id", doctor=known_id(claims.doctor_id)).distinct()
    pairs = pairs.filter(pairs.doctor.notnull()).anti_join(doctors, pairs.doctor == doctors.doctor_id)
    return pairs.group_by(["doctor", "month"]).agg(spread=pairs.institution_id.count())


def _context(claims: ir.Table) -> ir.Table:
    institutions = relation("institutions")
    doctors, departments = relation("doctors"), relation("departments")
    houses = institutions.select("institution_id", "kind", "ownership", "beds", institution_region="region")
    claims = left(claims, houses, "institution_id")
    claims = left(
        claims, departments.select("department_id", department_specialty="specialty"), "department_id"
    )
    claims = left(claims, doctors.select("doctor_id", doctor_specialty="specialty"), "doctor_id")
    claims = left(claims, _people(), "patient_id")
    claims = claims.mutate(
        specialty=ibis.coalesce(claims.department_specialty, claims.doctor_specialty),
        age=ibis.coalesce(
            (claims.day_in - claims.birth_day).cast("float64") / 365.25,
            (claims.settled_at.year() - claims.birth_year).cast("float64"),
        ).clip(0.0, 120.0),
    )
    return without(claims, "department_specialty", "doctor_specialty")


def _people() -> ir.Table:
    """Patients with the columns claims carry: days since 1970 instead of dates."""
    patients = relation("patients")
    return patients.select(
        "patient_id",
        "sex",
        "insurance_type",
        "household_id",
        "employer_id",
        "phone",
        "address",
        patient_region="region",
        certificates=patients.chronic_certificates.length().cast("int64"),
        birth_year=ibis.coalesce(patients.birth_date.year().cast("int64"), patients.birth_year),
        birth_day=patients.birth_date.epoch_days().cast("int64"),
        death_day=patients.death_date.epoch_days().cast("int64"),
    )


def _refunds(claims: ir.Table) -> ir.Table:
    """Refunded cents per claim: each refund undoes one earlier claim of the patient and institution.

    The claim of the same visit comes first, then one of exactly the amount, then the latest. Only
    refunds settled by the end of the claim's own month count.
    """
    undo = claims.filter(claims.total_amount < 0).select(
        "patient_id", "institution_id", refund_id="claim_id", refund_visit="visit_id",
        refund_second="settled_second", refund_month="month", refund_total="total_amount",
        refund_fund="fund_amount",
    )  # fmt: skip
    made = claims.filter(claims.total_amount >= 0).select(
        "claim_id",
        "visit_id",
        "patient_id",
        "institution_id",
        "settled_second",
        "month",
        total="total_amount",
    )
    pairs = made.inner_join(
        undo,
        [
            made.patient_id == undo.patient_id,
            made.institution_id == undo.institution_id,
            made.settled_second <= undo.refund_second,
            made.settled_second >= undo.refund_second - REFUND_DAYS * DAY,
            made.total >= -undo.refund_total,
        ],
    )
    pairs = pairs.mutate(
        other_visit=1 - flag(pairs.visit_id == pairs.refund_visit),
        other_amount=1 - flag(pairs.total == -pairs.refund_total),
        age_seconds=pairs.refund_second - pairs.settled_second,
    )
    order = ibis.window(
        group_by="refund_id", order_by=["other_visit", "other_amount", "age_seconds", "claim_id"]
    )
    chosen = pairs.mutate(choice=ibis.row_number().over(order))
    chosen = chosen.filter((chosen.choice == 0) & (chosen.refund_month == chosen.month))
    return chosen.group_by("claim_id").agg(
        refunded_total=exact_sum(chosen.refund_total), refunded_fund=exact_sum(chosen.refund_fund)
    )
