"""What cannot be: after death, against sex or age, without a certificate, one invoice or box twice."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, before, count_over, exact_sum, flag, left
from fraud.features.scope import Scope
from fraud.schema import relation

YEAR = 365
FEMALE = r"^(O[0-9A]|C5[1-8]|D06|D2[5-8]|N7[0-7]|N8[0-9]|N9[0-8]|Z3[2-7])"
"""ICD-10 diagnoses of women only."""
MALE = r"^(C6[0-3]|D29|N4[0-9]|N5[01])"
"""ICD-10 diagnoses of men only."""
NEAR_NUMBER = 5
"""Invoice numbers at most this far apart are neighbours in one booklet."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about contradictions, each with claim_id and features."""
    claims = scope["claims"]
    return [
        scope.keep("claim_person", _person(scope.asked(claims))),
        scope.keep("claim_limits", _limits(scope, claims)),
        scope.keep("claim_invoices", _invoices(scope, claims)),
        scope.keep("claim_traces", _traces(scope, claims)),
    ]


def _person(claims: ir.Table) -> ir.Table:
    visit = claims.is_visit == 1
    after = claims.day_in - claims.death_day
    wrong = ((claims.sex == "M") & claims.diagnosis.re_search(FEMALE)) | (
        (claims.sex == "F") & claims.diagnosis.re_search(MALE)
    )
    knowable = claims.sex.notnull() & claims.diagnosis.notnull()
    chronic = visit & (claims.visit_type == "chronic") & claims.certificates.notnull()
    return claims.select(
        "claim_id",
        claim_age="age",
        claim_days_after_death=ibis.greatest(after, 0).fill_null(0),
        claim_sex_diagnosis_conflict=ibis.ifelse(knowable, flag(wrong), ibis.null("int64")),
        claim_certificate_missing=ibis.ifelse(chronic, flag(claims.certificates == 0), ibis.null("int64")),
        claim_insured_elsewhere=ibis.ifelse(
            claims.patient_region.notnull() & claims.institution_region.notnull(),
            flag(claims.patient_region != claims.institution_region),
            ibis.null("int64"),
        ),
    )


def _limits(scope: Scope, claims: ir.Table) -> ir.Table:
    """Items of the claim not meant for the patient's sex or age."""
    items, lines = relation("items"), relation("lines")
    limited = items.filter(items.sex_limit.notnull() | items.min_age.notnull() | items.max_age.notnull())
    limited = limited.select("item_code", "sex_limit", "min_age", "max_age")
    people = scope.asked(claims).select("claim_id", "sex", "age")
    rows = lines.filter(lines.amount > 0).select("claim_id", "item_code").distinct()
    rows = rows.inner_join(limited, "item_code").inner_join(people, "claim_id")
    found = rows.group_by("claim_id").agg(
        sex_items=exact_sum(flag(rows.sex != rows.sex_limit)),
        age_items=exact_sum(
            flag((rows.age < rows.min_age).fill_null(False) | (rows.age >= rows.max_age + 1).fill_null(False))
        ),
    )
    rows = left(people, found, "claim_id")
    return rows.select(
        "claim_id",
        claim_sex_conflict_items=ibis.ifelse(
            rows.sex.notnull(), rows.sex_items.fill_null(0), ibis.null("int64")
        ),
        claim_age_conflict_items=ibis.ifelse(
            rows.age.notnull(), rows.age_items.fill_null(0), ibis.null("int64")
        ),
    )


def _invoices(scope: Scope, claims: ir.Table) -> ir.Table:
    """Invoice numbers used before, and neighbours in one booklet on other days.

    Claims of one visit may share an invoice. A run is another claim of the patient, settled earlier
    on another day, whose number is within `NEAR_NUMBER`.
    """
    rows = claims.filter((claims.is_visit == 1) & claims.invoice_no.notnull())
    rows = rows.mutate(visit=rows.visit_id.fill_null(rows.claim_id))
    known = scope.touched(rows, "invoice_no")

    def earlier(*key: str) -> ir.IntegerValue:
        everyone = count_over(before(["invoice_no", *key], YEAR), known.is_visit)
        return everyone - count_over(before(["invoice_no", *key, "visit"], YEAR), known.is_visit)

    reused = known.select(
        "claim_id", claim_invoice_reused=ibis.greatest(earlier("institution_id"), earlier("patient_id"))
    )
    return left(reused, _runs(scope, rows), "claim_id").mutate(
        claim_invoice_run=lambda t: t.claim_invoice_run.fill_null(0)
    )


def _runs(scope: Scope, rows: ir.Table) -> ir.Table:
    digits = rows.invoice_no.re_extract("([0-9]{1,9})$", 1)
    rows = rows.filter(digits != "")
    digits = rows.invoice_no.re_extract("([0-9]{1,9})$", 1)
    rows = rows.select(
        "claim_id", "patient_id", "settled_second", "day", "month",
        number=digits.cast("int64"),
        stem=rows.invoice_no.substr(0, rows.invoice_no.length() - digits.length()),
    )  # fmt: skip
    steps = scope.small_table("invoice_steps", {"step": [-1, 0, 1]})
    others = rows.cross_join(steps)
    others = others.select(
        "patient_id", "stem",
        block=others.number // NEAR_NUMBER + others.step,
        other_number="number", other_second="settled_second", other_day="day", other="claim_id",
    )  # fmt: skip
    scored = scope.asked(rows)
    scored = scored.mutate(block=scored.number // NEAR_NUMBER)
    pairs = scored.inner_join(others, ["patient_id", "stem", "block"])
    elapsed = pairs.settled_second - pairs.other_second
    near = ((pairs.number - pairs.other_number).abs() <= NEAR_NUMBER) & (pairs.day != pairs.other_day)
    pairs = pairs.filter(near & (elapsed > 0) & (elapsed <= YEAR * DAY))
    return pairs.group_by("claim_id").agg(claim_invoice_run=pairs.other.count())


def _traces(scope: Scope, claims: ir.Table) -> ir.Table:
    """Boxes of the claim whose traceability code was settled before, in all and for someone else."""
    lines = relation("lines")
    boxes = lines.filter(lines.trace_code.notnull() & (lines.trace_code != "") & (lines.quantity > 0))
    boxes = boxes.select("claim_id", "trace_code").distinct()
    sold = claims.filter((claims.is_visit == 1) & (claims.net_total > 0))
    sold = sold.select("claim_id", "patient_id", "settled_second", "month", "is_visit")
    rows = scope.touched(boxes.inner_join(sold, "claim_id"), "trace_code")
    rows = rows.mutate(
        again=flag(count_over(before("trace_code", YEAR), rows.is_visit) > 0),
        everyone=count_over(before("trace_code", YEAR), rows.is_visit),
        own=count_over(before(["trace_code", "patient_id"], YEAR), rows.is_visit),
    )
    return rows.group_by("claim_id").agg(
        claim_trace_reused=exact_sum(rows.again),
        claim_trace_reused_elsewhere=exact_sum(flag(rows.everyone > rows.own)),
    )
