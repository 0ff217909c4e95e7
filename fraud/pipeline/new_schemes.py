"""Groups of odd claims that no label explains, in words: what sets them apart, where, how much, examples."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud.detectors.novelty import Cluster, clusters
from fraud.explain import show
from fraud.features.catalog import CATALOG
from fraud.settings import Settings

REPORT = "new_schemes.json"
TOLD, EXAMPLES, PLACES = 4, 6, 3
"""Features told of a group, examples, and places of each kind."""
_SAME = 0.6
"""Share of a group's claims at one place from which the group is said to be of that place."""
_WHERE = {
    "institution_id": ("机构", "institution"),
    "doctor_id": ("医师", "doctor"),
    "patient_id": ("参保人", "patient"),
}


def new_schemes(
    frame: pd.DataFrame,
    scores: pd.DataFrame,
    settings: Settings,
    listed: Sequence[str] = (),
    known: pd.DataFrame | None = None,
    among: pd.DataFrame | None = None,
    size: int | None = None,
) -> list[dict[str, Any]]:
    """Groups of odd, improbable, unlisted claims of a month, described.

    Parameters
    ----------
    frame : DataFrame
        Claim features of the month.
    scores : DataFrame
        ``p_supervised`` and ``anomaly`` of the same rows, in the same order.
    settings : Settings
        ``novelty`` counts.
    listed : sequence of str
        Claims on the list.
    known : DataFrame, optional
        Features of claims decided before.
    among, size : optional
        A sample of the month's claims and their number, where `frame` holds only some of them.

    Returns
    -------
    list of dict
        Most interesting first: group_id (the same features keep it in other months), claims, patients,
        amount, alike, sentence_zh, sentence_en, features (name, group, titles, value, usual, share of the
        month's claims below), places, claim_ids (all, the dearest first) and examples (the first few).
    """
    if not settings.novelty.clusters:
        return []
    directions = {n: f.direction for n, f in CATALOG.items()}
    among = frame if among is None else among
    found = clusters(frame, scores, settings.novelty, directions, listed, known, among, size)
    return [_told(c, frame.iloc[c.rows], among) for c in found]


def _told(cluster: Cluster, own: pd.DataFrame, among: pd.DataFrame) -> dict[str, Any]:
    features = _features(cluster, own, among)
    places = _places(own)
    ids = [str(c) for c in own["claim_id"]]
    people = int(own["patient_id"].nunique()) if "patient_id" in own else 0
    about_zh = "，".join(f["said_zh"] for f in features)
    about_en = "; ".join(f["said_en"] for f in features)
    at_zh = "；".join(p["said_zh"] for p in places)
    at_en = "; ".join(p["said_en"] for p in places)
    return {
        "group_id": _identity([f["name"] for f in features]),
        "claims": len(ids),
        "patients": people,
        "amount": cluster.amount,
        "alike": cluster.alike,
        "sentence_zh": f"{len(ids)}笔结算以同样的方式不同寻常：{about_zh}。"
        + (f"{at_zh}。" if at_zh else "")
        + f"涉及基金{cluster.amount:,.2f}元；模型概率不高，尚无同类结论。",
        "sentence_en": f"{len(ids)} claims are unusual in the same way: {about_en}. "
        + (f"{at_en}. " if at_en else "")
        + f"{cluster.amount:,.2f} of fund money; the model gives them a low probability.",
        "features": features,
        "places": places,
        "claim_ids": ids,
        "examples": [_example(row) for row in own.head(EXAMPLES).to_dict("records")],
    }


def _identity(names: Sequence[str]) -> str:
    """The same leading features, in whatever order, are the same group in another month."""
    return "N-" + hashlib.sha256("\x1f".join(sorted(names[:3])).encode()).hexdigest()[:10]


def _features(cluster: Cluster, own: pd.DataFrame, among: pd.DataFrame) -> list[dict[str, Any]]:
    """What sets the group apart, at most one feature of each of the catalog's groups first."""
    words = [n for n in cluster.features if n in CATALOG]
    seen: set[str] = set()
    first = [n for n in words if not (CATALOG[n].group in seen or seen.add(CATALOG[n].group))]  # type: ignore[func-returns-value]
    chosen = [*first, *(n for n in words if n not in first)][:TOLD]
    return [_feature(n, own, among) for n in chosen]


def _feature(name: str, own: pd.DataFrame, among: pd.DataFrame) -> dict[str, Any]:
    entry = CATALOG[name]
    every = among[name].to_numpy(float)
    every = every[np.isfinite(every)]
    value, usual = float(np.nanmedian(own[name].to_numpy(float))), float(np.median(every))
    below = float((every < value).mean())
    said = {
        lang: f"{title}{sep}{show(value, entry.unit, lang)}（{word}{show(usual, entry.unit, lang)}）"
        if lang == "zh"
        else f"{title}{sep}{show(value, entry.unit, lang)} ({word}{show(usual, entry.unit, lang)})"
        for lang, title, sep, word in (
            ("zh", entry.title_zh, "", "全部一般为"),
            ("en", entry.title_en, " ", "usually "),
        )
    }
    return {
        "name": name, "group": entry.group, "title_zh": entry.title_zh, "title_en": entry.title_en,
        "value": round(value, 6), "usual": round(usual, 6), "below": round(below, 6),
        "said_zh": said["zh"], "said_en": said["en"],
    }  # fmt: skip


def _places(own: pd.DataFrame) -> list[dict[str, Any]]:
    """Places and people most of the group's claims share."""
    out = []
    for column, (zh, en) in _WHERE.items():
        if column not in own:
            continue
        ids = own[column].dropna().astype(str)
        counts = ids[ids != ""].value_counts().rename_axis("id").reset_index(name="claims")
        counts = counts.sort_values(["claims", "id"], ascending=[False, True])
        if len(counts) and counts["claims"].iloc[0] >= _SAME * len(own):
            top = counts.iloc[0]
            said = f"{top['claims']}/{len(own)}"
            out.append(
                {
                    "kind": column.removesuffix("_id"), "id": str(top["id"]), "claims": int(top["claims"]),
                    "said_zh": f"其中{said}笔在同一{zh} {top['id']}",
                    "said_en": f"{said} of them at one {en}, {top['id']}",
                }
            )  # fmt: skip
    return out[:PLACES]


def _example(row: dict[str, Any]) -> dict[str, Any]:
    known = {k: str(row[k]) for k in ("claim_id", "patient_id", "institution_id") if row.get(k)}
    return {**known, "amount": round(float(row["amount_at_risk"]), 2)}
