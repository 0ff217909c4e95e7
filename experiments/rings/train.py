"""Fit the ring models of the package on synthetic cities.

python experiments/rings/train.py --out fraud/rings/models

Most cities hold rings composed at random and innocent circles composed as randomly, in different densities and at
every camouflage; a third hold the designed rings, too, and two no fraud. Every figure that decides something
(which ties are looked at again, how innocent crowds score) is out of fold: cities are split into three parts, and
each part is scored by models of the other two. Seeds from 1001; the benchmark reports others.

``--leave-out SCHEME`` takes the claims of a scheme for unknown: neither fraud nor innocent. ``--composed-only``
learns from cities without designed rings; ``--test SEEDS`` judges cities that were not learned from.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import lightgbm
import numpy as np
import pandas as pd
from cities import RING_SCHEMES
from measures import Alarm, city_counts
from truth import TrueRing, Truth, true_rings

from fraud.engines import open_engine
from fraud.rings.alike import buyers, groups
from fraud.rings.meetings import VIEWS
from fraud.rings.model import RingModels, robust
from fraud.rings.profiles import LEAST as LEAST_PROFILE
from fraud.rings.profiles import fences, holders, purchases
from fraud.rings.stages import Ranked, choose, grow, observe, ranked, with_company
from fraud.rings.suspects import LEAST, Suspects, among
from fraud.rings.ties import measures
from fraud.schema import month_number
from fraud.settings import RingSettings, Settings
from fraud.synthetic import generate

ONE, BOTH = ("composed_ring",), (*RING_SCHEMES, "composed_ring")


class Plan(NamedTuple):
    """What a training city is told."""

    camouflage: float
    schemes: tuple[str, ...]
    prevalence: float


PLAN: dict[int, Plan] = {
    2001: Plan(0.4, ONE, 5.0), 2002: Plan(0.1, ONE, 2.0), 2003: Plan(0.7, ONE, 5.0), 2004: Plan(0.3, ONE, 1.0),
    2005: Plan(0.5, ONE, 5.0), 2006: Plan(0.0, ONE, 2.0), 2007: Plan(0.8, ONE, 3.0), 2008: Plan(0.4, ONE, 1.0),
    2009: Plan(0.2, ONE, 5.0), 2010: Plan(0.6, ONE, 2.0), 2011: Plan(0.9, ONE, 5.0), 2012: Plan(0.5, ONE, 1.0),
    1001: Plan(0.4, BOTH, 2.5), 1010: Plan(0.3, BOTH, 2.0), 1013: Plan(0.7, BOTH, 2.5), 1006: Plan(0.1, BOTH, 1.5),
    1004: Plan(0.4, (), 1.0), 1012: Plan(0.4, (), 1.0),
    1005: Plan(0.8, BOTH, 2.5), 1003: Plan(0.6, BOTH, 2.5), 1015: Plan(0.4, BOTH, 2.5), 1002: Plan(0.2, BOTH, 1.0),
}  # fmt: skip
FIRST, MONTHS, PEOPLE = "2025-01", 12, 20_000
FOLDS = 3
JUDGED: dict[int, dict] = {}  # counts of the cities that were judged, see `measures.city_counts`
THRESHOLD = 0.3  # of the probability that an alarm is a ring, near that of q = 0.2
KEPT = 0.1  # of the innocent ties the first look learns from
PARAMETERS = {
    "learning_rate": 0.06, "num_leaves": 31, "feature_fraction": 0.4, "min_data_in_leaf": 20, "seed": 1,
    "bagging_fraction": 0.8, "bagging_freq": 1, "deterministic": True, "force_row_wise": True, "verbose": -1, "num_threads": 1,
}  # fmt: skip


@dataclass
class Trained:
    """A city as training sees it."""

    seed: int
    ties: pd.DataFrame
    pairs: dict[str, pd.DataFrame]
    bought: pd.DataFrame
    usual: pd.DataFrame
    fences: pd.DataFrame
    people: int
    rings: dict[str, set[int]]
    left: dict[str, set[int]]  # of schemes left out: never learned from, but looked for
    ignored: set[int]
    unsure: set[int]  # neither right nor wrong to find
    label: np.ndarray  # of ties: 1 ring, 0 not, -1 neither
    schemes: dict[str, str]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def made(seed: int, folder: Path) -> Path:
    """The frames of a city, made once."""
    place = folder / str(seed)
    if (place / "done").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    plan = PLAN[seed]
    look_alikes = ("composed_circle",) if seed % 5 else ()
    generate(place / "city", patients=PEOPLE, months=MONTHS, seed=seed, camouflage=plan.camouflage, start=FIRST, schemes=plan.schemes, prevalence=plan.prevalence, look_alikes=look_alikes)  # fmt: skip
    with open_engine(Settings().engine, place / "work") as engine:
        engine.open_dataset(place / "city")
        scope = observe(engine, month_number(FIRST), month_number(FIRST) + MONTHS - 1)
        names = ["ring_ties", "ring_persons", "ring_places", *(f"ring_pairs_{v.name}" for v in VIEWS)]
        for name in names:
            shutil.copy(engine.work / f"fx_{name}.parquet", place / f"{name}.parquet")
        everybody = scope["ring_persons"].select("person")
        engine.to_parquet(purchases(scope, everybody), place / "bought.parquet")
        engine.to_parquet(holders(scope), place / "usual.parquet")
        engine.to_parquet(fences(scope), place / "fences.parquet")
    shutil.rmtree(place / "work")
    (place / "city" / "lines.parquet").unlink()
    (place / "done").write_text("")
    say(f"city {seed} made")
    return place


def loaded(seed: int, folder: Path, left_out: Sequence[str]) -> Trained:
    place = made(seed, folder)
    first = month_number(FIRST)
    truth = true_rings(place / "city", first, first + MONTHS - 1)
    ties = pd.read_parquet(place / "ring_ties.parquet").sort_values(["person", "place"], ignore_index=True)
    number = pd.read_parquet(place / "ring_persons.parquet").set_index("patient_id")["person"]
    places = pd.read_parquet(place / "ring_places.parquet").set_index("institution_id")["place"]
    rings = {r.ring_id: {int(number[m]) for m in r.members} for r in truth.of_kind(doctors=False)}
    schemes = {r.ring_id: r.scheme for r in truth.rings}
    fraud = pd.read_parquet(place / "city" / "truth" / "claims.parquet", columns=["claim_id", "group_id"])
    claims = pd.read_parquet(
        place / "city" / "claims.parquet", columns=["claim_id", "patient_id", "institution_id"]
    )
    fraud = fraud.merge(claims, on="claim_id")
    fraud = fraud[fraud["patient_id"].isin(number.index)]
    bad = pd.DataFrame({"person": number.reindex(fraud["patient_id"]).to_numpy(), "place": places.reindex(fraud["institution_id"]).to_numpy(), "group_id": fraud["group_id"].to_numpy()})  # fmt: skip
    member = np.array(
        [p in rings.get(g, ()) for p, g in zip(bad["person"], bad["group_id"], strict=True)], dtype=bool
    )
    known = np.array([schemes.get(g) not in left_out for g in bad["group_id"]], dtype=bool)
    bad["label"] = np.where(member & known, 1, -1)
    label = bad.groupby(["person", "place"])["label"].max()
    label = (
        ties[["person", "place"]]
        .merge(label.reset_index(), how="left", on=["person", "place"])["label"]
        .fillna(0)
    )
    unsure = {int(number[m]) for m in truth.ignored if m in number.index}
    ignored = set(unsure)
    left = {g: people for g, people in rings.items() if schemes[g] in left_out}
    ignored |= {p for people in left.values() for p in people}
    rings = {g: people for g, people in rings.items() if schemes[g] not in left_out}
    pairs = {v.name: pd.read_parquet(place / f"ring_pairs_{v.name}.parquet") for v in VIEWS}
    bought = pd.read_parquet(place / "bought.parquet").sort_values(["person", "item"], ignore_index=True)
    usual = pd.read_parquet(place / "usual.parquet").sort_values("item", ignore_index=True)
    fenced = pd.read_parquet(place / "fences.parquet").sort_values(["fence", "person"], ignore_index=True)
    return Trained(
        seed,
        ties,
        pairs,
        bought,
        usual,
        fenced,
        len(number),
        rings,
        left,
        ignored,
        unsure,
        label.to_numpy(np.int64),
        schemes,
    )


def fitted(
    x: pd.DataFrame, y: np.ndarray, rounds: int, weight: np.ndarray | None = None, **more: object
) -> lightgbm.Booster:
    parameters = {"objective": "binary", **PARAMETERS, **more}
    return lightgbm.train(parameters, lightgbm.Dataset(x.to_numpy(float), y, weight=weight), rounds)


def everywhere(people: np.ndarray) -> np.ndarray:
    """One city is one part."""
    return np.zeros(len(people), dtype=np.int64)


class Part:
    """What is known of a city after the ties were scored out of fold."""

    def __init__(self, city: Trained, first: np.ndarray) -> None:
        keep = np.flatnonzero(first >= LEAST)
        ties = city.ties.iloc[keep].reset_index(drop=True).assign(first=first[keep])
        self.city, self.label = city, city.label[keep]
        self.suspects = with_company(Suspects(ties, among(ties, city.pairs)))


def judged(groups: list[np.ndarray], city: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard index with the best true ring, and share of members in any ring, of each candidate."""
    of: dict[int, list[str]] = {}
    for ring, people in city.rings.items():
        for p in people:
            of.setdefault(p, []).append(ring)
    best, precision = np.zeros(len(groups)), np.zeros(len(groups))
    for number, group in enumerate(groups):
        people = [p for p in group.tolist() if p not in city.ignored]
        if not people:
            precision[number] = np.nan
            continue
        counts: dict[str, int] = {}
        for p in people:
            for ring in of.get(p, ()):
                counts[ring] = counts.get(ring, 0) + 1
        precision[number] = np.mean([p in of for p in people])
        best[number] = max(
            (n / (len(people) + len(city.rings[r]) - n) for r, n in counts.items()), default=0.0
        )
    return best, precision


