"""Evidence: what a candidate's members have in common, as numbers a model ranks by.

Everything is an aggregate over the members' ties, their meetings and their lives, so that a million
candidates cost a few sorts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from fraud.rings.meetings import VIEWS
from fraud.rings.suspects import Suspects

BATCH = 2_000
"""Candidates compared with all others at a time."""
MEANS = (
    "first", "score", "claims", "days", "months", "cents", "fund_share", "dear_mean", "dear_top",
    "dear_share", "stays", "nights", "drug_share", "exam_share", "treatment_share", "care_share",
    "early_share", "switched_share", "resold_share", "rare_share", "supply_mean", "supply_rate",
    "charged_mean", "clone_share", "clone_over", "equal_share", "late_share", "month_end_share",
    "away_share", "round_share", "gap_mean", "gap_spread", "crowding", "course_share",
    "claims_part", "cents_part", "early_part", "per_claim", "per_month", "dear_over", "early_over",
    "rare_over", "bundle_rate", "item_rate", "places", "age", "certificates", "top_doctor_share",
    "top_operator_share", "top_item_share", "top_weekday_share", "place_claims", "place_people",
    "place_dear", "place_early", "near_sum", "near_partners", "near_mean", "near_five",
    "twin_share", "twin_over", "doctor_day", "reason_day", "out_day", "odd_share", "meanwhile",
    "same_place", "same_doctor", "same_operator", "same_item", "own_sum", "span", "elsewhere",
)  # fmt: skip
SPREADS = ("score", "claims", "cents", "dear_mean", "per_claim", "gap_mean", "age", "supply_mean", "span",
           "first_day", "last_day")  # fmt: skip
SHARED = ("place", "top_doctor", "top_operator", "top_item", "top_weekday", "top_odd", "household",
          "employer", "region", "phone", "address")  # fmt: skip


def memberships(candidates: Sequence[np.ndarray], suspects: Suspects, score: np.ndarray) -> pd.DataFrame:
    """One row per candidate, member and suspected tie of the member.

    Returns
    -------
    DataFrame
        candidate, person, tie (row of ``suspects.ties``), main (the member's tie that counts: at the
        candidate's commonest place, else the most suspected).
    """
    sizes = np.array([len(c) for c in candidates], dtype=np.int64)
    people = np.concatenate(candidates) if len(candidates) else np.zeros(0, dtype=np.int64)
    number = np.repeat(np.arange(len(candidates)), sizes)
    person = suspects.ties["person"].to_numpy()  # sorted
    low, high = np.searchsorted(person, people), np.searchsorted(person, people, side="right")
    count = high - low
    tie = np.repeat(low - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
    rows = pd.DataFrame(
        {"candidate": np.repeat(number, count), "person": np.repeat(people, count), "tie": tie}
    )
    place = suspects.ties["place"].to_numpy()[rows["tie"]]
    rows["place"], rows["score"] = place, score[rows["tie"]]
    weight = rows.groupby(["candidate", "place"], sort=False)["score"].transform("sum")
    # The member's tie at the place where the candidate as a whole is most suspected.
    rows["pull"] = np.sqrt(weight.to_numpy()) * rows["score"].to_numpy()
    order = np.lexsort((rows["tie"], -rows["pull"], rows["person"], rows["candidate"]))
    rows = rows.iloc[order].reset_index(drop=True)
    rows["main"] = ~rows.duplicated(["candidate", "person"])
    return rows


def measure(rows: pd.DataFrame, suspects: Suspects, score: np.ndarray) -> pd.DataFrame:
    """Measures of each candidate (rows in the order of their numbers).

    Parameters
    ----------
    rows : DataFrame
        See `memberships`.
    """
    ties = suspects.ties.assign(score=score)
    main = rows[rows["main"]]
    number = main["candidate"].to_numpy()
    count = int(number.max()) + 1 if len(number) else 0
    size = np.bincount(number, minlength=count).astype(float)
    out: dict[str, np.ndarray] = {"size": size}
    tie = main["tie"].to_numpy()
    for name in MEANS:
        value = np.nan_to_num(ties[name].to_numpy(float))[tie]
        out[f"mean_{name}"] = np.bincount(number, value, count) / size
    for name in SPREADS:
        value = np.nan_to_num(ties[name].to_numpy(float))[tie]
        mean = np.bincount(number, value, count) / size
        square = np.bincount(number, value * value, count) / size
        out[f"spread_{name}"] = np.sqrt(np.maximum(square - mean * mean, 0))
    for name in SHARED:
        out |= _shared(name, ties[name].to_numpy()[tie], number, size)
    out |= _inside(rows, suspects, count, size)
    out["cents"] = np.bincount(number, ties["cents"].to_numpy(float)[tie], count)
    out["claims"] = np.bincount(number, ties["claims"].to_numpy(float)[tie], count)
    out["place_part"] = out["claims"] / np.maximum(out["mean_place_claims"], 1)
    out["people_part"] = size / np.maximum(out["mean_place_people"], 1)
    out["doubtful"] = np.bincount(number, score[tie] < 0.3, count) / size
    out["sure"] = np.bincount(number, score[tie] >= 0.7, count) / size
    out["expected_members"] = np.bincount(number, score[tie], count)
    return pd.DataFrame(out)


def _shared(name: str, values: np.ndarray, number: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
    """Share of the members who have the candidate's commonest value, and distinct values per member."""
    known = ~pd.isna(values)
    code = np.full(len(values), -1, dtype=np.int64)
    code[known] = pd.factorize(values[known], sort=True)[0]
    pair, n = np.unique(np.column_stack([number[known], code[known]]), axis=0, return_counts=True)
    top = np.zeros(len(size))
    np.maximum.at(top, pair[:, 0], n)
    kinds = np.bincount(pair[:, 0], minlength=len(size))
    return {f"top_{name}": top / size, f"kinds_{name}": kinds / size}


def _inside(rows: pd.DataFrame, suspects: Suspects, count: int, size: np.ndarray) -> dict[str, np.ndarray]:
    """Meetings within the candidates, by view: density and mean weight; and what leads outside."""
    edges = suspects.edges
    both = meetings_inside(rows, suspects)
    number = both["candidate"].to_numpy()
    possible = np.maximum(size * (size - 1) / 2, 1)
    out = {}
    picked = edges.iloc[both["edge"].to_numpy()]
    weight, view = picked["weight"].to_numpy(), picked["view"].to_numpy()
    for v in VIEWS:
        own = view == v.name
        out[f"density_{v.name}"] = np.bincount(number[own], minlength=count) / possible
        out[f"weight_{v.name}"] = np.bincount(number[own], weight[own], count) / possible
        out[f"often_{v.name}"] = (
            np.bincount(number[own], picked["meetings"].to_numpy()[own], count) / possible
        )
    inside = np.bincount(number, weight, count)
    out["weight_all"] = inside / possible
    tie_weight = np.bincount(edges["i"], edges["weight"], len(suspects.ties)) + np.bincount(
        edges["j"], edges["weight"], len(suspects.ties)
    )
    total = np.bincount(rows["candidate"], tie_weight[rows["tie"]], count)
    out["closed"] = 2 * inside / np.maximum(total, 1e-9)
    sums = sum(np.nan_to_num(suspects.ties[f"{v.name}_sum"].to_numpy()) for v in VIEWS)
    out["closed_all"] = (
        2 * inside / np.maximum(np.bincount(rows["candidate"], sums[rows["tie"]], count), 1e-9)
    )
    met = np.unique(np.concatenate([number * 10**9 + rows_of for rows_of in (both["i"], both["j"])]))
    out["joined"] = np.bincount(met // 10**9, minlength=count) / size
    return out


def stability(candidates: Sequence[np.ndarray]) -> pd.DataFrame:
    """How many other candidates are nearly the same, hold a candidate, or are held by it.

    A ring is found again at other resolutions and among more suspects; a chance part of a crowd is not.

    Returns
    -------
    DataFrame
        ``stable_5``, ``stable_7`` (others with a Jaccard index of at least 0.5, 0.7), ``held_by`` and
        ``holds`` (nine in ten of the smaller one's people in the larger), per candidate.
    """
    size = np.array([len(c) for c in candidates], dtype=np.int64)
    out = {name: np.zeros(len(size)) for name in ("stable_5", "stable_7", "held_by", "holds")}
    if not len(size):
        return pd.DataFrame(out)
    people, column = np.unique(np.concatenate(candidates), return_inverse=True)
    ends = np.concatenate([[0], np.cumsum(size)])
    member = sparse.csr_matrix((np.ones(len(column), np.int32), column, ends), (len(size), len(people)))
    turned = member.T.tocsr()
    for start in range(0, len(size), BATCH):
        shared = (member[start : start + BATCH] @ turned).tocoo()
        row, other, both = shared.row + start, shared.col, shared.data
        keep = row != other
        row, other, both = row[keep], other[keep], both[keep]
        jaccard = both / (size[row] + size[other] - both)
        inside, around = both >= 0.9 * size[row], both >= 0.9 * size[other]
        for name, hit in (
            ("stable_5", jaccard >= 0.5),
            ("stable_7", jaccard >= 0.7),
            ("held_by", inside & (size[other] > 1.3 * size[row])),
            ("holds", around & (size[row] > 1.3 * size[other])),
        ):
            out[name] += np.bincount(row[hit], minlength=len(size))
    return pd.DataFrame(out)


def meetings_inside(rows: pd.DataFrame, suspects: Suspects) -> pd.DataFrame:
    """Meetings between members of the same candidate: candidate, edge, i, j (ties)."""
    edges = suspects.edges
    order = np.argsort(edges["i"].to_numpy(), kind="stable")
    left = edges["i"].to_numpy()[order]
    tie, number = rows["tie"].to_numpy(), rows["candidate"].to_numpy()
    low, high = np.searchsorted(left, tie), np.searchsorted(left, tie, side="right")
    count = high - low
    at = np.repeat(low - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
    edge = order[at]
    candidate = np.repeat(number, count)
    j = edges["j"].to_numpy()[edge]
    n = len(suspects.ties)
    keep = np.isin(candidate * n + j, number * n + tie)
    edge, candidate = edge[keep], candidate[keep]
    return pd.DataFrame(
        {
            "candidate": candidate,
            "edge": edge,
            "i": edges["i"].to_numpy()[edge],
            "j": edges["j"].to_numpy()[edge],
        }
    )
