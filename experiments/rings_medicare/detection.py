"""What `fraud.rings` finds in the claims, what it nearly finds, and what of the structure is chance."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from benchmark import provider, provider_features
from features import PREFIX, found, structure, tied
from structure import KINDS, chance, counts, places_together, stays, touched

from fraud.ingest import ingest
from fraud.pipeline.frames import months_with_claims, opened
from fraud.rings import candidates, evidence, find
from fraud.rings.described import Chosen, describe
from fraud.rings.model import PACKAGED, load_models, q_values
from fraud.rings.stages import Ranked, observe, people, suspected
from fraud.settings import RingSettings, Settings

VARIANTS = {
    "default": RingSettings(),
    "max_q = 1": RingSettings(max_q=1.0),
    "max_q = 1, membership = 0, min_members = 3": RingSettings(max_q=1.0, membership=0.0, min_members=3),
}
NEARLY = 20
"""Groups that are not reported and looked at all the same."""
LOOKS = {"first": "first", "company": "second"}
DRAWS = 5_000
LIKE = 30
"""Providers of like size among which labels are dealt out."""


def rings(build: Path, rounds: int) -> None:
    """Find rings and their features; keeps features.parquet and rings.json in `build`."""
    dataset = build / "dataset"
    ingest(str(provider.real_data()), dataset, profile="medicare_inpatient", settings=Settings())
    frame, known, _ = provider_features(build, dataset)
    claims = pd.read_parquet(dataset / "claims.parquet")
    facts: dict = {
        "models": _digest(),
        "providers": frame["institution_id"].nunique(),
        "labelled": len(known),
    }
    with opened(dataset, Settings(), build) as (engine, _):
        months = months_with_claims(engine)
        facts["months"] = len(months)
        loose = None
        for name, settings in VARIANTS.items():
            loose = find(engine, months[0], months[-1], settings)
            facts.setdefault("found", {})[name] = _summary(loose)
            facts["skipped"] = loose.skipped
        ties, places, nearly, facts["funnel"] = _stages(engine, months)
    data = stays(claims, pd.read_parquet(dataset / "patients.parquet"))
    names = np.sort(claims["institution_id"].unique())
    facts["structure"] = _against_chance(data, rounds)
    facts["nearly"] = _nearly(nearly, claims)
    facts["enrichment"] = _enrichment(ties, places, nearly, data, names, claims, known)
    tables = [
        found({"rings": loose.rings, "claims": loose.claims}, claims, "found"),
        found({"rings": nearly.rings, "claims": nearly.claims}, claims, "nearly"),
        tied(ties, places),
        structure(data, len(names)).set_axis(names),
    ]
    out = pd.concat([t.add_prefix(PREFIX) for t in tables], axis=1)
    family = {
        PREFIX + c: f for t, f in zip(tables, ("found", "found", "ties", "structure"), strict=True) for c in t
    }
    useless = sorted(c for c in out if out[c].nunique() < 2)
    facts["constant"], facts["families"] = useless, {c: f for c, f in family.items() if c not in useless}
    out = out.drop(columns=useless).rename_axis("institution_id").sort_index()
    out.to_parquet(build / "features.parquet")
    (build / "rings.json").write_text(
        json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _digest() -> str:
    """Which ring models these were: they are fitted again now and then."""
    files = sorted(PACKAGED.glob("*.txt.gz"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


def _summary(result) -> dict:  # noqa: ANN001
    kinds = result.rings["kind"].value_counts().sort_index() if len(result.rings) else {}
    return {
        "rings": len(result.rings),
        "kinds": {k: int(n) for k, n in dict(kinds).items()},
        "patients": int((result.members["member_kind"] == "patient").sum()) if len(result.members) else 0,
    }


def _stages(engine, months):  # noqa: ANN001, ANN202
    """Ties, place ids, unreported groups (as `find` would describe them), and how many got how far."""
    models = load_models()
    scope = observe(engine, months[0], months[-1])
    ties = pd.read_parquet(engine.work / "fx_ring_ties.parquet").sort_values(
        ["person", "place"], ignore_index=True
    )
    ties["first"] = models.predict("tie", ties)
    suspects = suspected(scope, models)
    score = models.predict("company", suspects.ties)
    own = suspects.ties[["person", "place"]].assign(company=score)
    ties = ties.merge(own, on=["person", "place"], how="left").fillna({"company": 0.0})
    numbered = pd.read_parquet(engine.work / "fx_ring_places.parquet").set_index("place")["institution_id"]
    kept = candidates.find(suspects, score)
    # Levels are probabilities; the strongest tie made 1, they say how strong beside it.
    groups = candidates.find(suspects, score / score.max())
    rows = evidence.memberships(groups, suspects, score)
    found_groups = Ranked(suspects, score, groups, rows, evidence.measure(rows, suspects, score))
    truth = models.predict("truth", found_groups.measures)
    best = _apart(groups, truth)[:NEARLY]
    p, q = q_values(truth[best], models, people(scope))
    chosen = Chosen(best, rows[rows["candidate"].isin(best)], truth[best], p, q)
    nearly = describe(scope, found_groups, chosen, models, 0.0)
    nearly = type(nearly)(*(t.rename(columns={"ring": "ring_id"}) for t in vars(nearly).values()))
    funnel = {
        "patients": people(scope),
        "ties (patient and provider)": len(ties),
        "claims per tie, mean": round(float(ties["claims"].mean()), 3),
        "ties with more than one claim": int((ties["claims"] > 1).sum()),
        "meetings among suspected ties, by view": {
            k: int(n) for k, n in suspects.edges["view"].value_counts().sort_index().items()
        },
        "ties the first look suspects (0.02)": len(suspects.ties),
        "strongest tie, first look": round(float(ties["first"].max()), 3),
        "strongest tie, second look": round(float(score.max()), 3),
        "ties of at least 0.05, second look": int((score >= 0.05).sum()),
        "candidates at the levels of the package": len(kept),
        "candidates at levels relative to the strongest tie": len(groups),
        "of those: largest probability of being a ring": round(float(truth.max()), 3) if len(truth) else None,
    }
    return ties, numbered, nearly, funnel


def _apart(groups: list[np.ndarray], truth: np.ndarray) -> list[int]:
    """Best groups that share no people."""
    taken: set[int] = set()
    out = []
    for number in np.argsort(-truth, kind="stable"):
        own = set(groups[number].tolist())
        if not own & taken:
            taken |= own
            out.append(int(number))
    return out


def _against_chance(data, rounds: int) -> dict:  # noqa: ANN001
    """Counts of every kind, and how often dealing out the patients anew gives as many."""
    seen = counts(data, data.claims["person"].to_numpy())
    out = {kind: {"seen": seen[kind]} for kind in KINDS}
    for name, county in (("provider", False), ("provider and county", True)):
        dealt = chance(data, rounds, 11, county)
        for kind in KINDS:
            out[kind][name] = _beside(seen[kind], dealt[kind].to_numpy())
    pairs, dealt = places_together(data, rounds, 12)
    out["providers with 5 patients in common"] = {"seen": pairs, "county": _beside(pairs, dealt)}
    return out | {"rounds": rounds}


def _beside(seen: float, dealt: np.ndarray) -> dict:
    above, n = int((dealt >= seen).sum()), len(dealt)
    low, high = np.percentile(dealt, [2.5, 97.5])
    return {
        "mean": round(float(dealt.mean()), 3),
        "low": float(low),
        "high": float(high),
        "p": round((above + 1) / (n + 1), 4),
    }


def _nearly(nearly, claims: pd.DataFrame) -> list[dict]:  # noqa: ANN001
    """Size, evidence and physicians of the unreported groups; no id leaves."""
    own = nearly.claims.merge(claims[["claim_id", "doctor_id"]], on="claim_id", suffixes=("_", ""))
    rows = []
    for ring, mine in own.groupby("ring_id"):
        told = json.loads(nearly.rings.set_index("ring_id").at[ring, "evidence"])
        row = nearly.rings.set_index("ring_id").loc[ring]
        rows.append(
            {
                "kind": row["kind"], "probability": round(float(row["score"]), 3), "q": round(float(row["q_value"]), 3),
                "patients": int(row["members"]), "claims": int(row["claims"]), "amount": float(row["amount"]),
                "providers": int(mine["institution_id"].nunique()), "physicians": int(mine["doctor_id"].nunique()),
                "top physician": round(_top(mine["doctor_id"]), 3),
                "by chance": round(_expected_top(mine, claims, int(ring)), 3),
                "measures": [m["en"] for m in told["measures"][:3]],
                "explanations": [e["en"] for e in told["explanations"] if e["explains"]],
            }
        )  # fmt: skip
    return rows


def _top(doctors: pd.Series) -> float:
    return float(doctors.value_counts(normalize=True).iloc[0]) if doctors.notna().any() else 0.0


def _expected_top(mine: pd.DataFrame, claims: pd.DataFrame, seed: int, rounds: int = 200) -> float:
    """Share of the commonest physician among as many claims drawn at the same providers."""
    rng = np.random.default_rng(seed)
    pools = [
        (claims.loc[claims["institution_id"] == place, "doctor_id"].to_numpy(object), len(own))
        for place, own in mine.groupby("institution_id")
    ]
    drawn = [
        pd.Series(np.concatenate([rng.choice(p, n, replace=False) for p, n in pools])) for _ in range(rounds)
    ]
    return float(np.mean([_top(d) for d in drawn]))


def _enrichment(ties, places, nearly, data, names, claims, known) -> dict:  # noqa: ANN001
    """Share of what is found that lies at providers labelled as fraudulent, against dealt-out labels."""
    size = claims.groupby("institution_id").size()
    ties = ties.assign(institution_id=ties["place"].map(places))
    of = {}
    for column in ("first", "company"):
        for n in (100, 400):
            best = ties.sort_values([column, "person", "place"], ascending=[False, True, True]).head(n)
            of[f"{n} strongest ties, {LOOKS[column]} look"] = best["institution_id"]
        single = ties[ties["claims"] == 1].sort_values(
            [column, "person", "place"], ascending=[False, True, True]
        )
        of[f"400 strongest ties of one claim each, {LOOKS[column]} look"] = single["institution_id"].head(400)
    of[f"best {len(nearly.rings)} groups (ring and provider)"] = nearly.claims.drop_duplicates(
        ["ring_id", "institution_id"]
    )["institution_id"]
    of |= {k: pd.Series(names[v]) for k, v in touched(data).items()}
    return {name: _labelled(values, known, size) for name, values in of.items()}


def _labelled(institutions: pd.Series, known: pd.DataFrame, size: pd.Series) -> dict:
    """Positive share, its base rates, and permutation p-values (all labels; among providers of like size)."""
    label = known.set_index("subject_id")["label"]
    n = institutions.value_counts().reindex(label.index).fillna(0).to_numpy()
    y, claims = label.to_numpy(float), size.reindex(label.index).to_numpy(float)
    out = {"n": len(institutions), "labelled": int(n.sum()), "providers": int((n > 0).sum())}
    if not n.sum():
        return out
    rank = pd.Series(claims).rank(method="first").to_numpy() - 1
    seen = float(n @ y / n.sum())
    strata = {"free": np.zeros(len(y)), "decile": rank * 10 // len(y), "like": rank // LIKE}
    dealt = {name: _dealt(n, y, group) for name, group in strata.items()}
    p = {name: round((int((v >= seen - 1e-12).sum()) + 1) / (DRAWS + 1), 4) for name, v in dealt.items()}
    return out | {
        "positive": round(seen, 3), "base": round(float(y.mean()), 3),
        "expected by decile": round(float(dealt["decile"].mean()), 3), "expected by size": round(float(dealt["like"].mean()), 3),
        "p": p["free"], "p by decile": p["decile"], "p by size": p["like"],
    }  # fmt: skip


def _dealt(n: np.ndarray, y: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Positive share when labels are dealt out anew within strata, `DRAWS` times."""
    rng, fixed = np.random.default_rng(13), np.argsort(stratum, kind="stable")
    out = np.empty(DRAWS)
    for k in range(DRAWS):
        out[k] = n[fixed] @ y[np.lexsort((rng.random(len(y)), stratum))]
    return out / n.sum()
