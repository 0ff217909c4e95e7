"""Physician–provider–patient structure of stays, and what of it chance alone would give.

Three things a ring of an inpatient provider might leave, none of which needs times of day, prices or
trained models:

together   two patients in the same provider at the same time (admitted and discharged at most `NEAR`
           days apart) on two separate stays of each
followed   a patient with the same physician at two providers
shared     a physician of one provider and one of another with two or more patients in common

Chance is a permutation: the patients of a provider's claims are dealt out anew, so that every claim
keeps its dates and physicians and every patient his number of claims at the provider. The stricter one
deals only among patients of the same county.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

NEAR = 3
"""Days between two admissions, and two discharges, that count as together."""
FIVE = 5
"""Patients in common from which on two providers share many."""
KINDS = ("together", "together with one physician", "followed", "shared")


@dataclass(frozen=True)
class Stays:
    """Claims as numbers.

    Attributes
    ----------
    claims : DataFrame
        One row per claim: person, place, county, day_in, day_out.
    named : DataFrame
        claim (row of `claims`), doctor, place; a physician once per claim, whatever the roles.
    near : DataFrame
        i, j (rows of `claims`, same place, together), doctor (whether they have a physician in common).
    """

    claims: pd.DataFrame
    named: pd.DataFrame
    near: pd.DataFrame


def stays(claims: pd.DataFrame, patients: pd.DataFrame) -> Stays:
    """Number everything; `claims` and `patients` as in the ingested dataset."""
    claims = claims.sort_values(["institution_id", "claim_id"], ignore_index=True)
    day = lambda column: claims[column].to_numpy("datetime64[D]").astype(np.int64)  # noqa: E731
    county = claims["patient_id"].map(patients.set_index("patient_id")["region"]).fillna("")
    code = lambda values: pd.factorize(values, sort=True)[0]  # noqa: E731
    rows = pd.DataFrame(
        {
            "person": code(claims["patient_id"]),
            "place": code(claims["institution_id"]),
            "county": code(county),
            "day_in": day("started_at"),
            "day_out": day("ended_at"),
        }
    )
    roles = ["doctor_id", "operating_doctor_id", "other_doctor_id"]
    named = (
        claims[roles].reset_index(names="claim").melt("claim", value_name="doctor").dropna(subset="doctor")
    )
    named = named.drop_duplicates(["claim", "doctor"]).sort_values(["claim", "doctor"], ignore_index=True)
    named["doctor"] = code(named["doctor"])
    named["place"] = rows["place"].to_numpy()[named["claim"]]
    return Stays(rows, named[["claim", "doctor", "place"]], _near(rows, named))


def _near(rows: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Claims of a place admitted and discharged at most `NEAR` days apart."""
    parts = []
    for _, own in rows.sort_values(["place", "day_in"], kind="stable").groupby("place"):
        index, start, end = own.index.to_numpy(), own["day_in"].to_numpy(), own["day_out"].to_numpy()
        last = np.searchsorted(start, start + NEAR, side="right")
        count = last - np.arange(len(own)) - 1
        i = np.repeat(np.arange(len(own)), count)
        j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
        keep = np.abs(end[i] - end[j]) <= NEAR
        parts.append(np.column_stack([index[i[keep]], index[j[keep]]]))
    pairs = np.concatenate(parts)
    of = named.groupby("claim")["doctor"].agg(frozenset).reindex(range(len(rows))).to_numpy()
    common = [
        isinstance(of[a], frozenset) and isinstance(of[b], frozenset) and bool(of[a] & of[b])
        for a, b in pairs
    ]
    return pd.DataFrame({"i": pairs[:, 0], "j": pairs[:, 1], "doctor": common})


def together(data: Stays, person: np.ndarray) -> pd.DataFrame:
    """Pairs of patients together on two or more separate stays of each.

    Returns
    -------
    DataFrame
        place, a, b (persons, a < b), times, doctor (whether each time with a physician in common).
    """
    i, j = data.near["i"].to_numpy(), data.near["j"].to_numpy()
    swap = person[i] > person[j]
    i, j = np.where(swap, j, i), np.where(swap, i, j)
    rows = pd.DataFrame(
        {
            "place": data.claims["place"].to_numpy()[i], "a": person[i], "b": person[j], "i": i, "j": j,
            "doctor": data.near["doctor"].to_numpy(),
        }
    )  # fmt: skip
    rows = rows[rows["a"] != rows["b"]]
    # Stays that follow each other closely are near the other's both; the fewer of the two counts.
    rows = rows[rows.duplicated(["place", "a", "b"], keep=False)]
    found = rows.groupby(["place", "a", "b"], as_index=False).agg(
        i=("i", "nunique"), j=("j", "nunique"), doctor=("doctor", "sum")
    )
    found["times"] = found[["i", "j"]].min(axis=1)
    found = found[found["times"] >= 2].reset_index(drop=True)
    return found.assign(doctor=found["doctor"] >= found["times"])[["place", "a", "b", "times", "doctor"]]


