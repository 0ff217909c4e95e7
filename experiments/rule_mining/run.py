"""Do mined rules point at planted fraud? Against raw lift, on synthetic cities nothing was tuned on.

Each method proposes rules, best first; the exceptions of a proposal are the claims an auditor would look
at. Precision is the share of those claims that are planted fraud of any scheme (the truth marks claims,
not lines); coverage the share of planted item swaps and impersonations among them. See README.md.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fraud.engines import open_engine
from fraud.rules.mining import FEWEST, propose
from fraud.settings import EngineSettings
from fraud.synthetic.generate import generate

START, MONTHS = "2025-01", 12
TOP = (10, 20, 50)
CLAIMS = (100, 200)
MISMATCH = ("item_swap", "impersonation")
HERE = Path(__file__).parent
AGES = [-1, 0, 5, 13, 17, 29, 44, 59, 74, 200]


def lifts(city: Path) -> pd.DataFrame:
    """Every pair of an item and a context value that occurs: charges, claims, money, raw lift (observed / expected)."""
    claims = pd.read_parquet(city / "claims.parquet")
    claims = claims[claims["total_amount"] > 0]
    people = pd.read_parquet(city / "patients.parquet").set_index("patient_id")
    specialty = pd.read_parquet(city / "departments.parquet").set_index("department_id")["specialty"]
    kind = pd.read_parquet(city / "institutions.parquet").set_index("institution_id")["kind"]
    born = pd.to_datetime(claims["patient_id"].map(people["birth_date"]))
    age = (claims["started_at"] - born).dt.days / 365.25
    contexts = pd.DataFrame(
        {
            "claim_id": claims["claim_id"],
            "sex": claims["patient_id"].map(people["sex"]),
            "age": pd.cut(age, AGES).astype(str).where(age.notna()),
            "diagnosis": claims["diagnosis_code"].str[:3],
            "specialty": claims["department_id"].map(specialty),
            "institution_kind": claims["institution_id"].map(kind),
            "visit_type": claims["visit_type"],
        }
    )
    lines = pd.read_parquet(city / "lines.parquet", columns=["claim_id", "item_code", "amount"])
    lines["yuan"] = lines.pop("amount").astype(float)
    charges = (
        lines.groupby(["claim_id", "item_code"], as_index=False)["yuan"].sum().merge(contexts, on="claim_id")
    )
    charges = charges[charges.groupby("item_code")["claim_id"].transform("size") >= FEWEST]
    parts = []
    for context in [c for c in contexts if c != "claim_id"]:
        known = charges[charges[context].notna()]
        base = contexts[context].value_counts(normalize=True)
        grouped = known.groupby(["item_code", context])
        table = grouped.agg(
            n=("claim_id", "size"), yuan=("yuan", "sum"), claim_ids=("claim_id", list)
        ).reset_index()
        total = known.groupby("item_code").size()
        table["lift"] = table["n"] / (table["item_code"].map(total) * table[context].map(base))
        parts.append(table.rename(columns={context: "value"}).assign(context=context))
    return pd.concat(parts, ignore_index=True)


def methods(city: Path, work: Path) -> tuple[dict[str, list[list[str]]], dict[str, float]]:
    """Claims of each proposal, best proposal first, by method; CPU-seconds of the mining."""
    began = time.process_time()
    with open_engine(EngineSettings(threads=1), work) as engine:
        engine.open_dataset(city)
        mined = propose(engine, START, f"2025-{MONTHS:02d}", most=200, dataset="a synthetic city")
    spent = time.process_time() - began
    claims = mined.exceptions.groupby("id")["claim_id"].agg(list)
    raw = lifts(city)
    raw["money"] = raw["yuan"] * -np.log2(raw["lift"])
    found = {
        "mined": [claims[i] for i in mined.frame["id"]],
        "raw lift, lowest first": raw.sort_values(["lift", "item_code", "value"])["claim_ids"].tolist(),
        "yuan × −PMI": raw.sort_values(["money", "item_code", "value"], ascending=[False, True, True])[
            "claim_ids"
        ].tolist(),
    }
    for context in ("sex", "age", "diagnosis"):
        one = mined.frame[mined.frame["context"] == context]
        found[f"mined, {context} only"] = [claims[i] for i in one["id"]]
    diagnosis = raw[raw["context"] == "diagnosis"].sort_values(["lift", "item_code", "value"])
    found["raw lift, diagnosis only"] = diagnosis["claim_ids"].tolist()
    return found, {"cpu": spent, "tested": mined.tested, "proposed": len(mined.frame)}


def measured(proposals: list[list[str]], scheme: pd.Series, mismatched: int) -> list[dict[str, object]]:
    """Precision and coverage at the first proposals, and at the first claims."""
    rows = []
    for at in TOP:
        rows.append(
            {"at": f"{at} proposals", "claims": list(dict.fromkeys(c for p in proposals[:at] for c in p))}
        )
    order = list(dict.fromkeys(c for p in proposals for c in p))
    rows += [{"at": f"{at} claims", "claims": order[:at]} for at in CLAIMS]
    for row in rows:
        marks = pd.Series(row.pop("claims"), dtype=object).map(scheme).fillna("")
        row |= {
            "claims": len(marks),
            "precision": float((marks != "").mean()) if len(marks) else np.nan,
            "coverage": float(marks.isin(MISMATCH).sum() / mismatched),
            "swaps": int((marks == "item_swap").sum()),
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[71, 72, 73])
    parser.add_argument("--patients", type=int, default=6000)
    arguments = parser.parse_args()
    rows, facts = [], []
    for seed in arguments.seeds:
        with TemporaryDirectory() as folder:
            city = Path(folder) / "city"
            generate(city, patients=arguments.patients, months=MONTHS, seed=seed, start=START)
            scheme = (
                pd.read_parquet(city / "truth" / "claims.parquet").set_index("claim_id")["scheme"].astype(str)
            )
            total = len(pd.read_parquet(city / "claims.parquet", columns=["claim_id"]))
            mismatched = int(scheme.isin(MISMATCH).sum())
            found, fact = methods(city, Path(folder) / "work")
            facts.append(
                {
                    "seed": seed,
                    "claims": total,
                    "planted": len(scheme),
                    "item swaps": int((scheme == "item_swap").sum()),
                    "impersonations": int((scheme == "impersonation").sum()),
                }
                | fact
            )
            for method, proposals in found.items():
                rows += [
                    {"seed": seed, "method": method, **r} for r in measured(proposals, scheme, mismatched)
                ]
            print(facts[-1], flush=True)
    write(pd.DataFrame(rows), pd.DataFrame(facts))


def write(table: pd.DataFrame, facts: pd.DataFrame) -> None:
    """Mean over seeds first, then every seed."""
    mean = (
        table.groupby(["method", "at"], sort=False)[["claims", "precision", "coverage", "swaps"]]
        .mean()
        .reset_index()
    )
    cells = [
        "# Mined rules: precision and coverage",
        "",
        "Mean over the seeds.",
        "",
        *markdown(mean),
        "",
        "Every seed.",
        "",
        *markdown(table),
        "",
        "The cities.",
        "",
        *markdown(facts),
        "",
    ]
    (HERE / "table.md").write_text("\n".join(cells), encoding="utf-8")


def markdown(table: pd.DataFrame) -> list[str]:
    def cell(value: object) -> str:
        return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    return lines + ["| " + " | ".join(map(cell, row)) + " |" for row in table.itertuples(index=False)]


if __name__ == "__main__":
    main()
