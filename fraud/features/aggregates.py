"""Aggregates of claims that entities share: name → expression over an entity's claims of the window."""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from fraud.features.measures import exact_sum, fixed_mean, fixed_sum, flag, integer, ratio, share

Aggregate = Callable[[ir.Table], ir.Value]
IDLE = 3
"""Idle days from which a stay counts as a hanging bed."""
STOCK = 30
"""Days of a drug class on hand from which a fill counts as early."""


def suspicious(rows: ir.Table) -> ir.IntegerValue:
    """1 where a claim bears at least one sign that has few innocent explanations."""
    signs = (
        rows.claim_idle_days >= IDLE,
        rows.claim_inside_stay >= 1,
        rows.claim_stay_overlap_days >= 1,
        rows.claim_double_stay >= 1,
        (rows.claim_cloned_bundle >= 2) & (rows.claim_bundle_elsewhere == 0),
        rows.claim_invoice_reused >= 1,
        rows.claim_trace_reused_elsewhere >= 1,
        rows.claim_days_after_death >= 1,
        rows.claim_sex_conflict_items >= 1,
        rows.claim_two_places >= 1,
        rows.claim_stock_days_max >= STOCK,
        rows.claim_companions >= 2,
    )
    return ibis.greatest(*[flag(sign) for sign in signs])


def _at_least(column: str, least: float = 1) -> Aggregate:
    def aggregate(rows: ir.Table) -> ir.Value:
        value = rows[column]
        return share(ibis.ifelse(value.isnull(), ibis.null("int64"), flag(value >= least)))

    return aggregate


def _mean(column: str) -> Aggregate:
    return lambda rows: fixed_mean(rows[column])


def _is(column: str, value: str) -> Aggregate:
    return lambda rows: share(flag(rows[column] == value))


