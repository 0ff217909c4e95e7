"""Providers out of fold with and without ring features: folds, seeds and scorer of provider_benchmark."""

import importlib.util
import json
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from fraud.detectors.scorer import Scorer
from fraud.features.build import build
from fraud.features.catalog import CATALOG
from fraud.pipeline.frames import labels, months_with_claims, opened, read_frame
from fraud.settings import Experiment, Settings, load_experiment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "rings_medicare"


def _provider() -> ModuleType:
    """The provider benchmark's script (both are called run.py)."""
    spec = importlib.util.spec_from_file_location(
        "provider_benchmark", HERE.parent / "provider_benchmark" / "run.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


provider = _provider()


def provider_features(build_folder: Path, dataset: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Feature table, labels and plain aggregates of the provider benchmark, kept in `build_folder`."""
    settings, experiment = Settings(), _experiment()
    with (
        tempfile.TemporaryDirectory(dir=build_folder) as work,
        opened(dataset, settings, Path(work)) as (engine, _),
    ):
        last = months_with_claims(engine)[-1]
        tables = build(engine, [last], ("institution",), experiment.window_months)
        frame = read_frame(tables.paths["institution"], [last])
        known = labels(engine, "institution", last)
        names = list(tables.columns["institution"])
    plain = provider.plain_aggregates(dataset).reindex(frame["institution_id"])
    frame.to_parquet(build_folder / "providers.parquet")
    known.to_parquet(build_folder / "labels.parquet")
    plain.to_parquet(build_folder / "plain.parquet")
    (build_folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    return frame, known, plain


def _experiment() -> Experiment:
    return load_experiment(ROOT / "experiments" / "medicare_inpatient.toml")


def lines(names: list[str], families: dict[str, str]) -> dict[str, list[str]]:
    """Feature names of every line."""
    plain = lambda features: [f for f in features if not any(w in f for w in provider.REPEATS)]  # noqa: E731
    ring = {
        k: [f for f in families if families[f] in k.split("+")]
        for k in ("found+ties", "structure", "found+ties+structure")
    }
    every = ring["found+ties+structure"]
    return {
        "reduced": plain(names),
        "reduced + rings and ties": plain(names) + plain(ring["found+ties"]),
        "reduced + structure": plain(names) + plain(ring["structure"]),
        "reduced + all ring features": plain(names) + plain(every),
        "ours": names,
        "ours + all ring features": names + every,
        "ring features alone": every,
    }


def benchmark(seeds: list[int]) -> None:
    """Out-of-fold scores of every line and seed; keeps scores-<seed>.parquet in `BUILD`."""
    frame, known = (pd.read_parquet(BUILD / f"{n}.parquet") for n in ("providers", "labels"))
    names = json.loads((BUILD / "names.json").read_text(encoding="utf-8"))
    families = json.loads((BUILD / "rings.json").read_text(encoding="utf-8"))["families"]
    rings = pd.read_parquet(BUILD / "features.parquet").reindex(frame["institution_id"])
    frame = pd.concat([frame, rings.reset_index(drop=True)], axis=1)
    y = known["label"].to_numpy()
    for seed in seeds:
        folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y))
        scores = {
            line: _out_of_fold(frame, known, used, folds) for line, used in lines(names, families).items()
        }
        out = pd.DataFrame(scores, index=known["subject_id"])
        out.to_parquet(BUILD / f"scores-{seed}.parquet")
        print(seed, {k: round(float(provider.average_precision(y, v)), 4) for k, v in scores.items()})


def _out_of_fold(frame: pd.DataFrame, known: pd.DataFrame, used: list[str], folds: list) -> np.ndarray:
    """Like the provider benchmark's; ring features are suspicious when high."""
    score = np.full(len(known), np.nan)
    keys = [c for c in frame.columns if c not in CATALOG and not c.startswith("institution_ring_")]
    rows = frame[[*keys, *used]]
    directions = {n: CATALOG[n].direction if n in CATALOG else 1 for n in used}
    for fit, test in folds:
        scorer = Scorer.fit(rows, known.iloc[fit], _experiment(), directions=directions, threads=1)
        scored = scorer.score(rows).set_axis(frame["institution_id"])
        score[test] = scored.loc[known["subject_id"].iloc[test], "score"]
    return score