def candidates(part: Part, score: np.ndarray) -> Ranked:
    """Ranked candidates of a city of which the ties have their second score."""
    city, strong = part.city, part.suspects.ties["person"].to_numpy()[score >= LEAST_PROFILE]
    bought = city.bought[city.bought["person"].isin(strong)]
    suppliers = city.fences[city.fences["person"].isin(strong)]
    alike = buyers(bought, city.usual, city.people, everywhere)
    return ranked(part.suspects, score, groups(alike, suppliers), alike)


def train(cities: list[Trained], out: Path) -> RingModels:
    columns = {"tie": measures(cities[0].ties.columns)}
    rng = np.random.default_rng(1)
    drawn = {
        c.seed: np.flatnonzero((c.label == 1) | ((c.label == 0) & (rng.random(len(c.label)) < KEPT)))
        for c in cities
    }

    def fit_ties(some: list[Trained]) -> lightgbm.Booster:
        x = pd.concat([c.ties.iloc[drawn[c.seed]][columns["tie"]] for c in some])
        y = np.concatenate([c.label[drawn[c.seed]] for c in some])
        return fitted(x, y, 200, np.where(y == 1, 1.0, 1.0 / KEPT))

    fold = {c.seed: i % FOLDS for i, c in enumerate(cities)}
    rest = lambda k: [c for c in cities if fold[c.seed] != k]  # noqa: E731
    parts: list[Part] = []
    for k in range(FOLDS):
        booster = fit_ties(rest(k))
        parts += [
            Part(c, booster.predict(c.ties[columns["tie"]].to_numpy(float)))
            for c in cities
            if fold[c.seed] == k
        ]
        say(f"ties, fold {k}")
    columns["company"] = [
        *columns["tie"],
        "first",
        *(c for c in parts[0].suspects.ties.columns if c.startswith(("near_", "same_", "own_"))),
    ]

    def fit_company(some: list[Part]) -> lightgbm.Booster:
        x = pd.concat([p.suspects.ties[columns["company"]] for p in some])
        y = np.concatenate([p.label for p in some])
        return fitted(x[y >= 0], y[y >= 0], 200)

    found = []
    for k in range(FOLDS):
        booster = fit_company([p for p in parts if fold[p.city.seed] != k])
        for part in parts:
            if fold[part.city.seed] == k:
                score = np.asarray(booster.predict(part.suspects.ties[columns["company"]].to_numpy(float)))
                found.append((part, candidates(part, score)))
        say(f"company, fold {k}")
    columns["quality"] = columns["truth"] = list(found[0][1].measures.columns)
    labels = {p.city.seed: judged(r.groups, p.city) for p, r in found}

    def fit_rings(seeds: list[int]) -> tuple[lightgbm.Booster, lightgbm.Booster]:
        some = [(r, *labels[p.city.seed]) for p, r in found if p.city.seed in seeds]
        x = pd.concat([r.measures for r, _, _ in some])
        best, precision = np.concatenate([b for _, b, _ in some]), np.concatenate([p for _, _, p in some])
        good = ~np.isnan(precision)
        return (
            fitted(x[good], best[good], 300, objective="regression"),
            fitted(x[good], (precision[good] >= 0.5).astype(int), 200),
        )

    innocent: list[float] = []
    crowds = []
    for k in range(FOLDS):
        quality, truth = fit_rings([c.seed for c in rest(k)])
        for part, r in found:
            if fold[part.city.seed] != k:
                continue
            x = r.measures.to_numpy(float)
            q, t = np.asarray(quality.predict(x)), np.asarray(truth.predict(x))
            chosen = choose(r.groups, q, t)
            best, precision = labels[part.city.seed]
            innocent += [float(t[n]) for n in chosen if precision[n] < 0.5]
            crowds.append(r.measures[precision < 0.2])
            judge(part.city, r, chosen, t)
    quality, truth = fit_rings([c.seed for c in cities])
    usual = robust(pd.concat(crowds), columns["quality"])
    boosters = {"tie": fit_ties(cities), "company": fit_company(parts), "quality": quality, "truth": truth}
    people = PEOPLE * len(cities)
    models = RingModels(boosters, columns, np.sort(np.array(innocent)), people, usual)
    models.save(out)
    say(f"models written to {out}: {len(innocent)} innocent crowds in {people} people")
    return models


