"""Candidate rules as an expert reads them: evidence in words, the row to paste, the files to write."""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fraud.errors import UsageError

EXAMPLES = 5
"""Claims named per proposal."""
WEIGHTS = {
    "sex": 1.0, "age": 1.0, "diagnosis": 1.0,
    "specialty": 0.02, "institution_kind": 0.02, "visit_type": 0.02,
}  # fmt: skip
"""How much an exception of each kind tells. Sex, age and diagnoses are the patient's; the others are
the same for all a source does, so its exceptions are one habit however many they are."""
DIAGNOSIS_DAYS = 396
"""Days of earlier diagnoses that an ``indications.csv`` row of this module counts."""
TABLES = {
    "item_limits": (
        "id", "items", "sex", "min_age", "max_age", "visit_types", "institution_kinds", "specialties",
        "note_zh", "note_en", "source",
    ),
    "indications": (
        "id", "items", "diagnoses", "diagnosis_days", "scope_zh", "scope_en", "contraindications_zh",
        "contraindications_en", "note_zh", "note_en", "source",
    ),
}  # fmt: skip
"""Columns of the files that `write` writes."""
LIMITS = ("sex", "min_age", "max_age", "diagnoses", "specialties", "visit_types", "institution_kinds")
COLUMNS = (
    "rank", "id", "kind", "items", "item_name", "context", *LIMITS, "charges", "exceptions",
    "exception_amount", "uses", "exception_uses", "expected_exceptions", "concentration", "ratio_bound",
    "p_value", "q_value", "sources", "largest_source_share", "claim_ids", "value", "note_zh", "note_en",
)  # fmt: skip
ROUNDED = {
    "expected_exceptions": 2, "concentration": 4, "ratio_bound": 6, "largest_source_share": 4, "value": 2,
}  # fmt: skip
WORDS = {
    "sex": ("性别", "sex"), "age": ("年龄", "age"), "diagnosis": ("诊断", "diagnoses"),
    "specialty": ("专科", "specialties"), "institution_kind": ("机构类别", "institution kinds"),
    "visit_type": ("就诊类型", "visit types"),
}  # fmt: skip
SEXES = {"F": ("女", "F"), "M": ("男", "M")}


@dataclass(frozen=True)
class Proposals:
    """Candidate rules, best first.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per candidate, see `fraud.rules.mining.propose`.
    exceptions : pandas.DataFrame
        Every charge outside the limit of a candidate: id, claim_id, item, source, cents.
    tested : int
        Pairs of item and context kind tested, the size of the false-discovery family.
    skipped : dict of str to str
        Context kinds that this data cannot decide, and why.
    dataset : str
        Name of the dataset, for the rows' source.
    """

    frame: pd.DataFrame
    exceptions: pd.DataFrame
    tested: int
    skipped: dict[str, str] = field(default_factory=dict)
    dataset: str = "this dataset"


def limit_cells(context: str, values: tuple[str, ...]) -> dict[str, str]:
    """The limit as cells of a knowledge row; ages are the first and last completed year.

    >>> limit_cells("age", ("018", "019", "020"))["max_age"]
    '20'
    """
    cells = dict.fromkeys(LIMITS, "")
    if context == "age":
        low, high = int(min(values)), int(max(values))
        cells["min_age"] = str(low) if low > 0 else ""
        cells["max_age"] = str(high) if high < 120 else ""
        return cells
    column = {
        "sex": "sex", "diagnosis": "diagnoses", "specialty": "specialties",
        "visit_type": "visit_types", "institution_kind": "institution_kinds",
    }[context]  # fmt: skip
    return cells | {column: "|".join(values)}


