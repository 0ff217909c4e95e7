"""Fix the thresholds of the textbook methods on development cities; writes textbook.json and development.md.

    python experiments/rings/choose.py [--seeds 1 2 3] [--camouflage 0 0.4 0.8]

For each method: the session length, level, least score and largest ring with the best mean member-F1 over the
development cities (one choice for all of them). development.md also says what an oracle would reach that chooses
anew for each level of camouflage.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from cities import DEVELOPMENT, City, add_choice, chosen, made
from measures import Alarm, city_counts, pooled
from methods import CHOICES, HERE
from textbook import SESSIONS, TEXTBOOK, Choice, CoVisits, choices
from truth import Truth, true_rings

from fraud.schema import month_number

Key = tuple[str, int, float]  # method, minutes, level
SHOWN = ("precision", "recall", "f1", "matched_f1", "ring_recall", "budget_recall", "false_share", "alarms")


def candidates(city: City, folder: Path) -> tuple[Truth, dict[Key, list[Alarm]]]:
    """Truth of a city and the alarms of every method, session length and level, before scores are cut."""
    path, first = made(city, folder), month_number("2025-01")
    last = first + city.months - 1
    alarms: dict[Key, list[Alarm]] = {}
    for minutes in SESSIONS:
        visits = CoVisits.read(path, first, last, minutes)
        for name, kind in TEXTBOOK.items():
            began = time.perf_counter()
            method = kind(visits)
            for level in kind.LEVELS:
                alarms[name, minutes, level] = method.alarms(level)
            print(f"{city.name} {name} {minutes} min: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return true_rings(path, first, last), alarms


def tried(cities: list[City], found: list) -> dict[str, list[tuple[Choice, list[dict]]]]:
    """Of each method, every choice with the counts of each city."""
    out: dict[str, list[tuple[Choice, list[dict]]]] = defaultdict(list)
    for name, minutes, level in found[0][1]:
        per_city = [(truth, alarms[name, minutes, level]) for truth, alarms in found]
        for choice in choices(minutes, level, [a for _, alarms in per_city for a in alarms]):
            counts = [
                city_counts(truth, [a for a in alarms if choice.keeps(a)]) for truth, alarms in per_city
            ]
            out[name].append((choice, counts))
    return out


def mean_f1(counts: list[dict]) -> float:
    return float(np.mean([pooled([c])["f1"] or 0.0 for c in counts]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_choice(parser, DEVELOPMENT, ["designed"])
    parser.set_defaults(camouflage=[0.0, 0.4, 0.8])
    parser.add_argument("--jobs", type=int, default=1)
    o = parser.parse_args()
    cities = chosen(o.variants, o.seeds, o.camouflage, o.patients, o.months)
    with ProcessPoolExecutor(o.jobs, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(candidates, cities, [o.folder] * len(cities)))
    result, lines = {}, ["| method | camouflage | " + " | ".join(SHOWN) + " | oracle f1 |"]
    lines.append("| --- |" + " --- |" * (len(SHOWN) + 2))
    levels = sorted({c.camouflage for c in cities})
    for name, options in tried(cities, found).items():
        best, counts = max(options, key=lambda t: mean_f1(t[1]))  # of equals the first
        result[name] = asdict(best)
        for level in levels:
            at = [i for i, c in enumerate(cities) if c.camouflage == level]
            figures = pooled([counts[i] for i in at])
            oracle = max(pooled([c[i] for i in at])["f1"] or 0.0 for _, c in options)
            cells = [
                f"{figures[k]:.3f}" if isinstance(figures[k], float) else str(figures[k] or "–")
                for k in SHOWN
            ]
            lines.append(f"| {name} | {level} | " + " | ".join(cells) + f" | {oracle:.3f} |")
    text = json.dumps({"seeds": o.seeds, "camouflage": levels, "choices": result}, indent=1)
    CHOICES.write_text(text + "\n", encoding="utf-8")
    said = "\n".join(f"- {name}: {json.dumps(choice)}" for name, choice in result.items())
    head = f"Development cities: seeds {' '.join(map(str, o.seeds))}, {o.patients} people, {o.months} months.\n\n"
    (HERE / "development.md").write_text(
        head + "\n".join(lines) + f"\n\nChosen:\n\n{said}\n", encoding="utf-8"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
