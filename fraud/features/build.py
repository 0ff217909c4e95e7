"""Build feature tables: claims first, then the entities that sum over them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir

from fraud.features import claim, department, doctor, entity, facts, institution, patient
from fraud.features.catalog import ENTITIES, claim_context, features, of_entity
from fraud.features.measures import left
from fraud.features.scope import Engine, Progress, Scope
from fraud.features.store import FeatureStore

BUILDERS: dict[str, Callable[[Scope], ir.Table]] = {
    "patient": patient.build,
    "doctor": doctor.build,
    "department": department.build,
    "institution": institution.build,
}
STAGES = 135
"""About as many tables as a build of everything keeps; progress only."""


@dataclass(frozen=True)
class FeatureTables:
    """What `build` made.

    Attributes
    ----------
    paths : dict of str to Path
        Entity → Parquet, also registered in the engine as ``features_<entity>``. That of many claims is a
        folder of files, see `fraud.engines.part_files`.
    columns : dict of str to tuple of str
        Entity → features in its table. The claim table's end with some of its patient's, doctor's,
        department's and institution's (`fraud.features.catalog.claim_context`), where built too.
    skipped : dict of str to str
        Feature → why it is not there.
    """

    paths: dict[str, Path]
    columns: dict[str, tuple[str, ...]]
    skipped: dict[str, str]


def build(
    engine: Engine,
    months: Sequence[int],
    entities: Sequence[str] = ENTITIES,
    window_months: int = 1,
    progress: Progress | None = None,
    store: Path | None = None,
) -> FeatureTables:
    """Build the features of claims and entities for the months asked for.

    Parameters
    ----------
    engine : Engine
        With a dataset opened.
    months : sequence of int
        Months to build, as `fraud.schema.month_number` counts them.
    entities : sequence of str
        Which tables to build.
    window_months : int
        Entities active in so many trailing months get a row.
    progress : callable or None
        Called with (stage, done, total).
    store : Path or None
        Folder of this dataset where claim features of months are kept and taken from; see
        `fraud.features.store`. The result is the same with and without it.

    Returns
    -------
    FeatureTables
        One row per claim of the months, and per entity and month. Features are float64, NULL where
        unknown, in catalog order.
    """
    scope = Scope(engine, tuple(sorted(set(months))), window_months, progress, STAGES)
    facts.build(scope)
    if store is not None:
        scope.use(FeatureStore(store, scope))
    claim.build(scope)
    entity.details(scope)
    names, skipped = _available(scope)
    paths: dict[str, Path] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for kind in (k for k in ENTITIES[1:] if k in entities):
        table = BUILDERS[kind](scope)
        columns[kind] = names[kind]
        paths[kind] = _write(scope, f"features_{kind}", _select(table, _ENTITY_BASE[kind], names[kind]))
    if "claim" in entities:
        joined = [k for k in ENTITIES[1:] if k in paths]
        context = {k: tuple(n for n in claim_context(k) if n in names[k]) for k in joined}
        columns["claim"] = names["claim"] + tuple(n for k in joined for n in context[k])
        parts = [_claims(scope, names["claim"], context, m) for m in scope.month_parts(scope.months)]
        paths["claim"] = _write(scope, "features_claim", *parts)
    if progress is not None:
        progress("features", STAGES, STAGES)
    return FeatureTables(paths, columns, skipped)


_CLAIM_BASE = (
    "claim_id", "month", "patient_id", "doctor_id", "department_id", "institution_id", "visit_type",
    "settled_at", "amount_at_risk", "peer_group", "peer_n",
)  # fmt: skip
_ENTITY_BASE = {
    k: (f"{k}_id", "month", "amount_at_risk", "claims", "peer_group", "peer_n") for k in ENTITIES[1:]
}


def _available(scope: Scope) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    names: dict[str, tuple[str, ...]] = {}
    skipped: dict[str, str] = {}
    for kind in ENTITIES:
        for name in of_entity(kind):
            absent = scope.missing(features()[name].needs)
            if absent:
                skipped[name] = f"the dataset has no {', '.join(absent)}"
        names[kind] = tuple(n for n in of_entity(kind) if n not in skipped)
    return names, skipped


def _select(table: ir.Table, base: Sequence[str], names: Sequence[str]) -> ir.Table:
    return table.select(*base, **{n: table[n].cast("float64") for n in names})


def _claims(
    scope: Scope, names: Sequence[str], context: Mapping[str, Sequence[str]], months: Sequence[int]
) -> ir.Table:
    """Claims of some months with features of their patient, doctor, department and institution."""
    table = scope["claim"]
    table = _select(table.filter(table.month.isin(months)), _CLAIM_BASE, names)
    for kind, joined in context.items():
        whose = scope[kind]
        own = _select(whose.filter(whose.month.isin(months)), (f"{kind}_id", "month"), joined)
        table = left(table, own, [f"{kind}_id", "month"])
    return table


def _write(scope: Scope, name: str, *parts: ir.Table) -> Path:
    if len(parts) == 1:
        return scope.engine.materialize(name, parts[0])
    return scope.engine.materialize_parts(name, parts)