def describe(
    chosen: pd.DataFrame, exceptions: pd.DataFrame, names: Mapping[str, str], most: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank candidates and put their evidence in words.

    The value of a candidate is yuan × strength × focus² × `WEIGHTS`: the exceptions' mean charge times
    their uses (a patient's refills count once), log2 of one over the upper bound of observed over
    expected exceptions, and the part of the exceptions that one source made, shrunk:
    ``largest / (uses + 1)``, because who swaps does so again and again while honest exceptions are
    everybody's now and then.

    Parameters
    ----------
    chosen : pandas.DataFrame
        One row per candidate, with its statistics.
    exceptions : pandas.DataFrame
        item, claim_id, patient_id, source, cents, charges (of the item in all), context.
    names : mapping of str to str
        Item code → name.
    most : int
        Candidates kept.

    Returns
    -------
    tuple of pandas.DataFrame
        Columns `COLUMNS`, and the exceptions of those candidates.
    """
    keys = ["context", "item"]
    ordered = exceptions.sort_values([*keys, "cents", "claim_id"], ascending=[True, True, False, True])
    groups = ordered.groupby(keys, sort=True)
    told = groups.agg(
        charges=("charges", "first"),
        exceptions=("claim_id", "size"),
        exception_amount=("cents", "sum"),
        sources=("source", "nunique"),
        claim_ids=("claim_id", lambda ids: list(dict.fromkeys(ids))[:EXAMPLES]),
    )
    by_source = ordered.groupby([*keys, "source"]).size()
    told["largest_source_share"] = by_source.groupby(keys).max() / told["exceptions"]
    frame = chosen.merge(told.reset_index(), on=keys, how="inner")
    frame["value"] = _value(frame)
    frame["kind"] = "limit"
    frame["items"] = "code:" + frame["item"]
    frame["item_name"] = [names.get(i) or i for i in frame["item"]]
    frame["id"] = "MINED-" + frame["context"].str.upper() + "-" + frame["item"]
    frame = frame.rename(columns={"expected": "expected_exceptions"})
    cells = [limit_cells(c, v) for c, v in zip(frame["context"], frame["values"], strict=True)]
    for name in LIMITS:
        frame[name] = [c[name] for c in cells]
    for name, digits in ROUNDED.items():
        frame[name] = frame[name].astype(float).round(digits)
    for name in ("p_value", "q_value"):
        frame[name] = [float(f"{v:.4g}") for v in frame[name]]
    frame = frame.sort_values(["value", "id"], ascending=[False, True], kind="stable").head(most)
    frame = frame.reset_index(drop=True)
    frame["rank"] = np.arange(1, len(frame) + 1)
    notes = [_notes(row) for row in frame.to_dict("records")]
    frame["note_zh"], frame["note_en"] = [n[0] for n in notes], [n[1] for n in notes]
    own = exceptions.assign(id="MINED-" + exceptions["context"].str.upper() + "-" + exceptions["item"])
    own = own[own["id"].isin(frame["id"])].sort_values(["id", "claim_id"], kind="stable")
    columns = ["id", "claim_id", "item", "source", "cents"]
    return frame[list(COLUMNS)], own[columns].reset_index(drop=True)


def _value(frame: pd.DataFrame) -> pd.Series:
    yuan = frame["exception_amount"] / 100 * (frame["exception_uses"] / frame["exceptions"]).clip(upper=1.0)
    strength = np.maximum(-np.log2(frame["ratio_bound"].astype(float)), 0.0)
    focus = frame["top_out"] / (frame["exception_uses"] + 1.0)
    return yuan * strength * focus**2 * frame["context"].map(WEIGHTS).astype(float)


def _limit_words(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["context"] == "age":
        low, high = row["min_age"], row["max_age"]
        if low and high:
            return f"{low}至{high}岁", f"{low} to {high} years"
        return (
            (f"{low}岁及以上", f"{low} years or older")
            if low
            else (f"{high}岁及以下", f"{high} years or younger")
        )
    (said,) = [row[n] for n in LIMITS if row[n]]
    if row["context"] == "sex":
        return SEXES.get(said, (said, said))
    return said.replace("|", "、"), said.replace("|", ", ")


def _notes(row: Mapping[str, Any]) -> tuple[str, str]:
    """Evidence in words, Chinese and English."""
    limit_zh, limit_en = _limit_words(row)
    kind_zh, kind_en = WORDS[row["context"]]
    n, out, yuan = row["charges"], row["exceptions"], row["exception_amount"] / 100
    zh = (
        f"“{row['item_name']}”{n}笔收费中{n - out}笔的{kind_zh}为{limit_zh}，例外{out}笔、{yuan:.2f}元；"
        f"按患者与医师计{row['exception_uses']}例，偶然情况下应有约{row['expected_exceptions']:.0f}例。"
        f"例外涉及{row['sources']}名医师（无医师时按机构），最多者占{row['largest_source_share']:.0%}。"
        "由数据挖掘得出，须经专家确认。"
    )
    en = (
        f"Of {n} charges of {row['item_name']}, {n - out} have {kind_en} {limit_en}; {out} do not, "
        f"{yuan:.2f} yuan. In pairs of patient and doctor {row['exception_uses']}, where chance alone would "
        f"give about {row['expected_exceptions']:.0f}. The exceptions are of {row['sources']} doctors "
        f"(institutions where no doctor is named), {row['largest_source_share']:.0%} of them of one. "
        "Mined from data; an expert must confirm it."
    )
    return zh, en


def write(proposals: Proposals, folder: Path) -> list[Path]:
    """Write candidates as rows of knowledge tables, and their evidence beside them.

    ``item_limits.csv`` and ``indications.csv`` can be loaded as a user's knowledge folder once an
    expert has taken out what is wrong; ``evidence.csv`` has every column of the frame.

    Parameters
    ----------
    proposals : Proposals
    folder : Path
        Made where it is absent.

    Returns
    -------
    list of Path
        Files written; a table without candidates is not.

    Raises
    ------
    UsageError
        One of the files is there already: rows an expert may have edited are not replaced.
    """
    folder = Path(folder)
    frame = proposals.frame.assign(
        source=f"mined from {proposals.dataset}, not official",
        diagnosis_days=str(DIAGNOSIS_DAYS),
        claim_ids=["|".join(ids) for ids in proposals.frame["claim_ids"]],
    )
    by_diagnosis = frame["context"] == "diagnosis"
    tables = {
        "item_limits.csv": (TABLES["item_limits"], frame[~by_diagnosis]),
        "indications.csv": (TABLES["indications"], frame[by_diagnosis]),
        "evidence.csv": (COLUMNS, frame),
    }
    there = sorted(name for name in tables if (folder / name).exists())
    if there:
        raise UsageError(
            f"{folder}: {', '.join(there)} is there already. Give an empty folder: rows that were edited "
            "are not replaced."
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (columns, rows) in tables.items():
        if len(rows):
            _write_csv(folder / name, columns, rows.reindex(columns=list(columns), fill_value=""))
            written.append(folder / name)
    return written


def _write_csv(path: Path, columns: tuple[str, ...], rows: pd.DataFrame) -> None:
    beside = path.with_suffix(".part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows.itertuples(index=False))
    os.replace(beside, path)
