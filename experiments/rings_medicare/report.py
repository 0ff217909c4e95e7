"""table.md and results.json: what was found, and the lines side by side. Aggregates only, no ids."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from benchmark import HERE, provider

from fraud.evaluate import average_precision, precision_at, roc_auc

PAIRS = (
    ("reduced", "reduced + rings and ties"),
    ("reduced", "reduced + structure"),
    ("reduced", "reduced + all ring features"),
    ("ours", "ours + all ring features"),
)
RESAMPLES = 1000


def write(build: Path) -> None:
    """Write both files from what the other stages kept in `build`."""
    facts = json.loads((build / "rings.json").read_text(encoding="utf-8"))
    known = pd.read_parquet(build / "labels.parquet")
    plain = pd.read_parquet(build / "plain.parquet").reindex(known["subject_id"])
    scores = {int(p.stem.split("-")[1]): pd.read_parquet(p) for p in sorted(build.glob("scores-*.parquet"))}
    y, size = known["label"].to_numpy(), plain["fund"].to_numpy()
    rows = [
        {"seed": seed, "line": line}
        | {k: round(float(v), 6) for k, v in _measures(y, table[line].to_numpy(), size).items()}
        for seed, table in scores.items()
        for line in table
    ]
    differences = [_difference(y, size, scores, *pair) for pair in PAIRS]
    text = [
        *_found(facts),
        *_nearly(facts),
        *_structure(facts),
        *_enrichment(facts),
        *_lines(rows, differences, facts),
    ]
    (HERE / "table.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    results = {"rings": facts, "lines": rows, "differences": differences}
    (HERE / "results.json").write_text(
        json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _measures(y: np.ndarray, score: np.ndarray, size: np.ndarray) -> dict[str, float]:
    return {
        "AP": average_precision(y, score),
        "AUC": roc_auc(y, score),
        "precision@100": precision_at(y, score, 100),
        "within-decile AUC": provider.within_deciles(y, score, size),
    }


def _difference(
    y: np.ndarray, size: np.ndarray, scores: dict[int, pd.DataFrame], before: str, after: str
) -> dict:
    """Gain in AP and within-decile AUC: per seed, and its interval over providers drawn anew (mean over seeds)."""
    out: dict = {"from": before, "to": after}
    for name in ("AP", "within-decile AUC"):
        gain = [
            _measures(y, t[after].to_numpy(), size)[name] - _measures(y, t[before].to_numpy(), size)[name]
            for t in scores.values()
        ]
        out[name] = [round(float(g), 4) for g in gain]
    rng = np.random.default_rng(17)
    drawn = []
    for _ in range(RESAMPLES):
        at = rng.integers(0, len(y), len(y))
        gains = [
            average_precision(y[at], t[after].to_numpy()[at])
            - average_precision(y[at], t[before].to_numpy()[at])
            for t in scores.values()
        ]
        drawn.append(np.mean(gains))
    return out | {"AP interval": [round(float(v), 4) for v in np.percentile(drawn, [2.5, 97.5])]}


def _table(head: list[str], rows: list[list]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(str(v) for v in row) + " |" for row in rows), ""]


def _found(facts: dict) -> list[str]:
    rows = [
        [k, v["rings"], ", ".join(f"{n} {kind}" for kind, n in v["kinds"].items()) or "–", v["patients"]]
        for k, v in facts["found"].items()
    ]
    skipped = "; ".join(f"{k} ({v})" for k, v in sorted(facts["skipped"].items()))
    funnel = [
        [k, ", ".join(f"{a} {b}" for a, b in v.items()) if isinstance(v, dict) else v]
        for k, v in facts["funnel"].items()
    ]
    return [
        "# Rings in the public Medicare inpatient claims", "",
        f"{facts['providers']} providers, {facts['labelled']} labelled; {facts['months']} months. Ring models {facts['models']} "
        "(first 12 digits of the SHA-256 of their files), trained on synthetic Chinese cities.", "",
        "## `fraud.rings.find`", "",
        *_table(["settings", "rings", "kinds", "patients"], rows),
        f"Skipped for want of columns: {skipped}.", "",
        *_table(["how far it gets", "n"], funnel),
    ]  # fmt: skip


def _nearly(facts: dict) -> list[str]:
    rows = [
        [
            i, r["kind"], f"{r['probability']:.2f}", f"{r['q']:.2f}", r["patients"], r["claims"], f"{r['amount']:,.0f}", r["providers"],
            r["physicians"], f"{r['top physician']:.0%}", f"{r['by chance']:.0%}", "; ".join(r["measures"]),
            "; ".join(r["explanations"]) or "none",
        ]
        for i, r in enumerate(facts["nearly"], 1)
    ]  # fmt: skip
    top, chance = (np.mean([r[k] for r in facts["nearly"]]) for k in ("top physician", "by chance"))
    head = ["", "kind", "probability", "q", "patients", "claims", "US dollars", "providers", "physicians", "commonest physician", "by chance", "evidence", "innocent reasons"]  # fmt: skip
    return [
        f"## The {len(rows)} best groups, none of them reported", "",
        "What the ranking would put first if it had to name somebody; q above 0.2, and too few members with a membership "
        "of 0.3. *By chance*: share of the commonest attending physician among as many claims drawn at the same provider "
        "(some candidates are the patients of one physician to begin with).", "",
        *_table(head, rows),
        f"Commonest physician, mean: {top:.1%} of a group's claims; by chance {chance:.1%}.", "",
    ]  # fmt: skip


def _structure(facts: dict) -> list[str]:
    beside = lambda v: f"{v['mean']:.1f} ({v['low']:.0f}–{v['high']:.0f}), p {v['p']:.3f}" if v else "–"  # noqa: E731
    rows = [
        [
            k,
            v["seen"],
            beside(v.get("provider")),
            beside(v.get("provider and county")),
            beside(v.get("county")),
        ]
        for k, v in facts["structure"].items()
        if isinstance(v, dict)
    ]
    return [
        "## Physician–provider–patient structure against chance", "",
        f"Mean (95 % interval) and p over {facts['structure']['rounds']} permutations that deal a provider's (or county's) patients "
        "out anew; kinds as in `structure.py`.", "",
        *_table(["kind", "seen", "dealt within provider", "within provider and county", "within county"], rows),
    ]  # fmt: skip


def _enrichment(facts: dict) -> list[str]:
    rows = [
        [k, v["labelled"], v["providers"], f"{v['positive']:.1%}", f"{v['base']:.1%}", f"{v['p']:.4f}", f"{v['expected by decile']:.1%}",
         f"{v['p by decile']:.4f}", f"{v['expected by size']:.1%}", f"{v['p by size']:.4f}"]
        for k, v in facts["enrichment"].items() if v["labelled"]
    ]  # fmt: skip
    head = ["what is found", "labelled", "providers", "at positive providers", "base rate", "p", "expected by decile of claims", "p", "by 30 of like size", "p"]  # fmt: skip
    return [
        "## Label enrichment", "",
        "Share of what is found (per tie, group or pair) that lies at providers labelled as fraudulent, among those at "
        "labelled ones; p: labels dealt out anew, over all, within deciles of claims, among 30 providers of like size "
        "(expected 100 %: all providers of that size are positive, so nothing could be learned).", "",
        *_table(head, rows),
    ]  # fmt: skip


def _lines(rows: list[dict], differences: list[dict], facts: dict) -> list[str]:
    table, names = pd.DataFrame(rows), ["AP", "within-decile AUC", "AUC", "precision@100"]
    spread = table.groupby("line", sort=False)[names].agg(["mean", "std"])
    lines = [[k, *(f"{r[m, 'mean']:.3f} ± {r[m, 'std']:.3f}" for m in names)] for k, r in spread.iterrows()]
    gains = [
        [f"{d['from']} → {d['to'].removeprefix(d['from'] + ' ')}", f"{np.mean(d['AP']):+.4f}", ", ".join(f"{g:+.4f}" for g in d["AP"]),
         f"{d['AP interval'][0]:+.4f} to {d['AP interval'][1]:+.4f}", f"{np.mean(d['within-decile AUC']):+.4f}", ", ".join(f"{g:+.4f}" for g in d["within-decile AUC"])]
        for d in differences
    ]  # fmt: skip
    seeds = sorted(table["seed"].unique().tolist())
    return [
        "## Providers out of fold, with and without ring features", "",
        f"Seeds {', '.join(map(str, seeds))}, five folds each, as in provider_benchmark; {len(facts['families'])} ring features "
        f"({len(facts['constant'])} more never vary). The *reduced* lines leave out repeat families, those of rings too.", "",
        *_table(["line", *names], lines),
        *_table(["ring features added", "AP", "by seed", f"95 % over {RESAMPLES} draws of providers", "within-decile AUC", "by seed"], gains),
    ]  # fmt: skip
