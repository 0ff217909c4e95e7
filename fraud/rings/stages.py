"""The stages that lead from a dataset to ranked candidates; `find` and the training script share them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from fraud.engines import Engine
from fraud.rings import alike, candidates, evidence, meetings, profiles, ties, visits
from fraud.rings.meetings import VIEWS
from fraud.rings.model import RingModels
from fraud.rings.parts import files_of
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
    dataset = pads.dataset(files_of(scope, "ring_ties"))
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


def not_meeting(
    scope: visits.Period, suspects: Suspects, score: np.ndarray
) -> tuple[list[tuple[int, ...]], dict[str, alike.Buyers]]:
    """Candidates that need not meet, among the more suspected people; and what these buy."""
    strong = np.unique(suspects.ties["person"].to_numpy()[score >= profiles.LEAST])
    chosen = scope.small_table("ring_strong", {"person": pa.array(strong, pa.int64())})
    read = lambda rows, name: scope.engine.to_arrow(rows, name).to_pandas()  # noqa: E731
    bought = read(profiles.purchases(scope, chosen), "ring_purchases").sort_values(["person", "item"])
    suppliers = read(profiles.fences(scope).semi_join(chosen, "person"), "ring_fences")
    usual = read(profiles.holders(scope), "ring_holders")
    ties = suspects.ties
    home = partial(alike.homes, ties["person"].to_numpy(), ties["place"].to_numpy())
    buyers = alike.buyers(bought, usual, people(scope), home)
    return list(alike.groups(buyers, suppliers)), buyers


def people(scope: visits.Period) -> int:
    """People with claims."""
    count = scope["ring_persons"].count().as_table()
    return int(scope.engine.to_arrow(count, "ring_people_count").column(0)[0].as_py())


def ranked(
    suspects: Suspects,
    score: np.ndarray,
    others: Iterable[tuple[int, ...]],
    buyers: Mapping[str, alike.Buyers],
) -> Ranked:
    """Candidates with their measures."""
    groups = candidates.find(suspects, score, others)
    rows = evidence.memberships(groups, suspects, score)
    measures = evidence.measure(rows, suspects, score)
    measures = pd.concat([measures, alike.likeness(groups, buyers), evidence.stability(groups)], axis=1)
    return Ranked(suspects, score, groups, rows, measures)


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


def grow(found: Ranked, chosen: list[int], truth: np.ndarray) -> pd.DataFrame:
    """Rows of the chosen candidates, with the likely people that no choice holds.

    Of overlapping candidates only the best is chosen, and a likely member of another one would be
    lost. Whoever is left over with a tie of at least `SURE` joins the choice that the likely
    candidates around him share most people with.

    Parameters
    ----------
    found : Ranked
    chosen : list of int
        Candidates, see `choose`.
    truth : ndarray of float, shape (candidates,)
        Probability that most of a candidate's members belong to rings.

    Returns
    -------
    DataFrame
        Like ``found.rows``, of the chosen candidates only, and of who joined.
    """
    rows = found.rows[found.rows["candidate"].isin(chosen)]
    person = found.suspects.ties["person"].to_numpy()
    held = pd.Series(rows["candidate"].to_numpy(), index=rows["person"].to_numpy())
    held = held[~held.index.duplicated()]
    left = set(person[found.score >= SURE].tolist()) - set(held.index.tolist())
    if not left or not chosen:
        return rows
    likely = found.rows[found.rows["candidate"].isin(np.flatnonzero(truth >= LIKELY))]
    members = likely[["candidate", "person"]].drop_duplicates()
    around = members[members["person"].isin(left)].rename(columns={"person": "joins"})
    beside = members.assign(ring=members["person"].map(held)).dropna(subset=["ring"])
    votes = around.merge(beside, on="candidate").drop_duplicates(["joins", "person"])
    votes = votes.groupby(["joins", "ring"], as_index=False).size()
    votes = votes[votes["size"] >= FEW].sort_values(["joins", "size", "ring"], ascending=[True, False, True])
    joined = votes.drop_duplicates("joins")
    ring = dict(zip(joined["joins"], joined["ring"].astype(np.int64), strict=True))
    tie = np.flatnonzero(np.isin(person, list(ring)))
    place = found.suspects.ties["place"].to_numpy()[tie]
    more = pd.DataFrame({"person": person[tie], "tie": tie, "place": place, "score": found.score[tie]})
    more = more.assign(candidate=more["person"].map(ring), pull=more["score"])
    more = more.sort_values(["candidate", "person", "score"], ascending=[True, True, False], kind="stable")
    more["main"] = ~more.duplicated(["candidate", "person"])
    return pd.concat([rows, more[rows.columns]], ignore_index=True)


OVERLAP = 0.3
"""Share of its people that a chosen candidate may share with better ones."""
LEAST_TRUTH, LEAST_QUALITY = 0.05, 0.1
"""Least expectations of a candidate to be chosen at all."""
SURE, LIKELY, FEW = 0.5, 0.5, 2
"""Least tie of who joins, least truth of the candidates that speak for him, fewest shared people."""
