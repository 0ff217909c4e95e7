"""The same bundle again: identical items and quantities, or diagnoses, for different patients."""

from functools import partial

import ibis.expr.types as ir

from fraud.features.measures import before, count_over, distinct_before, exact_sum, integer, left, ratio
from fraud.features.scope import Scope, within
from fraud.schema import relation

LEAST = 3
"""Distinct items (or diagnoses) a bundle must have: shorter ones repeat by chance."""
DAYS = 30
ELSEWHERE = 90
"""Days in which the same bundle at other institutions counts."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about bundles, each with claim_id and features."""
    claims = scope["claims"]
    rows = claims.filter(claims.is_visit == 1).select(
        "claim_id", "patient_id", "institution_id", "visit_type", "settled_second", "month", "is_visit"
    )
    bundles = _stored(scope, scope.in_parts("bundles", scope.lined_ranges(), partial(_bundles, scope)))
    recent = scope.reach(rows, ELSEWHERE)
    codes = scope.keep("diagnosis_sets", _diagnoses(recent))
    return [
        scope.keep("claim_bundle_clones", _clones(scope, rows.inner_join(bundles.drop("month"), "claim_id"))),
        scope.keep("claim_diagnosis_clones", _diagnosis_clones(scope, recent, codes)),
    ]


def signature(values: ir.StringColumn) -> ir.StringValue:
    """Digest of the sorted texts of a group: equal exactly where the texts are."""
    return values.collect().sort().join(";").hexdigest("md5")


def _stored(scope: Scope, built: ir.Table) -> ir.Table:
    """Bundles of every month looked at: those just built are kept, the others were."""
    if scope.store is None:
        return built
    every = range(scope.first, scope.last + 1)
    scope.store.keep("bundles", built, [m for m in every if m not in scope.bundled])
    return scope.store.read("bundles", every)


def _bundles(scope: Scope, cut: tuple[str, str]) -> ir.Table:
    """Signatures of each claim's items with quantities, and of its items alone; months not stored."""
    items = within(scope["claim_items"], *cut)
    items = items.filter(items.month.notin(sorted(scope.bundled)))
    rows = items.group_by(["claim_id", "month", "item_code"]).agg(milli=exact_sum(items.milli))
    rows = rows.filter(rows.milli > 0)
    result = rows.group_by(["claim_id", "month"]).agg(
        bundle=signature(rows.item_code + "*" + rows.milli.cast("string")),
        item_set=signature(rows.item_code),
        n=rows.count(),
    )
    return result.filter(result.n >= LEAST).drop("n")


def _clones(scope: Scope, rows: ir.Table) -> ir.Table:
    place = ("institution_id", "visit_type")
    recent = scope.reach(rows, DAYS)
    exact = distinct_before(recent, (*place, "bundle"), "patient_id", DAYS, "exact")
    alike = distinct_before(recent, (*place, "item_set"), "patient_id", DAYS, "alike")
    places = distinct_before(scope.reach(rows, ELSEWHERE), ("bundle",), "institution_id", ELSEWHERE, "places")
    again = scope.touched(rows, "patient_id", "bundle")
    own = again.select("claim_id", own=count_over(before(["patient_id", "bundle"], 365), again.is_visit))
    base = recent.select("claim_id", base=count_over(before(place, DAYS), recent.is_visit))
    for part in (exact, alike, places, own):
        base = left(base, part, "claim_id")
    return base.select(
        "claim_id",
        claim_cloned_bundle=base.exact - base.exact_own,
        claim_cloned_items=base.alike - base.alike_own,
        claim_cloned_bundle_share=ratio(base.exact - base.exact_own, base.base),
        claim_bundle_elsewhere=base.places - base.places_own,
        claim_own_bundle_again="own",
    )


def _diagnoses(rows: ir.Table) -> ir.Table:
    """Signature and number of each claim's distinct diagnoses, all positions and kinds."""
    codes = relation("diagnoses")
    code = codes.code.strip().upper()
    codes = codes.select("claim_id", code=code).filter(code != "").distinct()
    codes = codes.semi_join(rows, "claim_id")
    return codes.group_by("claim_id").agg(diagnoses=signature(codes.code), diagnosis_n=integer(codes.count()))


def _diagnosis_clones(scope: Scope, rows: ir.Table, codes: ir.Table) -> ir.Table:
    known = rows.inner_join(codes, "claim_id")
    long = known.filter(known.diagnosis_n >= LEAST)
    clones = distinct_before(
        scope.reach(long, DAYS), ("institution_id", "visit_type", "diagnoses"), "patient_id", DAYS, "clones"
    )
    anywhere = distinct_before(long, ("diagnoses",), "institution_id", ELSEWHERE, "places")
    result = left(left(known.select("claim_id", "diagnosis_n"), clones, "claim_id"), anywhere, "claim_id")
    return result.select(
        "claim_id",
        claim_diagnosis_count="diagnosis_n",
        claim_cloned_diagnoses=result.clones - result.clones_own,
        claim_diagnoses_elsewhere=result.places - result.places_own,
    )
