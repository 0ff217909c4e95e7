"""Ring features of providers; none knows a label.

Names begin with ``institution_ring_``, so that the forest takes them for the target's own, and those
about one patient's repeated stays contain ``repeat`` or ``again``, so that the line *reduced* of
experiments/provider_benchmark leaves them out as it does the toolkit's.
"""

import numpy as np
import pandas as pd
from structure import Stays, followed, seen, shared, together

PREFIX = "institution_ring_"


def found(tables: dict[str, pd.DataFrame], claims: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rings that touch a provider, and its share in them.

    Parameters
    ----------
    tables : dict of str to DataFrame
        ``rings`` (ring_id, score) and ``claims`` (ring_id, claim_id, patient_id, institution_id).
    claims : DataFrame
        All claims: claim_id, patient_id, institution_id.
    name : str
        Prefix of the columns.
    """
    whole = claims.groupby("institution_id").agg(
        claims=("claim_id", "nunique"), patients=("patient_id", "nunique")
    )
    own = tables["claims"].merge(tables["rings"][["ring_id", "score"]], on="ring_id")
    part = own.groupby("institution_id").agg(
        rings=("ring_id", "nunique"), claims=("claim_id", "nunique"), patients=("patient_id", "nunique")
    )
    score = own.drop_duplicates(["institution_id", "ring_id"]).groupby("institution_id")["score"]
    out = pd.DataFrame(
        {
            f"{name}_n": part["rings"].reindex(whole.index),
            f"{name}_claim_share": part["claims"].reindex(whole.index) / whole["claims"],
            f"{name}_patient_share": part["patients"].reindex(whole.index) / whole["patients"],
            f"{name}_score_max": score.max().reindex(whole.index),
            f"{name}_score_mean": score.mean().reindex(whole.index),
        }
    )
    return out.astype(float).fillna(0.0)


def tied(ties: pd.DataFrame, places: pd.Series) -> pd.DataFrame:
    """Tie-level evidence of a provider: what the first look and the second make of its patients.

    Parameters
    ----------
    ties : DataFrame
        ``fx_ring_ties`` with ``first`` and ``company`` (0 where not looked at again).
    places : Series
        institution_id by place number.
    """
    ties = ties.assign(institution_id=ties["place"].map(places))
    by = ties.groupby("institution_id")
    out = {}
    for column in ("first", "company"):
        out[f"tie_{column}_mean"] = by[column].mean()
        out[f"tie_{column}_max"] = by[column].max()
        out[f"tie_{column}_five"] = by[column].apply(lambda v: v.nlargest(5).mean())
    out["tie_suspected_share"] = by["first"].apply(lambda v: float((v >= 0.02).mean()))
    out["tie_strong_share"] = by["first"].apply(lambda v: float((v >= 0.1).mean()))
    for view in (c[:-4] for c in ties.columns if c.endswith("_sum")):
        if ties[f"{view}_sum"].notna().any():
            met = ties.fillna({f"{view}_{m}": 0.0 for m in ("sum", "top", "partners")}).groupby(
                "institution_id"
            )
            for measure in ("sum", "top", "partners"):
                out[f"{view}_{measure}_mean"] = met[f"{view}_{measure}"].mean()
                out[f"{view}_{measure}_max"] = met[f"{view}_{measure}"].max()
            out[f"{view}_again_most"] = by[f"{view}_most"].max().fillna(0)
    return pd.DataFrame(out)


def structure(data: Stays, places: int) -> pd.DataFrame:
    """Physician–provider–patient structure, by place number."""
    person = data.claims["person"].to_numpy()
    rows = seen(data, person)
    index = pd.RangeIndex(places, name="place")
    out = _physicians(data, rows) | _patients(data) | _coincidences(data, rows, person) | _partners(rows)
    return pd.DataFrame({k: v.reindex(index) for k, v in out.items()})


def _physicians(data: Stays, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Physicians who work at several providers, and how concentrated the physicians are."""
    places = rows.groupby("doctor")["place"].nunique()
    away = data.named.assign(away=data.named["doctor"].map(places) > 1)
    of_claims = away.groupby(["place", "claim"])["away"].any()
    counts = data.named.groupby(["place", "doctor"]).size()
    share = counts / counts.groupby("place").transform("sum")
    per = rows.groupby(["place", "doctor"])["person"].nunique().groupby("place")
    return {
        "physician_away_n": rows[rows["doctor"].map(places) > 1].groupby("place")["doctor"].nunique(),
        "physician_away_claim_share": of_claims.groupby("place").mean(),
        "physician_top_share": share.groupby("place").max(),
        "physician_hhi": (share**2).groupby("place").sum(),
        "physician_patients_max": per.max(),
        "physician_roles_mean": data.named.groupby(["place", "claim"]).size().groupby("place").mean(),
    }


def _patients(data: Stays) -> dict[str, pd.Series]:
    """Patients seen at other providers too, and repeat stays with the physician of the stay before."""
    claims = data.claims
    places = claims.groupby("person")["place"].nunique()
    ties = claims.drop_duplicates(["place", "person"])
    doctors = data.named.groupby("claim")["doctor"].agg(frozenset).reindex(claims.index)
    order = claims.assign(doctors=doctors).sort_values(["place", "person", "day_in"], kind="stable")
    before = order.groupby(["place", "person"])["doctors"].shift()
    both = [
        isinstance(a, frozenset) and isinstance(b, frozenset)
        for a, b in zip(order["doctors"], before, strict=True)
    ]
    again = order[both]
    same = [bool(a & b) for a, b in zip(again["doctors"], before[both], strict=True)]
    return {
        "patient_away_share": (ties["person"].map(places) > 1).groupby(ties["place"]).mean(),
        "repeat_same_physician_share": pd.Series(same, index=again.index, dtype=float)
        .groupby(again["place"])
        .mean(),
        "repeat_same_physician_n": pd.Series(same, index=again.index, dtype=float)
        .groupby(again["place"])
        .sum(),
    }


def _coincidences(data: Stays, rows: pd.DataFrame, person: np.ndarray) -> dict[str, pd.Series]:
    """The three kinds of `structure`, per provider; pairs together whose physician is one, against chance."""
    place = data.claims["place"].to_numpy()
    pairs = data.near[person[data.near["i"]] != person[data.near["j"]]]
    own = pairs["doctor"].groupby(place[pairs["i"]])
    counts = data.named.groupby(["place", "doctor"]).size() / data.claims.groupby("place").size()
    usual = (counts**2).groupby("place").sum()
    met = shared(rows)
    ends = pd.concat(
        [
            met[[f"place_{e}", f"doctor_{e}", "patients"]].set_axis(["place", "doctor", "patients"], axis=1)
            for e in "ab"
        ]
    )
    trailed = rows.merge(followed(rows), on=["person", "doctor"])
    nothing = pd.Series(0.0, index=np.unique(place))
    return {
        "near_pairs_per_claim": own.size() / data.claims.groupby("place").size(),
        "near_same_physician_share": own.mean(),
        "near_same_physician_excess": own.mean() - usual,
        "together_again_n": nothing.add(together(data, person).groupby("place").size(), fill_value=0),
        "followed_n": nothing.add(trailed.groupby("place")["person"].nunique(), fill_value=0),
        "shared_pairs_n": nothing.add(ends.groupby("place").size(), fill_value=0),
        "shared_pairs_top": nothing.add(ends.groupby("place")["patients"].max(), fill_value=0),
        "shared_physicians_n": nothing.add(ends.groupby("place")["doctor"].nunique(), fill_value=0),
    }


def _partners(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Providers with patients in common: excess over size, triangles, and common patients per triangle."""
    ties = rows[["person", "place"]].drop_duplicates()
    size, people = ties.groupby("place").size(), ties["person"].nunique()
    pairs = ties.merge(ties, on="person", suffixes=("_a", "_b")).query("place_a != place_b")
    edges = pairs.groupby(["place_a", "place_b"]).size().reset_index(name="n")
    expected = edges["place_a"].map(size) * edges["place_b"].map(size) / people
    edges["weight"] = np.where(
        edges["n"] > expected, edges["n"] * np.log(edges["n"] / expected) - (edges["n"] - expected), 0
    )
    strong = edges[edges["n"] >= 2]
    steps = strong.merge(strong, left_on="place_b", right_on="place_a", suffixes=("", "_next"))
    closed = steps.merge(
        strong[["place_a", "place_b"]], left_on=["place_a", "place_b_next"], right_on=["place_a", "place_b"]
    )
    degree = strong.groupby("place_a").size()
    triangles = (closed.groupby("place_a").size() / 2).reindex(size.index).fillna(0)
    possible = (degree * (degree - 1) / 2).reindex(size.index)
    by = edges.groupby("place_a")
    return {
        "partner_weight_max": by["weight"].max(),
        "partner_weight_mean": by["weight"].mean(),
        "partner_patients_max": by["n"].max(),
        "partner_triangles": triangles,
        "partner_closed_share": triangles / possible.where(possible > 0),
    }
