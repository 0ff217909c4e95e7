"""Two rings made by hand: cards that a pharmacy's till passes along, and doctors who refer for a fee."""

import json
from typing import Any

import numpy as np
import pandas as pd

from fraud.rings import Rings
from fraud.rings.find import CLAIM_COLUMNS, EDGE_COLUMNS, MEMBER_COLUMNS, RING_COLUMNS

PHARMACY, DOCTORS = "R-1a2b3c4d", "R-5e6f7a8b"


def made(last: str = "2026-07", months: int = 4) -> Rings:
    """Rings of `months` months up to `last`, best first."""
    ends = pd.period_range(end=last, periods=months, freq="M")
    claims = pd.concat([_pharmacy_claims(ends), _doctor_claims(ends)], ignore_index=True)
    rows = [
        _row(claims, *told) for told in ((PHARMACY, "patient_ring", 0.94), (DOCTORS, "doctor_ring", 0.71))
    ]
    members = pd.DataFrame([*_pharmacy_members(), *_doctor_members()], columns=list(MEMBER_COLUMNS))
    edges = pd.DataFrame([*_pharmacy_edges(), *_doctor_edges()], columns=list(EDGE_COLUMNS))
    rings = pd.DataFrame(rows, columns=list(RING_COLUMNS))
    return Rings(
        rings,
        members,
        claims[list(CLAIM_COLUMNS)],
        edges,
        {"addresses": "patients.address"},
        {"meetings": 1.5},
    )


def none_found() -> Rings:
    """A period without rings."""
    columns = (RING_COLUMNS, MEMBER_COLUMNS, CLAIM_COLUMNS, EDGE_COLUMNS)
    return Rings(*(pd.DataFrame(columns=list(c)) for c in columns))


def of_claims(claims: pd.DataFrame, month: str) -> Rings:
    """The two rings with real claims of a dataset as evidence, half of them of `month`."""
    rings = made(month)
    settled = claims.assign(
        month=claims["settled_at"].dt.strftime("%Y-%m"), amount=claims["total_amount"].astype(float)
    )
    settled = settled[(settled["fund_amount"].astype(float) > 50) & settled["doctor_id"].notna()]
    parts = []
    for i, ring in enumerate((PHARMACY, DOCTORS)):
        now = settled[settled["month"] == month].sort_values("claim_id").iloc[i * 12 : i * 12 + 12]
        before = settled[settled["month"] < month].sort_values("claim_id").iloc[i * 12 : i * 12 + 12]
        parts.append(pd.concat([before, now]).assign(ring_id=ring))
    own = pd.concat(parts, ignore_index=True)[list(CLAIM_COLUMNS)]
    return Rings(rings.rings, rings.members, own, rings.edges, rings.skipped, rings.timings)


def _pharmacy_claims(months: pd.PeriodIndex) -> pd.DataFrame:
    """Every second week eight of ten cards, minutes apart, at one till."""
    rows = []
    for month in months:
        for day in (3, 17):
            for k in range(8):
                at = month.to_timestamp() + pd.Timedelta(days=day, hours=10, minutes=4 * k)
                person = (k + day) % 10
                rows.append((f"S{month}-{day:02d}-{k}", f"P{person:03d}", "H077", "", at, 480.0 + 7 * k))
    return _claims(PHARMACY, rows)


def _doctor_claims(months: pd.PeriodIndex) -> pd.DataFrame:
    """Patients of three doctors, days later, at a fourth."""
    rows = []
    for i, month in enumerate(months):
        for k in range(6):
            at = month.to_timestamp() + pd.Timedelta(days=2 + 4 * k, hours=9 + k)
            rows.append((f"T{month}-{k}", f"Q{6 * i + k:03d}", "H012", "D900", at, 2600.0 + 90 * k))
    return _claims(DOCTORS, rows)


