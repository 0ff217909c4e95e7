"""A programme of 24 months: money found, false alarms and time to detect by rules, one model, and the full loop.

    python experiments/programme/run.py [--patients 12000] [--seeds 31 32] [--capacity 120]

Every arm has a city of its own with the same people, the same honest claims and the same plans of the same gangs; what
gangs do then depends on who is caught (city.py). A year before the programme was audited as the generator's auditors
do. Writes results.json, table.md and picture.svg. Arms of an
earlier run of the same size are kept, so that they may be run one at a time.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from arms import ARMS, Arm, first_year, fitted
from city import HISTORY, PROGRAMME, LivingCity, Programme
from table import write

HERE = Path(__file__).resolve().parent
CAMOUFLAGE = 0.4


def programme(seed: int, patients: int, capacity: int, arms: list[str], folder: Path) -> list[dict]:
    """Rows of every arm's months."""
    plan = Programme.drawn(seed)
    rows = []
    model = None
    for name in arms:
        began = time.perf_counter()
        city = LivingCity(folder / name / "city", patients, seed, CAMOUFLAGE, plan)
        for _ in range(HISTORY):
            city.advance()
        if model is None:  # the year before is the same for all
            history, known = first_year(city, folder / "work")
            model = fitted(history, known)
        arm = Arm(name, city, folder / name, capacity, seed)
        arm.start(history, known, model)
        for _ in range(PROGRAMME):
            arm.live()
            print(f"seed {seed} {name} {json.dumps(arm.rows[-1], ensure_ascii=False)}", file=sys.stderr, flush=True)
        truth = city.truth()
        rows += [r | {"seed": seed, "begins": plan.begins} for r in arm.rows]
        rows[-1]["planned"] = first_claims(truth, city)
        print(f"seed {seed} {name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        shutil.rmtree(folder / name)
    return rows


def first_claims(truth: pd.DataFrame, city: LivingCity) -> dict[str, str]:
    """Month of each scheme's first claim."""
    claims = pd.read_parquet(city.out / "claims", columns=["claim_id", "settled_at"])
    month = truth["claim_id"].map(claims.set_index("claim_id")["settled_at"]).dt.strftime("%Y-%m")
    return {k: str(m) for k, m in month.groupby(truth["scheme"]).min().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=12_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[31, 32])
    parser.add_argument("--capacity", type=int, default=120, help="claims audited a month")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--out", type=Path, default=HERE)
    o = parser.parse_args()
    kept = o.out / "results.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    alike = (known.get("patients"), known.get("capacity")) == (o.patients, o.capacity)
    rows: list[dict] = known["rows"] if alike else []
    np.seterr(all="raise", under="ignore")
    for seed in o.seeds:
        with tempfile.TemporaryDirectory() as folder:
            made = programme(seed, o.patients, o.capacity, o.arms, Path(folder))
        rows = [r for r in rows if not (r["seed"] == seed and r["arm"] in o.arms)] + made
        text = json.dumps({"patients": o.patients, "capacity": o.capacity, "rows": rows}, indent=1, ensure_ascii=False)
        kept.write_text(text + "\n", encoding="utf-8")
    if {(r["seed"], r["arm"]) for r in rows} >= {(s, a) for s in o.seeds for a in ARMS}:
        write(json.loads(kept.read_text(encoding="utf-8")), o.out)


if __name__ == "__main__":
    main()
