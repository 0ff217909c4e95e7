"""Rings as tables: members with roles, evidence claims, meetings, and what an auditor reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.rings import profiles, words
from fraud.rings.evidence import meetings_inside
from fraud.rings.meetings import COSTLY, DEAR
from fraud.rings.model import RingModels
from fraud.rings.stages import Ranked
from fraud.rings.visits import Period

DOMINANT = 0.5
"""Share of the evidence claims from which on a doctor or operator takes part."""
PRESENT = 0.35
"""Share from which on a place does."""
BOXES = 3
"""Fewest boxes that came up again at a place for it to be named."""


@dataclass(frozen=True)
class Chosen:
    """Rings chosen among the candidates, best first.

    Attributes
    ----------
    numbers : list of int
        Candidates.
    rows : DataFrame
        Their members and ties, grown; see `fraud.rings.stages.grow`.
    score, p_value, q_value : ndarray of float, shape (rings,)
    """

    numbers: Sequence[int]
    rows: pd.DataFrame
    score: np.ndarray
    p_value: np.ndarray
    q_value: np.ndarray


@dataclass(frozen=True)
class Described:
    """Rings by number (0 is best); ids are given later. See `fraud.rings.find.Rings`."""

    rings: pd.DataFrame
    members: pd.DataFrame
    claims: pd.DataFrame
    edges: pd.DataFrame


def describe(
    scope: Period, ranked: Ranked, chosen: Chosen, models: RingModels, membership: float
) -> Described:
    """Tables of the chosen rings, with ``ring`` (number) in place of ids."""
    position = {n: i for i, n in enumerate(chosen.numbers)}
    rows = chosen.rows[chosen.rows["candidate"].isin(position)]
    rows = rows.assign(ring=rows["candidate"].map(position))
    strength = rows.groupby(["ring", "person"])["score"].transform("max")
    rows = rows[strength >= membership]
    claims = _claims(scope, rows)
    edges = _edges(ranked, rows, claims)
    people = rows.groupby(["ring", "person"], as_index=False)["score"].max()
    patients = claims.drop_duplicates("person").set_index("person")["patient_id"]
    people = people[people["person"].isin(patients.index)]
    members = pd.DataFrame(
        {
            "ring": people["ring"].to_numpy(),
            "member_kind": "patient",
            "member_id": people["person"].map(patients).to_numpy(),
            "role": _carriers(people, claims),
            "membership_score": people["score"].round(4).to_numpy(),
        }
    )
    names = dict(patients.items())
    edges = edges.assign(a=edges["a"].map(names), b=edges["b"].map(names)).dropna(subset=["a", "b"])
    rings, others = [], []
    fences = _fences(scope, people)
    for ring, own in claims.groupby("ring", sort=True):
        number = chosen.numbers[ring]
        actors = _actors(own, fences.get(ring))
        measures = ranked.measures.iloc[number]
        met = edges[edges["ring"] == ring]
        rings.append(_ring(int(ring), chosen, own, met, actors, measures, models))
        others += [{"ring": ring, **{k: v for k, v in a.items() if k != "boxes"}} for a in actors]
    found = pd.concat([members, pd.DataFrame(others)], ignore_index=True) if others else members
    return Described(pd.DataFrame(rings), found, claims, edges)


def _claims(scope: Period, rows: pd.DataFrame) -> pd.DataFrame:
    """Claims of the rings' ties: those at the places where a member's tie is suspected."""
    ties = rows[(rows["score"] >= 0.2) | rows["main"]]
    chosen = pa.table({c: pa.array(ties[c].to_numpy(np.int64)) for c in ("ring", "person", "place")})
    path = scope.engine.work / "fx_ring_chosen_ties.parquet"
    pq.write_table(chosen, path)
    scope.engine.register("fx_ring_chosen_ties", path)
    wanted = ibis.table({"ring": "int64", "person": "int64", "place": "int64"}, name="fx_ring_chosen_ties")
    visits = scope["ring_visits"].inner_join(wanted, ["person", "place"])
    ids = scope["claims"].select(
        "claim_id", "patient_id", "institution_id", "department_id", "doctor_id", "operator_id", "settled_at",
        "household_id", "employer_id", "address",
    )  # fmt: skip
    found = scope.engine.to_arrow(visits.inner_join(ids, "claim_id"), "ring_evidence").to_pandas()
    found = found.sort_values(["ring", "settled_at", "claim_id"], ignore_index=True)
    return found[_telling(found)].reset_index(drop=True).assign(amount=lambda t: t["cents"] / 100)


def _telling(claims: pd.DataFrame) -> np.ndarray:
    """Claims that say something: shared hours; dear, early, rare or copied charges; stays; bills from afar.

    A member's ordinary visits to the same place are no evidence; whoever has only such keeps them all.
    """
    at = claims["second"].fillna(claims["day"] * 86_400) // (2 * 3600)
    hours = claims.groupby(["ring", "place", at])["person"].transform("nunique")
    copied = claims.groupby(["ring", "bundle"])["person"].transform("nunique")
    telling = (
        (hours > 1)
        | ((copied > 1) & (claims["charged"] >= 3))
        | (claims["dear"] >= COSTLY)
        | (claims["early"] >= DEAR)
        | (claims["rare"] + claims["resold"] > 0)
        | (claims["is_stay"] == 1)
        | (claims["out_of_region"] == 1)
    )
    some = telling.groupby([claims["ring"], claims["person"]]).transform("any")
    return (telling | ~some).to_numpy()


def _edges(ranked: Ranked, rows: pd.DataFrame, claims: pd.DataFrame) -> pd.DataFrame:
    """Meetings between the members of a ring, over all views and places."""
    inside = meetings_inside(rows.assign(candidate=rows["ring"]), ranked.suspects)
    edges, person = ranked.suspects.edges, ranked.suspects.ties["person"].to_numpy()
    found = edges.iloc[inside["edge"].to_numpy()].reset_index(drop=True)
    found = found.assign(
        ring=inside["candidate"].to_numpy(),
        a=person[inside["i"].to_numpy()],
        b=person[inside["j"].to_numpy()],
    )
    # The chance models of the shared-item views state odds, not meetings.
    counted = found["view"].isin(("minutes", "costly", "stay"))
    found["expected"] = np.where(counted, found["expected"], 0.0)
    found["days"] = np.where(counted, found["meetings"], 0)
    grouped = found.groupby(["ring", "a", "b"], as_index=False, sort=True)
    return grouped.agg(
        meetings=("meetings", "max"),
        expected=("expected", "max"),
        weight=("weight", "sum"),
        days=("days", "max"),
    )


def _carriers(people: pd.DataFrame, claims: pd.DataFrame) -> np.ndarray:
    """``carrier`` for members who bring drugs from several places, ``member`` for the others."""
    tours = claims[claims["early"] + claims["resold"] > 0].groupby(["ring", "person"])["place"].nunique()
    places = tours.reindex(pd.MultiIndex.from_frame(people[["ring", "person"]])).fillna(0).to_numpy()
    return np.where(places >= 3, "carrier", "member")


_ACTORS = (
    ("operator", "operator_id", "operator"),
    ("doctor", "doctor_id", "prescriber"),
    ("institution", "institution_id", "place"),
)


def _fences(scope: Period, people: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """Place where most of a ring's boxes came up again on other people's claims, by trace codes."""
    found = scope.engine.to_arrow(profiles.fences(scope), "ring_fences_told").to_pandas()
    found = found.merge(people[["ring", "person"]], on="person")
    sums = found.groupby(["ring", "fence"], as_index=False).agg(
        boxes=("boxes", "sum"), n=("person", "nunique")
    )
    sums = sums[(sums["boxes"] >= BOXES) & (sums["n"] > 1)]
    sums = sums.sort_values(["ring", "boxes", "fence"], ascending=[True, False, True]).drop_duplicates("ring")
    ids = scope.engine.to_arrow(scope["ring_places"], "ring_place_ids").to_pandas()
    named = sums.merge(ids.rename(columns={"place": "fence"}), on="fence")
    share = named["boxes"] / named["ring"].map(found.groupby("ring")["boxes"].sum())
    return {
        int(ring): {
            "member_kind": "institution",
            "member_id": name,
            "role": "organiser",
            "membership_score": round(float(part), 4),
            "boxes": int(boxes),
        }
        for ring, name, part, boxes in zip(
            named["ring"], named["institution_id"], share, named["boxes"], strict=True
        )
    }


def _actors(claims: pd.DataFrame, fence: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Operators, doctors and places that most of a ring's claims go through; the first organises.

    Where boxes that the members fetched came up again at one place, that place organises.
    """
    actors: list[dict[str, Any]] = []
    for kind, column, role in _ACTORS:
        counts = claims[column].value_counts()
        counts = counts.sort_index().sort_values(ascending=False, kind="stable")
        for name, n in counts.items():
            share = n / len(claims)
            if share < (DOMINANT if kind != "institution" else PRESENT):
                break
            at_pharmacy = (
                kind == "institution" and (claims.loc[claims[column] == name, "kind"] == "pharmacy").all()
            )
            actors.append(
                {
                    "member_kind": kind,
                    "member_id": name,
                    "role": "pharmacy" if at_pharmacy else role,
                    "membership_score": round(float(share), 4),
                }
            )
    organiser = next((a for a in actors if a["member_kind"] != "institution"), None)
    if fence is not None:
        actors = [fence, *(a for a in actors if a["member_id"] != fence["member_id"])]
    elif organiser is not None:
        organiser["role"] = "organiser"
    return actors


def _ring(
    ring: int,
    chosen: Chosen,
    claims: pd.DataFrame,
    edges: pd.DataFrame,
    actors: list[dict[str, Any]],
    measures: pd.Series,
    models: RingModels,
) -> dict[str, Any]:
    told = words.tell(claims, edges, actors, measures, models)
    told["claim_ids"] = claims["claim_id"].tolist()
    return {
        "ring": ring,
        "kind": words.kind(claims, actors),
        "members": int(claims["person"].nunique()),
        "claims": len(claims),
        "amount": round(float(claims["amount"].sum()), 2),
        "p_value": float(chosen.p_value[ring]),
        "q_value": float(chosen.q_value[ring]),
        "first_seen": claims["settled_at"].min(),
        "last_seen": claims["settled_at"].max(),
        "score": round(float(chosen.score[ring]), 6),
        "evidence": json.dumps(told, ensure_ascii=False, sort_keys=True),
    }