def test(city: Trained, models: RingModels) -> None:
    """Judge a city that was not learned from."""
    part = Part(city, models.predict("tie", city.ties))
    r = candidates(part, models.predict("company", part.suspects.ties))
    truth = models.predict("truth", r.measures)
    judge(city, r, choose(r.groups, models.predict("quality", r.measures), truth), truth)


def judge(city: Trained, r: Ranked, chosen: list[int], score: np.ndarray) -> None:
    """Count what is found in a city; schemes that were left out are looked for like the others."""
    strength = grow(r, chosen, score).groupby(["candidate", "person"])["score"].max()
    strength = strength[strength >= RingSettings().membership].reset_index()
    strength = strength[score[strength["candidate"].to_numpy(np.int64)] >= THRESHOLD]
    alarms = [
        Alarm(frozenset(own["person"].tolist()), float(score[n])) for n, own in strength.groupby("candidate")
    ]
    rings = city.rings | city.left
    true = tuple(TrueRing(g, city.schemes[g], "patient_ring", frozenset(m)) for g, m in sorted(rings.items()))
    counts = city_counts(Truth(true, frozenset(city.unsure), {}, city.people), alarms)
    best = [max((len(m & set(g.tolist())) / len(m | set(g.tolist())) for g in r.groups), default=0.0) for m in rings.values()]  # fmt: skip
    counts["best"] = sum(b >= 0.5 for b in best)
    JUDGED[city.seed] = counts
    say(f"{city.seed} {PLAN[city.seed].camouflage} {line(counts)} best candidates {counts['best']}")