def _claims(ring: str, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = ["claim_id", "patient_id", "institution_id", "doctor_id", "settled_at", "amount"]
    return pd.DataFrame(rows, columns=columns).assign(ring_id=ring)


def _pharmacy_members() -> list[tuple[Any, ...]]:
    people = [(PHARMACY, "patient", f"P{k:03d}", "member", round(0.99 - 0.03 * k, 2)) for k in range(10)]
    return [
        (PHARMACY, "operator", "O0815", "organiser", 0.98),
        (PHARMACY, "institution", "H077", "pharmacy", 0.95),
        *people,
    ]


def _doctor_members() -> list[tuple[Any, ...]]:
    doctors = [(DOCTORS, "doctor", "D900", "receiver", 0.97)]
    doctors += [(DOCTORS, "doctor", f"D10{k}", "sender", 0.9 - 0.05 * k) for k in range(3)]
    return doctors + [(DOCTORS, "patient", f"Q{k:03d}", "member", 0.8) for k in range(12)]


def _pharmacy_edges() -> list[tuple[Any, ...]]:
    pairs = [(i, j) for i in range(10) for j in range(i + 1, 10) if (i * 3 + j) % 4]
    return [(PHARMACY, f"P{i:03d}", f"P{j:03d}", 3 + (i + j) % 5, 0.12, 8.0 + i + j) for i, j in pairs]


def _doctor_edges() -> list[tuple[Any, ...]]:
    return [(DOCTORS, f"D10{k}", "D900", 8, 0.9, 11.0 + k) for k in range(3)]


def _row(claims: pd.DataFrame, ring: str, kind: str, score: float) -> tuple[Any, ...]:
    own = claims[claims["ring_id"] == ring]
    size = 12 if ring == PHARMACY else 16
    evidence = _evidence(own, ring)
    return (
        ring, kind, size, len(own), float(own["amount"].sum()), 1e-9, 0.004 if ring == PHARMACY else 0.03,
        own["settled_at"].min(), own["settled_at"].max(), "growing" if ring == PHARMACY else "new", score,
        json.dumps(evidence, ensure_ascii=False, sort_keys=True),
    )  # fmt: skip


def _evidence(own: pd.DataFrame, ring: str) -> dict[str, Any]:
    if ring == PHARMACY:
        told = {
            "organiser": {"kind": "operator", "id": "O0815", "role": "organiser"},
            "summary_zh": "经办人 O0815 在药店 H077 隔周集中刷 10 人的医保卡，每次 8 人、前后半小时，"
            "开的都是易转卖的高价药。",
            "summary_en": "Operator O0815 swipes the cards of 10 people at pharmacy H077 every second "
            "week, eight within half an hour, for costly drugs that resell.",
            "measures": [
                _measure("meetings", "成员间会面次数", "meetings of the members", 212, 3.4),
                _measure("operator_share", "同一经办人的比例", "share handled by one operator", 1.0, 0.22),
                _measure(
                    "resale_share", "易转卖药品费用占比", "share of spending on drugs that resell", 0.86, 0.11
                ),
                _measure(
                    "inside_share", "成员在此处的费用占比", "share of the members' spending here", 0.74, 0.09
                ),
                _measure("days", "会面天数", "days with meetings", 8, 0.6),
            ],
            "explanations": [
                _explanation("chronic_cycle", "慢病固定取药周期", "chronic pick-up cycle", 0.31),
                _explanation("family", "家人同来", "family", 0.12),
                _explanation("dialysis", "透析班次", "dialysis shift", 0.0),
            ],
        }
    else:
        told = {
            "organiser": {"kind": "doctor", "id": "D900", "role": "receiver"},
            "summary_zh": "3 名医师的 24 名患者在就诊后 21 天内首次转到医师 D900 处，"
            "费用为同类首诊的 2.4 倍。",
            "summary_en": "24 patients of 3 doctors first came to doctor D900 within 21 days, at 2.4 times "
            "the cost of like first visits.",
            "measures": [
                _measure(
                    "referral_flow", "转来患者数（预计）", "patients sent (expected by chance)", 24, 2.7
                ),
                _measure(
                    "downstream_cost",
                    "首诊费用与同类之比",
                    "cost of the first visit against peers",
                    2.41,
                    1.0,
                ),
            ],
            "explanations": [
                _explanation("only_specialist", "当地唯一的专科医师", "the only specialist around", 0.18),
                _explanation("same_institution", "同一机构内转诊", "referral within one institution", 0.0),
            ],
        }
    return told | {"claim_ids": own["claim_id"].tolist()}


def _measure(code: str, zh: str, en: str, value: float, baseline: float) -> dict[str, Any]:
    return {"code": code, "zh": zh, "en": en, "value": value, "baseline": baseline}


def _explanation(code: str, zh: str, en: str, share: float) -> dict[str, Any]:
    return {"code": code, "zh": zh, "en": en, "share": share, "explains": bool(np.greater_equal(share, 0.5))}
