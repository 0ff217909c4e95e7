"""Every feature: what it is called, measured in, points to, needs, and how it is said to an auditor.

The entries are data (``catalog_data/*.toml``), read on first use. ``entity.toml`` holds measures that
several entities share; each is one feature per entity it lists.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ENTITIES = ("claim", "patient", "doctor", "department", "institution")
UNITS = ("yuan", "days", "count", "share", "ratio", "score", "hours", "flag", "years")

GROUPS: dict[str, tuple[str, str]] = {
    "amount": ("费用金额", "amounts"),
    "mix": ("费用结构", "mix of charges"),
    "frequency": ("就诊频次", "frequency"),
    "interval": ("间隔与再入院", "intervals and readmission"),
    "stay": ("住院过程", "course of the stay"),
    "supply": ("用药量", "drug supply"),
    "novelty": ("陌生程度", "novelty"),
    "bundle": ("雷同程度", "identical bundles"),
    "price": ("单价", "unit prices"),
    "timing": ("时间规律", "timing"),
    "conflict": ("矛盾", "contradictions"),
    "repetition": ("重复", "repetition"),
    "travel": ("异地与票据", "region and invoices"),
    "crowd": ("同批集中", "crowds"),
    "companions": ("结伴", "companions"),
    "concentration": ("集中度", "concentration"),
    "severity": ("病种与诊断", "diagnoses and severity"),
    "change": ("变化", "change over time"),
    "rings": ("团伙往来", "ring ties"),
}

WHO: dict[str, tuple[str, str]] = {
    "claim": ("本单", "this claim"),
    "ring": ("本单", "this claim"),
    "patient": ("该参保人", "this patient"),
    "doctor": ("该医师", "this doctor"),
    "department": ("该科室", "this department"),
    "institution": ("该机构", "this institution"),
}

POINT_IN_TIME: dict[str, str] = {
    "itself": "From the claim itself and master data; nothing else.",
    "before": "From claims settled in strictly earlier seconds than this one, at most 365 days back.",
    "month": "From claims settled up to the end of the claim's month; nothing later.",
    "peers": "The claim against claims settled in its month and the two months before, itself included.",
    "crowd": "From settlements of the claim's own month around its moment; nothing after that month.",
    "mix": "From claims settled in the last three months (or the scoring window if longer), up to the "
    "end of the month.",
    "year": "From claims settled in the last twelve months, up to the end of the month.",
    "static": "From master data.",
    "quarter": "From claims settled up to the last end of a quarter before the claim's month; nothing later.",
}

CLAIM_CONTEXT = frozenset(
    (
        "claims_3m", "claims_12m", "claims_growth", "amount_growth", "fund_share", "amount_to_expected",
        "amount_z_mean", "amount_high_share", "case_mix_z", "new_institution_share", "first_claim_share",
        "same_amount_share", "round_amount_share", "night_share", "readmission_share", "split_stay_share",
        "idle_stay_share", "left_bed_share", "inside_stay_share", "cohort_share", "occupancy_mean",
        "shared_contact_share", "companion_share", "conflict_share", "invoice_run_share", "trace_reused",
        "exam_lab_z_mean", "price_ratio_mean", "unusual_amount_share", "cloned_bundle_share", "overlap_days",
        "cloned_diagnosis_share", "stock_days_max", "early_fill_share", "class_institutions_max",
        "suspicious_share", "patient_hhi", "patient_repeat", "place_n", "doctor_top", "busiest_day_ratio",
        "inflow_lift", "partner_top_share", "basket_excess_mean",
    )
)  # fmt: skip
"""Measures of an entity that its claims carry too."""

_COMPARED = (
    "，同类一般为{baseline}，高于{percentile}的同类",
    "; peers are usually at {baseline}, and it is above {percentile} of them",
)
# where low is suspicious, "above 3 % of peers" would read the wrong way round
_COMPARED_LOW = (
    "，同类一般为{baseline}，属于同类中最低的{percentile}",
    "; peers are usually at {baseline}, and it is among the lowest {percentile} of them",
)


@dataclass(frozen=True)
class Feature:
    """One feature of one entity.

    Attributes
    ----------
    name, entity, group : str
        Column name, what it describes (``ring``: a claim's ring evidence, which the pipeline builds on
        request), and one of `GROUPS`.
    unit : str
        One of `UNITS`.
    direction : int
        1 where higher is more suspicious, -1 where lower is, 0 where either may be.
    title_zh, title_en : str
        Short name.
    sentence_zh, sentence_en : str
        Templates with ``{value}``, ``{baseline}`` and ``{percentile}``, given as formatted text.
    point_in_time : str
        What the feature may look at.
    needs : tuple of str
        ``table.column`` names without which it is skipped.
    """

    name: str
    entity: str
    group: str
    unit: str
    direction: int
    title_zh: str
    title_en: str
    sentence_zh: str
    sentence_en: str
    point_in_time: str
    needs: tuple[str, ...] = ()


def _feature(name: str, entity: str, entry: Mapping[str, Any]) -> Feature:
    who_zh, who_en = WHO[entity]
    say_zh, say_en = (entry["say"][i].replace("{who}", (who_zh, who_en)[i]) for i in (0, 1))
    compared = _COMPARED_LOW if entry["direction"] < 0 else _COMPARED
    if entry["unit"] == "flag":
        compared = ("", "")
    return Feature(
        name=name,
        entity=entity,
        group=entry["group"],
        unit=entry["unit"],
        direction=entry["direction"],
        title_zh=entry["title"][0],
        title_en=entry["title"][1],
        sentence_zh=say_zh + compared[0] + "。",
        sentence_en=say_en[0].upper() + say_en[1:] + compared[1] + ".",
        point_in_time=POINT_IN_TIME[entry["rule"]],
        needs=tuple(entry.get("needs", ())),
    )


def _entries() -> Iterator[Feature]:
    folder = Path(__file__).parent / "catalog_data"
    for path in sorted(folder.glob("claim*.toml")):
        for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            yield _feature(name, "claim", entry)
    for name, entry in tomllib.loads((folder / "ring.toml").read_text(encoding="utf-8")).items():
        yield _feature(name, "ring", entry)
    shared = tomllib.loads((folder / "entity.toml").read_text(encoding="utf-8"))
    for entity in ENTITIES[1:]:
        for measure, entry in shared.items():
            if entity in entry["of"]:
                yield _feature(f"{entity}_{measure}", entity, entry)


@cache
def features() -> dict[str, Feature]:
    """All features by name, claims first; read once."""
    return {f.name: f for f in _entries()}


def of_entity(entity: str) -> tuple[str, ...]:
    """Names of an entity's own features, in catalog order."""
    return tuple(f.name for f in features().values() if f.entity == entity)


def claim_context(entity: str) -> tuple[str, ...]:
    """Names of an entity's features that its claims carry too (all of them would be too many)."""
    return tuple(n for n in of_entity(entity) if n.removeprefix(f"{entity}_") in CLAIM_CONTEXT)


def __getattr__(name: str) -> Any:
    if name == "CATALOG":
        return features()
    raise AttributeError(name)