def line(n: dict) -> str:
    """Figures of a city or of all of them."""
    f1 = 2 * n["right"] / max(1, n["named"] + n["existing"])
    return (
        f"P {n['right'] / max(1, n['named']):.3f} R {n['right'] / max(1, n['existing']):.3f} F1 {f1:.3f} "
        f"rings {n['rings_found']} of {n['rings']} false alarms {n['false_alarms']} of {n['alarms']}"
    )


def tell(seeds: Sequence[int], name: str) -> pd.DataFrame:
    """Pooled figures of cities, and those by scheme."""
    counts = [JUDGED[s] for s in seeds if s in JUDGED]
    keys = ("right", "named", "existing", "rings_found", "rings", "false_alarms", "alarms")
    say(f"{name}: {line({k: sum(n[k] for n in counts) for k in keys})}")
    rows = pd.DataFrame([c | {"scheme": k} for n in counts for k, c in n["schemes"].items()])
    if rows.empty:
        return rows
    sums = rows.groupby("scheme").sum()
    recall = sums["reached"] / sums["members"]
    precision = sums["alarm_right"] / sums["alarm_members"].clip(lower=1)
    figures = pd.DataFrame(
        {
            "members": sums["members"],
            "recall": recall,
            "F1": 2 * precision * recall / (precision + recall),
            "rings": sums["rings"],
            "ring recall": sums["found"] / sums["rings"],
        }
    ).round(3)
    say("\n" + figures.to_string())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cities", type=Path, default=Path("data/synthetic/rings/training"))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(PLAN))
    parser.add_argument("--test", type=int, nargs="*", default=(), help="judged, not learned from")
    parser.add_argument("--leave-out", nargs="*", default=())
    parser.add_argument("--composed-only", action="store_true")
    parser.add_argument("--make-only", action="store_true")
    args = parser.parse_args()
    designed = [s for s in args.seeds if PLAN[s].schemes == BOTH]
    tests = [*args.test, *(designed if args.composed_only else ())]
    seeds = [s for s in args.seeds if s not in tests]
    if args.make_only:
        for seed in args.seeds:
            made(seed, args.cities)
        return
    models = train([loaded(seed, args.cities, args.leave_out) for seed in seeds], args.out)
    for seed in tests:
        test(loaded(seed, args.cities, args.leave_out), models)
    tell([s for s in seeds if s not in designed], "cities without designed rings, out of fold")
    tell(designed, "cities with designed rings" + ("" if args.composed_only else ", out of fold"))
    (args.out / "judged.json").write_text(json.dumps(JUDGED, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
