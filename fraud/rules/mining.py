"""Candidate rules that the data itself proposes: items that do not belong where they were charged.

For every item and every kind of context (sex, age, diagnosis, specialty, institution kind, visit type)
the values the item belongs to are learned (`fraud.rules.association`). Where nearly all its uses have
one of them, far more than chance would give, the rule "limited to these" is proposed, and the few
charges elsewhere are its exceptions: what an auditor would look at if an expert accepted the rule.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from fraud.errors import UsageError
from fraud.features import facts
from fraud.features.measures import exact_sum, flag, integer, left, ratio
from fraud.features.scope import HISTORY, Engine, Scope
from fraud.rules.association import (
    BOTH,
    FOLDS,
    Counts,
    belonging,
    false_discovery,
    fewer_by_chance,
    observed_expected,
    ratio_upper,
    share_lower,
)
from fraud.rules.proposals import Proposals, describe
from fraud.schema import month_number, relation

CONTEXTS: dict[str, tuple[str, ...]] = {
    "sex": ("patients.sex",),
    "age": ("patients.birth_date", "patients.birth_year"),
    "diagnosis": ("claims.diagnosis_code", "diagnoses.code"),
    "specialty": ("departments.specialty", "doctors.specialty"),
    "institution_kind": ("institutions.kind",),
    "visit_type": ("claims.visit_type",),
}
"""Kinds of context and the columns any one of which they need."""
UNSTRATIFIED = ("institution_kind", "visit_type")
"""Contexts compared with all visits; the others with visits of the same type."""
FEWEST = 30
"""Items with fewer uses are not judged."""
INSIDE = 0.97
"""Least share of uses inside the limit, the largest source of exceptions left out."""
CONCENTRATED = 0.9
"""Least lower bound of that share."""
RARE = 0.25
"""Largest upper bound of exceptions over what chance would give."""
Q_VALUE = 0.05
"""False-discovery rate over all items and contexts tested."""
SPREAD = 40_503
"""Golden-section step that puts patients, in the order of their ids, on two halves: neighbours and every
second id (which may tell the sex) fall on both alike."""
ICD = r"^[A-Z][A-Z0-9]{2}$"
"""Diagnosis groups that a knowledge row can name; other texts are unknown."""
JUDGED = (
    "item", "context", "values", "uses", "exception_uses", "top_out", "expected", "concentration",
    "ratio_bound", "p_value",
)  # fmt: skip
"""What `describe` reads of a candidate."""
USE = ("item", "patient_id", "source", "stratum", "fold")


def propose(
    engine: Engine, first_month: str, last_month: str, most: int = 200, dataset: str = "this dataset"
) -> Proposals:
    """Propose limits that the charges of some months keep to almost without exception.

    Values are chosen on one half of the patients and tested on the other, both ways; the larger of
    the two probabilities counts. Diagnoses are all those of the patient in the charge's month and
    the `HISTORY` months before, so that a refill of a known disease is no exception.

    Parameters
    ----------
    engine : Engine
        With a dataset opened (see `fraud.engines.open_engine`).
    first_month, last_month : str
        ``YYYY-MM``, both included.
    most : int
        Candidates returned.
    dataset : str
        Name of the dataset, for the source of the rows.

    Returns
    -------
    Proposals
        ``frame`` has: rank, id, kind (``limit``), items (selector), item_name, context, the limit as
        columns of knowledge rows (sex, min_age, max_age, diagnoses, specialties, visit_types,
        institution_kinds; empty where not limited), charges, exceptions (charges), exception_amount
        (cents), uses, exception_uses, expected_exceptions (uses), concentration (lower bound of the
        share of uses inside), ratio_bound (upper bound of exceptions over expected), p_value,
        q_value, sources (of exceptions), largest_source_share (of the exceptions), claim_ids (list),
        value (yuan × strength), note_zh, note_en.

    Raises
    ------
    UsageError
        There are no charge lines, or the months are not in order.
    """
    months = _months(engine, first_month, last_month)
    scope = Scope(engine, months)
    facts.build(scope)
    _charges(scope)
    skipped, found = {}, []
    for context, needs in CONTEXTS.items():
        if not any(scope.has(column) for column in needs):
            skipped[context] = f"the dataset has no {' or '.join(needs)}"
            continue
        rows = _judge(scope, context)
        if rows is None:
            skipped[context] = f"no charge of these months has a usable {' or '.join(needs)}"
        else:
            found.append(rows)
    judged = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(JUDGED))
    judged["q_value"] = false_discovery(judged["p_value"].to_numpy(float))
    chosen = judged[
        (judged["q_value"] <= Q_VALUE)
        & (judged["concentration"] >= CONCENTRATED)
        & (judged["ratio_bound"] <= RARE)
        & (judged["exception_uses"] > 0)
    ]
    chosen = chosen.sort_values(["context", "item"], kind="stable").reset_index(drop=True)
    exceptions = _exceptions(scope, chosen)
    frame, exceptions = describe(chosen, exceptions, _names(scope), most)
    return Proposals(frame, exceptions, len(judged), skipped, dataset)


def _months(engine: Engine, first_month: str, last_month: str) -> tuple[int, ...]:
    problems = []
    if not engine.present.get("lines"):
        problems.append(
            "mining rules needs charge lines: the dataset has no lines table "
            "(lines.parquet or a lines/ folder)."
        )
    first, last = month_number(first_month), month_number(last_month)
    if first > last:
        problems.append(f"the first month {first_month} is after the last month {last_month}.")
    if problems:
        raise UsageError(problems)
    return tuple(range(first, last + 1))


def _charges(scope: Scope) -> None:
    """Keep ``fx_mined_visits`` (claims with their contexts) and ``fx_mined_charges`` (claim × item)."""
    claims = scope["claims"]
    visits = claims.filter((claims.is_visit == 1) & (claims.net_total > 0))
    visits = visits.filter(visits.month.between(min(scope.months), max(scope.months)))
    people = visits.select("patient_id").distinct()
    order = ibis.window(order_by="patient_id")
    step = integer(ibis.row_number().over(order)) * SPREAD % 65_536
    folds = people.mutate(fold=flag(step >= 32_768))
    doctor = ibis.literal("doctor ") + visits.doctor_id
    visits = left(visits, folds, "patient_id").select(
        "claim_id", "patient_id", "month", "fold",
        source=ibis.coalesce(doctor, ibis.literal("institution ") + visits.institution_id),
        visit_type=visits.visit_type,
        sex=visits.sex.nullif(""),
        age=visits.age.floor().cast("int64").clip(0, 120).cast("string").lpad(3, "0"),
        specialty=visits.specialty.nullif(""),
        institution_kind=visits.kind.nullif(""),
    )  # fmt: skip
    visits = scope.keep("mined_visits", visits)
    lines = relation("lines")
    charges = lines.group_by(["claim_id", "item_code"]).agg(cents=exact_sum(lines.amount))
    code = charges.item_code
    charges = charges.filter((charges.cents > 0) & (code.strip() != "") & ~code.contains("|"))
    charges = charges.select("claim_id", "cents", item=charges.item_code)
    scope.keep("mined_charges", charges.inner_join(visits, "claim_id"))


def _diagnoses(scope: Scope) -> None:
    """Keep ``fx_mined_own`` (claim × group) and ``fx_mined_carried`` (patient × month × group).

    An item is judged by the diagnoses of its own claims; a charge is excused by any diagnosis the
    patient is known with in that month or the `HISTORY` months before.
    """
    claims = scope["claims"]
    claims = claims.filter(claims.is_visit == 1).select("claim_id", "patient_id", "month", "diagnosis")
    more = relation("diagnoses")
    more = more.select("claim_id", value=facts.diagnosis_group(more.code))
    first = claims.select("claim_id", "patient_id", "month", value="diagnosis")
    rest = more.inner_join(claims.drop("diagnosis"), "claim_id")
    own = first.union(rest.select("claim_id", "patient_id", "month", "value"))
    own = scope.keep("mined_own", own.filter(own.value.re_search(ICD)).distinct())
    seen = own.select("patient_id", "value", seen_month="month").distinct()
    seen = scope.keep("mined_seen", seen)
    pairs = scope["mined_visits"].select("patient_id", "month").distinct().inner_join(seen, "patient_id")
    near = pairs.filter(pairs.seen_month.between(pairs.month - HISTORY, pairs.month))
    scope.keep("mined_carried", near.select("patient_id", "month", "value").distinct())


def _stratified(rows: ir.Table, context: str) -> ir.Table:
    constant = context in UNSTRATIFIED
    return rows.mutate(stratum=ibis.literal("any") if constant else rows.visit_type)


def _with_value(scope: Scope, rows: ir.Table, context: str, carried: bool = False) -> ir.Table:
    """Rows of visits or charges with `value` and `stratum`; those without a known value are left out.

    Diagnoses are those of the claim or, with `carried`, also the patient's earlier ones; a claim
    without any diagnosis of its own is unknown either way.
    """
    rows = _stratified(rows, context)
    if context == "diagnosis":
        own = scope["mined_own"].select("claim_id", "value")
        if not carried:
            return rows.inner_join(own, "claim_id")
        known = rows.semi_join(own, "claim_id")
        return known.inner_join(scope["mined_carried"], ["patient_id", "month"])
    rows = rows.mutate(value=rows[context])
    return rows.filter(rows.value.notnull())


def _kept_uses(scope: Scope, context: str) -> None:
    """Keep uses and base of a context, and for diagnoses the same with what the patient carries."""
    if context == "diagnosis":
        _diagnoses(scope)
    for name, carried in (("own", False), ("all", True))[: 2 if context == "diagnosis" else 1]:
        charges = _with_value(scope, scope["mined_charges"], context, carried)
        scope.keep(f"mined_{context}_uses_{name}", charges.select(*USE, "value").distinct())
        visits = _with_value(scope, scope["mined_visits"], context, carried)
        scope.keep(f"mined_{context}_base_{name}", visits.select(*USE[1:], "value").distinct())
    if context != "diagnosis":
        for part in ("uses", "base"):
            scope.kept[f"mined_{context}_{part}_all"] = scope[f"mined_{context}_{part}_own"]


def _count(scope: Scope, context: str) -> Counts:
    _kept_uses(scope, context)
    uses, base = scope[f"mined_{context}_uses_own"], scope[f"mined_{context}_base_own"]

    def rows(table: ir.Table, *keys: str) -> pd.DataFrame:
        return _pandas(scope, table.group_by(list(keys)).agg(n=table.count().cast("int64")), keys)

    largest = _largest(scope, uses, base)
    return Counts(
        rows(uses, "item", "stratum", "value", "fold"),
        rows(uses.select(*USE).distinct(), "item", "stratum", "fold"),
        rows(base, "stratum", "value", "fold"),
        rows(base.select(*USE[1:]).distinct(), "stratum", "fold"),
        _pandas(scope, largest, ("item", "value")),
    )


def _largest(scope: Scope, uses: ir.Table, base: ir.Table) -> ir.Table:
    """Source with most uses of each item with each value, and the visits with the value elsewhere."""
    halves = {"0": uses.fold == 0, "1": uses.fold == 1, "2": uses.fold >= 0}
    by_source = uses.group_by(["item", "value", "source"]).agg(
        **{f"n{k}": exact_sum(flag(v)) for k, v in halves.items()}
    )
    order = ibis.window(group_by=["item", "value"], order_by=[by_source.n2.desc(), by_source.source])
    first = by_source.mutate(place=ibis.row_number().over(order))
    first = first.filter(first.place == 0).drop("place")
    halves = {"0": base.fold == 0, "1": base.fold == 1, "2": base.fold >= 0}
    counts = {f"b{k}": exact_sum(flag(v)) for k, v in halves.items()}
    seen = base.group_by(["value", "source"]).agg(**counts)
    whole = seen.group_by("value").agg(**{f"w{k}": exact_sum(seen[f"b{k}"]) for k in halves})
    first = left(left(first, seen, ["value", "source"]), whole, "value")
    away = {f"away{k}": 1.0 - ratio(first[f"b{k}"].fill_null(0), first[f"w{k}"]) for k in halves}
    return first.select("item", "value", "n0", "n1", "n2", **away)


def _pandas(scope: Scope, table: ir.Table, order: Sequence[str]) -> pd.DataFrame:
    """Rows of an expression in a fixed order."""
    frame = scope.engine.to_arrow(table, "mining").to_pandas()
    return frame.sort_values(list(order), kind="stable").reset_index(drop=True)


def _judge(scope: Scope, context: str) -> pd.DataFrame | None:
    """Every item with enough uses against one context: its limit, and how surely it holds.

    None where no charge has a known value of the context.
    """
    counts = _count(scope, context)
    if not len(counts.totals):
        return None
    enough = counts.totals.groupby("item")["n"].sum()
    enough = enough[enough >= FEWEST].index
    parts = []
    for variant in (*FOLDS, BOTH):
        values = belonging(observed_expected(counts, variant), context)
        parts.append(values[values["item"].isin(enough)].assign(variant=variant))
    limits = pd.concat(parts, ignore_index=True)
    table = limits.pivot_table(index=["item", "value"], columns="variant", aggfunc="size", fill_value=0)
    table = table.reindex(columns=[*FOLDS, BOTH], fill_value=0).reset_index()
    allowed = scope.small_table(
        f"mined_{context}_limits",
        {"item": table["item"].astype(str), "value": table["value"].astype(str)}
        | {f"in{v}": table[v].astype("int64") for v in (*FOLDS, BOTH)},
    )
    outcome = _outcome(scope, context, allowed)
    return _tested(scope, context, outcome, counts, limits[limits["variant"] == BOTH])


def _outcome(scope: Scope, context: str, allowed: ir.Table) -> ir.Table:
    """Keep every use of the items judged with whether it lies inside each variant of the limit."""
    uses = scope[f"mined_{context}_uses_all"]
    uses = uses.semi_join(allowed.filter(allowed.in2 == 1).select("item").distinct(), "item")
    known = left(uses, allowed, ["item", "value"])
    flags = {f"in{v}": known[f"in{v}"].max().fill_null(0).cast("int64") for v in (*FOLDS, BOTH)}
    return scope.keep(f"mined_{context}_outcome", known.group_by(list(USE)).agg(**flags))


def _tested(
    scope: Scope, context: str, outcome: ir.Table, counts: Counts, limits: pd.DataFrame
) -> pd.DataFrame:
    """Concentration, its bound and its probability per item."""
    cells = outcome.group_by(["item", "source", "stratum", "fold"]).agg(
        n=outcome.count().cast("int64"),
        **{f"out{v}": exact_sum(1 - outcome[f"in{v}"]) for v in (*FOLDS, BOTH)},
    )
    cells = scope.keep(f"mined_{context}_cells", cells)
    by_source = cells.group_by(["item", "source"]).agg(n=exact_sum(cells.n), out=exact_sum(cells.out2))
    order = ibis.window(group_by="item", order_by=[by_source.out.desc(), by_source.source])
    top = by_source.mutate(place=ibis.row_number().over(order))
    top = top.filter(top.place == 0).select("item", "source", top_n="n", top_out="out")
    rest = cells.anti_join(top, ["item", "source"])
    by_item = _pandas(scope, top, ("item",))
    whole = _pandas(scope, _sums(cells, ["item"]), ("item",))
    strata = _pandas(scope, _sums(rest, ["item", "stratum", "fold"]), ("item", "stratum", "fold"))
    judged = by_item.merge(whole, on="item")
    elsewhere = judged["n"] - judged["top_n"]
    inside = elsewhere - (judged["out2"] - judged["top_out"])
    held = (elsewhere > 0) & (inside >= INSIDE * elsewhere)
    judged["concentration"] = np.where(held, share_lower(inside, elsewhere.clip(lower=1)), 0.0)
    candidates = judged[judged["concentration"] >= CONCENTRATED]
    shares = _shares(scope, context, counts, candidates["item"])
    tests = _probabilities(strata[strata["item"].isin(candidates["item"])], shares)
    judged = judged.merge(tests, on="item", how="left")
    judged["p_value"] = judged["p_value"].fillna(1.0)
    others = judged["out2"] - judged["top_out"]
    judged["ratio_bound"] = ratio_upper(others, judged["expected_others"].fillna(0.0))
    scale = judged["n"] / (judged["n"] - judged["top_n"]).clip(lower=1)
    judged["expected"] = judged["expected_others"] * scale
    values = limits.groupby("item")["value"].agg(lambda v: tuple(sorted(v)))
    judged["values"] = judged["item"].map(values)
    judged["context"] = context
    return judged.rename(columns={"n": "uses", "out2": "exception_uses"})[list(JUDGED)]


def _sums(cells: ir.Table, keys: list[str]) -> ir.Table:
    names = ("n", *(f"out{v}" for v in (*FOLDS, BOTH)))
    return cells.group_by(keys).agg(**{c: exact_sum(cells[c]) for c in names})


def _shares(scope: Scope, context: str, counts: Counts, items: pd.Series) -> pd.DataFrame:
    """Share of all visits' pairs of patient and source outside each item's limit, by stratum and half."""
    base = scope[f"mined_{context}_base_all"]
    allowed = scope[f"mined_{context}_limits"]
    wanted = scope.small_table(f"mined_{context}_wanted", {"item": items.astype(str)})
    held = base.inner_join(allowed.semi_join(wanted, "item"), "value")
    flags = {f"in{v}": held[f"in{v}"].max() for v in (*FOLDS, BOTH)}
    inside = held.group_by(list(USE)).agg(**flags)
    inside = inside.group_by(["item", "stratum", "fold"]).agg(
        **{f"in{v}": exact_sum(inside[f"in{v}"]) for v in (*FOLDS, BOTH)}
    )
    table = _pandas(scope, inside, ("item", "stratum", "fold"))
    whole = counts.base_totals.rename(columns={"n": "whole"})
    return table.merge(whole, on=["stratum", "fold"])


def _probabilities(strata: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """Expected exceptions and p-value per item: each half tested with the limit of the other."""
    rows = strata.merge(shares, on=["item", "stratum", "fold"], how="left")
    rows["whole"] = rows["whole"].fillna(1.0)
    for v in (*FOLDS, BOTH):
        share = 1.0 - rows[f"in{v}"].fillna(0.0) / rows["whole"]
        rows[f"expected{v}"] = rows["n"] * share
    rows = rows.sort_values(["item", "stratum", "fold"], kind="stable")
    result = rows.groupby("item", as_index=False)["expected2"].sum()
    result = result.rename(columns={"expected2": "expected_others"})
    p_value = np.zeros(len(result))
    for fold in FOLDS:
        other = 1 - fold
        half = rows[rows["fold"] == fold].groupby("item")[["n", f"out{other}", f"expected{other}"]].sum()
        half = half.reindex(result["item"]).fillna(0.0)
        total = half["n"].to_numpy(float)
        share = half[f"expected{other}"].to_numpy(float) / np.maximum(total, 1.0)
        p_value = np.maximum(p_value, fewer_by_chance(half[f"out{other}"].to_numpy(float), total, share))
    result["p_value"] = p_value
    return result


def _exceptions(scope: Scope, chosen: pd.DataFrame) -> pd.DataFrame:
    """Charges of the chosen items outside their limits: context, item, claim_id, source, cents, charges."""
    parts = []
    for context, rows in chosen.groupby("context", sort=True):
        outcome, charges = scope[f"mined_{context}_outcome"], scope["mined_charges"]
        wanted = scope.small_table(f"mined_{context}_chosen", {"item": rows["item"].astype(str)})
        charges = _stratified(charges.semi_join(wanted, "item"), str(context))
        marked = charges.inner_join(outcome.select(*USE, "in2"), list(USE))
        counted = marked.group_by("item").agg(charges=marked.count().cast("int64"))
        outside = marked.filter(marked.in2 == 0).select("item", "claim_id", "patient_id", "source", "cents")
        found = _pandas(scope, left(outside, counted, "item"), ("item", "claim_id"))
        parts.append(found.assign(context=context))
    columns = ["item", "claim_id", "patient_id", "source", "cents", "charges", "context"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _names(scope: Scope) -> pd.Series:
    """Name of each charged item: the master's, else the lines'."""
    lines, items = relation("lines"), relation("items")
    said = lines.group_by("item_code").agg(said=lines.item_name.max())
    known = left(said, items.group_by("item_code").agg(known=items.name.max()), "item_code")
    named = known.select("item_code", name=ibis.coalesce(known.known, known.said, known.item_code))
    return _pandas(scope, named, ("item_code",)).set_index("item_code")["name"]