def seen(data: Stays, person: np.ndarray) -> pd.DataFrame:
    """Patients, physicians and places that occur together, each once: person, doctor, place."""
    rows = data.named.assign(person=person[data.named["claim"]])
    return rows[["person", "doctor", "place"]].drop_duplicates(ignore_index=True)


def followed(rows: pd.DataFrame) -> pd.DataFrame:
    """Patients with one physician at two or more places: person, doctor, places."""
    twice = rows[rows.duplicated(["person", "doctor"], keep=False)]
    return twice.groupby(["person", "doctor"], as_index=False).agg(places=("place", "nunique"))


def shared(rows: pd.DataFrame) -> pd.DataFrame:
    """Two physicians at two places with two or more patients in common.

    Returns
    -------
    DataFrame
        doctor_a, place_a, doctor_b, place_b (place_a < place_b), patients.
    """
    several = rows.groupby("person")["place"].transform("nunique") > 1
    rows = rows[several]
    pairs = rows.merge(rows, on="person", suffixes=("_a", "_b"))
    pairs = pairs[(pairs["place_a"] < pairs["place_b"]) & (pairs["doctor_a"] != pairs["doctor_b"])]
    keys = ["doctor_a", "place_a", "doctor_b", "place_b"]
    found = pairs.groupby(keys, as_index=False).agg(patients=("person", "nunique"))
    return found[found["patients"] >= 2].reset_index(drop=True)


def counts(data: Stays, person: np.ndarray) -> dict[str, int]:
    """How much of each kind there is when claim k belongs to ``person[k]``."""
    pairs, rows = together(data, person), seen(data, person)
    values = (len(pairs), int(pairs["doctor"].sum()), len(followed(rows)), len(shared(rows)))
    return dict(zip(KINDS, values, strict=True))


def chance(data: Stays, rounds: int, seed: int, county: bool) -> pd.DataFrame:
    """Counts of every kind with the patients dealt out anew, one row per round."""
    rng = np.random.default_rng(seed)
    claims = data.claims
    keys = (
        (claims["county"].to_numpy(), claims["place"].to_numpy()) if county else (claims["place"].to_numpy(),)
    )
    person, fixed = claims["person"].to_numpy(), np.lexsort(keys)
    out = []
    for _ in range(rounds):
        order = np.lexsort((rng.random(len(claims)), *keys))
        dealt = np.empty_like(person)
        dealt[fixed] = person[order]
        out.append(counts(data, dealt))
    return pd.DataFrame(out)


def touched(data: Stays) -> dict[str, np.ndarray]:
    """Places of every kind, once per pair or patient (both ends of what joins two places)."""
    person = data.claims["person"].to_numpy()
    rows = seen(data, person)
    pairs, met = together(data, person), shared(rows)
    trailed = rows.merge(followed(rows), on=["person", "doctor"])
    return {
        "together": pairs["place"].to_numpy(),
        "followed": trailed["place"].to_numpy(),
        "shared (each end)": np.concatenate([met["place_a"], met["place_b"]]),
        "providers with 5 patients in common (each end)": _ends(data),
    }


def places_together(data: Stays, rounds: int, seed: int) -> tuple[int, np.ndarray]:
    """Pairs of providers with `FIVE` patients in common; and when a county's patients are dealt out anew.

    Every patient of more than one provider keeps how many providers he has, nearly: two of his claims
    may be dealt to the same one.
    """
    ties = data.claims[["person", "place", "county"]].drop_duplicates(["person", "place"])
    person, place, county = (ties[c].to_numpy() for c in ("person", "place", "county"))
    rng, fixed = np.random.default_rng(seed), np.argsort(county, kind="stable")
    dealt = []
    for _ in range(rounds):
        order, now = np.lexsort((rng.random(len(ties)), county)), np.empty_like(place)
        now[fixed] = place[order]
        dealt.append(_common(person, now))
    return _common(person, place), np.array(dealt)


def _ends(data: Stays) -> np.ndarray:
    pairs = _pairs(data.claims["person"].to_numpy(), data.claims["place"].to_numpy())
    return np.array(pairs.index[pairs >= FIVE].tolist(), dtype=np.int64).ravel()


def _common(person: np.ndarray, place: np.ndarray) -> int:
    return int((_pairs(person, place) >= FIVE).sum())


def _pairs(person: np.ndarray, place: np.ndarray) -> pd.Series:
    """Patients in common of two places."""
    rows = pd.DataFrame({"person": person, "place": place}).drop_duplicates()
    rows = rows[rows.duplicated("person", keep=False)]
    pairs = rows.merge(rows, on="person").query("place_x < place_y")
    return pairs.groupby(["place_x", "place_y"]).size()