AGGREGATES: dict[str, Aggregate] = {
    "fund_share": lambda r: ratio(exact_sum(r.fund), exact_sum(r.total)),
    "ineligible_share": lambda r: 1.0 - ratio(exact_sum(r.eligible), exact_sum(r.total)),
    "amount_mean": lambda r: ratio(exact_sum(r.total), r.count() * 100),
    "amount_median": lambda r: r.total.quantile(0.5) / 100.0,
    "amount_p90": lambda r: r.total.quantile(0.9) / 100.0,
    "amount_max": lambda r: r.total.max().cast("float64") / 100.0,
    "amount_to_expected": lambda r: ratio(
        exact_sum(ibis.ifelse(r.charge_expected.notnull(), r.total, 0)), _sum_rounded(r.charge_expected)
    ),
    "case_mix": lambda r: ratio(_sum_rounded(r.charge_expected), r.charge_expected.count() * 100),
    "amount_z_mean": _mean("claim_amount_peer_z"),
    "amount_high_share": _at_least("claim_amount_peer_z", 2),
    "fund_share_z_mean": _mean("claim_fund_share_peer_z"),
    "amount_per_day": lambda r: ratio(
        exact_sum(ibis.ifelse(r.is_stay == 1, r.total, 0)), exact_sum(r.stay_days * r.is_stay) * 100
    ),
    "amount_per_day_mean": _mean("claim_amount_per_day"),
    "amount_per_day_p90": lambda r: r.claim_amount_per_day.quantile(0.9).cast("float64"),
    "amount_per_day_max": lambda r: r.claim_amount_per_day.max().cast("float64"),
    "inpatient_share": lambda r: share(r.is_stay),
    "pharmacy_share": _is("visit_type", "pharmacy"),
    "chronic_share": _is("visit_type", "chronic"),
    "emergency_share": _is("visit_type", "emergency"),
    "stay_mean": lambda r: ratio(exact_sum(r.stay_days), r.stay_days.count()),
    "stay_p90": lambda r: r.stay_days.quantile(0.9).cast("float64"),
    "stay_max": lambda r: r.stay_days.max().cast("float64"),
    "stay_to_expected": lambda r: ratio(
        exact_sum(ibis.ifelse(r.days_expected.notnull(), r.stay_days, 0)), _sum_rounded(r.days_expected)
    ),
    "one_day_stay_share": _at_least("claim_one_day_stay"),
    "new_institution_share": _at_least("claim_institution_new"),
    "new_doctor_share": _at_least("claim_doctor_new"),
    "first_claim_share": _at_least("claim_first_in_year"),
    "out_of_region_share": _at_least("claim_out_of_region"),
    "out_of_region_new_share": _at_least("claim_out_of_region_new"),
    "round_amount_share": _at_least("claim_round_amount"),
    "same_amount_share": _at_least("claim_same_amount_same_place_365d"),
    "same_amount_most": lambda r: r.claim_same_amount_same_place_365d.max().cast("float64"),
    "same_amount_value": lambda r: ratio(
        exact_sum(ibis.ifelse(r.claim_same_amount_same_place_365d >= 1, r.total, 0)), ibis.literal(100)
    ),
    "same_amount_claims": lambda r: exact_sum(flag(r.claim_same_amount_same_place_365d >= 1)),
    "refund_share": lambda r: ratio(exact_sum(r.total - r.net_total), exact_sum(r.total)),
    "no_doctor_share": lambda r: share(flag(r.doctor_id.isnull())),
    "age_mean": _mean("age"),
    "male_share": lambda r: share(ibis.ifelse(r.sex.isnull(), ibis.null("int64"), flag(r.sex == "M"))),
    "certificates_mean": _mean("certificates"),
    "deceased_share": lambda r: share(flag(r.death_day.notnull() & (r.death_day <= r.month_end))),
    "night_share": _at_least("claim_night"),
    "weekend_share": _at_least("claim_weekend"),
    "same_minute_share": _at_least("claim_same_minute"),
    "operator_burst_mean": _mean("claim_operator_burst"),
    "burst_ratio_mean": _mean("claim_department_burst_ratio"),
    "readmission_share": _at_least("claim_readmission_15d"),
    "split_stay_share": _at_least("claim_split_stay"),
    "readmission_days_mean": _mean("claim_readmission_days"),
    "double_stays": lambda r: exact_sum(r.claim_double_stay),
    "idle_stay_share": _at_least("claim_idle_days", IDLE),
    "idle_day_share": lambda r: ratio(
        exact_sum(r.claim_idle_days), exact_sum(ibis.ifelse(r.claim_idle_days.notnull(), r.stay_days, 0))
    ),
    "inside_stay_share": _at_least("claim_inside_stay"),
    "left_bed_share": _at_least("claim_visits_during_stay"),
    "stay_overlap_share": _at_least("claim_stay_overlap_days"),
    "long_stay_share": _at_least("claim_stay_peer_z", 2),
    "amount_per_day_z_mean": _mean("claim_amount_per_day_peer_z"),
    "cohort_mean": _mean("claim_cohort"),
    "cohort_share": _at_least("claim_cohort", 2),
    "occupancy_mean": _mean("claim_occupancy"),
    "occupancy_max": lambda r: r.claim_occupancy.max(),
    "shared_contact_share": lambda r: share(
        flag((r.claim_shared_phone.fill_null(0) + r.claim_shared_address.fill_null(0)) >= 1)
    ),
    "companion_share": _at_least("claim_companions"),
    "companion_mean": _mean("claim_companions"),
    "companions_max": lambda r: r.claim_companions.max().cast("float64"),
    "two_places": lambda r: exact_sum(r.claim_two_places),
    "conflict_share": lambda r: share(
        ibis.greatest(
            flag(r.claim_days_after_death >= 1),
            flag(r.claim_sex_diagnosis_conflict >= 1),
            flag(r.claim_sex_conflict_items >= 1),
            flag(r.claim_age_conflict_items >= 1),
            flag(r.claim_two_places >= 1),
        )
    ),
    "certificate_missing_share": _at_least("claim_certificate_missing"),
    "invoice_reused_share": _at_least("claim_invoice_reused"),
    "invoice_run_share": _at_least("claim_invoice_run"),
    "trace_reused": lambda r: exact_sum(r.claim_trace_reused),
    "drug_share": _mean("claim_drug_share"),
    "exam_lab_z_mean": _mean("claim_exam_lab_share_peer_z"),
    "tests_z_mean": _mean("claim_tests_peer_z"),
    "stay_exam_lab_share": _mean("claim_stay_exam_lab_share"),
    "consumable_share": _mean("claim_consumable_share"),
    "treatment_share": _mean("claim_treatment_share"),
    "duplicate_share": _at_least("claim_duplicate_lines"),
    "repeat_test_share": _at_least("claim_tests_again_7d"),
    "price_ratio_mean": _mean("claim_price_ratio"),
    "over_limit_share": _at_least("claim_over_limit_amount", 0.01),
    "quantity_excess_share": lambda r: ratio(
        fixed_sum(r.claim_quantity_excess, 100), exact_sum(r.total) / 100
    ),
    "unusual_amount_share": _mean("claim_unusual_amount_share"),
    "item_surprise_mean": _mean("claim_item_surprise"),
    "basket_typicality": _mean("claim_basket_typicality"),
    "basket_excess_mean": _mean("claim_doctor_basket_excess"),
    "cloned_bundle_share": _at_least("claim_cloned_bundle"),
    "cloned_diagnosis_share": _at_least("claim_cloned_diagnoses"),
    "diagnosis_count_mean": _mean("claim_diagnosis_count"),
    "stock_days_max": lambda r: r.claim_stock_days_max.max(),
    "early_fill_share": _at_least("claim_stock_days_max", STOCK),
    "overlap_days": lambda r: fixed_sum(r.claim_overlap_days, 1000),
    "class_institutions_max": lambda r: r.claim_class_institutions_90d.max().cast("float64"),
    "same_class_elsewhere_share": _at_least("claim_class_elsewhere_days", 7),
    "suspicious_share": lambda r: share(suspicious(r)),
    "suspicious_amount_share": lambda r: ratio(exact_sum(r.total * suspicious(r)), exact_sum(r.total)),
    "settle_hours_spread": lambda r: (r.hour.quantile(0.9) - r.hour.quantile(0.1)).cast("float64"),
}


def _sum_rounded(cents: ir.Value) -> ir.IntegerValue:
    return integer(cents.round().cast("int64").sum())
