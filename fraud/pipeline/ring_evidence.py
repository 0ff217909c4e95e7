"""Ring evidence as features of claims: how suspected the patient's ties were before the claim's month."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.engines import Engine
from fraud.features.build import FeatureTables
from fraud.pipeline.frames import months_with_claims
from fraud.settings import Experiment, Settings

EVERY = 3
"""Months between two looks at the ties: evidence is one to three months old."""
FEWEST = 3
"""Months of history without which nothing is said."""
FEATURES = ("ring_tie", "ring_patient")


def looks(months: Sequence[int], first: int) -> dict[int, int]:
    """Last month that each month's evidence may see: the latest end of a quarter before it.

    Months with fewer than `FEWEST` months of claims before that end have none.

    >>> looks([24300, 24301, 24303], 24290)
    {24300: 24299, 24301: 24299, 24303: 24302}
    """
    ends = {m: (m // EVERY) * EVERY - 1 for m in months}
    return {m: end for m, end in ends.items() if end - first + 1 >= FEWEST}


def with_ring_evidence(
    engine: Engine, tables: FeatureTables, months: Sequence[int], experiment: Experiment, settings: Settings
) -> FeatureTables:
    """Claim features with `FEATURES` beside them, where the experiment asks for ring evidence.

    A claim of month M sees ties of claims settled before M only, scored by models that no decision of
    this dataset has reached.

    Parameters
    ----------
    tables : FeatureTables
        See `fraud.features.build.build`.
    months : sequence of int
        Months of the claim table.
    """
    if not experiment.ring_evidence:
        return tables
    from fraud import rings

    seen = looks(months, months_with_claims(engine)[0])
    parts = []
    for end in sorted(set(seen.values())):
        ties = rings.suspicion_of_ties(engine, end - settings.rings.history_months + 1, end, settings.rings)
        parts += [ties.assign(month=m) for m, last in seen.items() if last == end]
    claims = pq.read_table(tables.paths["claim"]).to_pandas()
    path = engine.work / "features_claim_with_rings.parquet"
    pq.write_table(pa.Table.from_pandas(_joined(claims, parts, set(seen)), preserve_index=False), path)
    columns = {**tables.columns, "claim": (*tables.columns["claim"], *FEATURES)}
    return replace(tables, paths={**tables.paths, "claim": path}, columns=columns)


def _joined(claims: pd.DataFrame, parts: list[pd.DataFrame], seen: set[int]) -> pd.DataFrame:
    """Claims with the tie's and the patient's suspicion: 0 without any, unknown without history."""
    if not parts:
        return claims.assign(**dict.fromkeys(FEATURES, float("nan")))
    ties = pd.concat(parts, ignore_index=True)
    patients = ties.groupby(["patient_id", "month"], as_index=False)["tie"].max()
    ties = ties.rename(columns={"tie": FEATURES[0]})
    patients = patients.rename(columns={"tie": FEATURES[1]})
    claims = claims.merge(ties, how="left", on=["patient_id", "institution_id", "month"])
    claims = claims.merge(patients, how="left", on=["patient_id", "month"])
    known = claims["month"].isin(seen)
    return claims.assign(**{f: claims[f].fillna(0.0).where(known) for f in FEATURES})
