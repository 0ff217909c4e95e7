"""Scoring rows: boosted trees by LightGBM's own prediction and by bit vectors; isolation forest. One thread.

    python trees.py [--rows 50000]

Trains a bag of trees on made-up numbers, scores rows by both ways three times over and prints the least
processor time of each, rows a minute, and whether every sum has the same bytes.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from fraud.detectors import trees
from fraud.detectors.bitvectors import Bitvectors
from fraud.detectors.boosting import Boosting
from fraud.detectors.forest import Forest
from fraud.settings import BoostingSettings, ForestSettings

COLUMNS, FITTED, ROUNDS, TIMES = 274, 4_000, 125, 3


def timed(step: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Least processor seconds of some runs, and the result."""
    spent = []
    for _ in range(TIMES):
        began = time.process_time()
        found = step()
        spent.append(time.process_time() - began)
    return min(spent), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    rows = parser.parse_args().rows
    random = np.random.default_rng(1)
    x = random.lognormal(size=(rows + FITTED, COLUMNS)).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    fit, score = x[:FITTED], x[FITTED:]
    label = (np.nan_to_num(fit[:, :20]).sum(1) + random.normal(size=FITTED) * 5 > 35).astype(int)
    settings = BoostingSettings(bags=20)
    model = Boosting.fit(fit, label, settings, ROUNDS, 1)
    began = time.process_time()
    bits = Bitvectors.of(model.text)
    assert bits is not None
    bits.predict(score[:1])
    prepared = time.process_time() - began
    theirs, expected = timed(lambda: trees.predict(model.booster, score))
    ours, found = timed(lambda: bits.predict(score))
    forest = Forest.fit(fit, np.zeros(COLUMNS, int), ForestSettings(), 1)
    odd, _ = timed(lambda: forest.raw(score))
    told = {
        "trees": model.text.count("\nTree="),
        "rows": rows,
        "lightgbm_cpu": round(theirs, 2),
        "bitvectors_cpu": round(ours, 2),
        "ratio": round(theirs / ours, 1),
        "rows_a_minute": round(60 * rows / ours),
        "forest_rows_a_minute": round(60 * rows / odd),
        "prepared_cpu": round(prepared, 2),
        "same_bytes": bool((expected == found).all()),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
