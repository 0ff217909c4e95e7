"""Rings in the public Medicare inpatient claims: which there are, and do ring features find the labels?

    python experiments/rings_medicare/run.py rings                  # what is found, against chance
    python experiments/rings_medicare/run.py benchmark --seeds 200  # AP of providers; seeds one after the other
    python experiments/rings_medicare/run.py table                  # table.md and results.json of both

Reads the real data from FRAUD_REAL_DATA or ../shared/data beside the checkout. What is made of it is
kept in build/rings_medicare (not under version control); results.json and table.md hold aggregates only.
"""

import argparse

import report
from benchmark import BUILD, benchmark
from detection import rings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("rings", "benchmark", "table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[200, 201, 202])
    parser.add_argument("--rounds", type=int, default=500, help="permutations of the structure")
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    if options.stage == "rings":
        rings(BUILD, options.rounds)
    elif options.stage == "benchmark":
        benchmark(options.seeds)
    else:
        report.write(BUILD)


if __name__ == "__main__":
    main()
