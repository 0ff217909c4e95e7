"""The stages that lead from a dataset to ranked candidates; `find` and the training script share them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from fraud.engines import Engine, part_files
from fraud.rings import candidates, evidence, meetings, profiles, ties, visits
from fraud.rings.meetings import VIEWS
from fraud.rings.model import RingModels
from fraud.rings.suspects import LEAST, Suspects, among, company

BATCH = 200_000
"""Ties looked at at a time."""


@dataclass(frozen=True)
class Ranked:
    """Candidates, their measures and scores.

    Attributes
    ----------
    suspects : Suspects
        Suspected ties (with their company) and the meetings among them.
    score : ndarray of float, shape (ties,)
        Probability of each suspected tie.
    groups : list of ndarray of int
        Persons of each candidate.
    rows : DataFrame
        See `fraud.rings.evidence.memberships`.
    measures : DataFrame
        One row per candidate.
    """

    suspects: Suspects
    score: np.ndarray
    groups: list[np.ndarray]
    rows: pd.DataFrame
    measures: pd.DataFrame


def observe(engine: Engine, first: int, last: int, progress: Any = None) -> visits.Period:
    """Run everything that the engine does: visits, meetings and ties of months `first` to `last`."""
    scope = visits.Period(engine, tuple(range(first, last + 1)), progress=progress, stages=45)
    visits.build(scope)
    for view in VIEWS:
        meetings.pairs(scope, view)
    ties.build(scope)
    return scope


def suspected(scope: visits.Period, models: RingModels) -> Suspects:
    """Ties that the first look gives a chance, with their meetings and company."""
    parts = []
    dataset = pads.dataset(part_files(scope.engine.work / "fx_ring_ties.parquet"))
    for batch in dataset.to_batches(batch_size=BATCH):
        frame = batch.to_pandas()
        frame["first"] = models.predict("tie", frame)
        parts.append(frame[frame["first"] >= LEAST])
    found = pd.concat(parts, ignore_index=True).sort_values(["person", "place"], ignore_index=True)
    chosen = pa.table({c: pa.array(found[c].to_numpy(np.int64)) for c in ("person", "place")})
    pairs = {view.name: meetings.pairs_among(scope, view, chosen) for view in VIEWS}
    return with_company(Suspects(found, among(found, pairs)))


def with_company(suspects: Suspects) -> Suspects:
    """Suspected ties with the measures of their company beside them."""
    return Suspects(pd.concat([suspects.ties, company(suspects)], axis=1), suspects.edges)


def not_meeting(scope: visits.Period, suspects: Suspects, score: np.ndarray) -> list[tuple[int, ...]]:
    """Candidates that need not meet, among the more suspected people."""
    strong = np.unique(suspects.ties["person"].to_numpy()[score >= profiles.LEAST])
    chosen = scope.small_table("ring_strong", {"person": pa.array(strong, pa.int64())})
    read = lambda rows, name: scope.engine.to_arrow(rows, name).to_pandas()  # noqa: E731
    bought = read(profiles.purchases(scope, chosen), "ring_purchases").sort_values(["person", "item"])
    suppliers = read(profiles.fences(scope).semi_join(chosen, "person"), "ring_fences")
    usual = read(profiles.holders(scope), "ring_holders")
    return list(profiles.groups(bought, usual, suppliers, people(scope)))


def people(scope: visits.Period) -> int:
    """People with claims."""
    count = scope["ring_persons"].count().as_table()
    return int(scope.engine.to_arrow(count, "ring_people_count").column(0)[0].as_py())


def ranked(suspects: Suspects, score: np.ndarray, others: Iterable[tuple[int, ...]]) -> Ranked:
    """Candidates with their measures."""
    groups = candidates.find(suspects, score, others)
    rows = evidence.memberships(groups, suspects, score)
    return Ranked(suspects, score, groups, rows, evidence.measure(rows, suspects, score))


def choose(groups: list[np.ndarray], quality: np.ndarray, truth: np.ndarray) -> list[int]:
    """Best candidates none of which shares more than `OVERLAP` of its people with better ones."""
    taken: set[int] = set()
    chosen = []
    for number in np.argsort(-quality, kind="stable"):
        people = groups[number].tolist()
        if truth[number] < LEAST_TRUTH or quality[number] < LEAST_QUALITY:
            continue
        if sum(p in taken for p in people) > OVERLAP * len(people):
            continue
        taken.update(people)
        chosen.append(int(number))
    return chosen


OVERLAP = 0.3
LEAST_TRUTH = 0.05
LEAST_QUALITY = 0.1
