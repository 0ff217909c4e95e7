"""What an auditor reads about a doctor ring: what was done, how much is chance, what else was tried."""

import json
from typing import Any

import numpy as np
import pandas as pd

from fraud.rings.referral_links import WITHIN, Links

SHOWN = 50
"""Most claims named in the evidence."""
EXPLAINS = 0.5
"""Share of the flow from which on an innocent explanation is taken to explain it."""


def evidence_text(
    ring: pd.DataFrame, links: pd.DataFrame, claims: pd.DataFrame, found: Links, everybody: pd.DataFrame
) -> str:
    """Evidence of one ring as JSON.

    Parameters
    ----------
    ring : DataFrame
        Its pairs (see `fraud.rings.referral_flow.pair_table`).
    links : DataFrame
        Its links, with the share each pair has in them.
    claims : DataFrame
        Its evidence claims.
    found : Links
        What left the engine.
    everybody : DataFrame
        Links of all pairs, to compare with.
    """
    receiver = ring.groupby("receiver")["evidence"].sum().sort_index().idxmax()
    body = {
        "organiser": {"kind": "doctor", "id": str(receiver), "role": "receiver"},
        **_summary(ring, links, claims, str(receiver)),
        "measures": _measures(ring, links, found, everybody),
        "explanations": _explanations(ring, found),
        "claim_ids": claims["claim_id"].head(SHOWN).tolist(),
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True)


def _summary(ring: pd.DataFrame, links: pd.DataFrame, claims: pd.DataFrame, receiver: str) -> dict[str, str]:
    senders, patients = ring["sender"].nunique(), links["patient_id"].nunique()
    chance, times = float(ring["expected"].sum()), _times(links)
    money = float(claims["amount"].sum())
    return {
        "summary_zh": (
            f"{senders} 名医师的 {patients} 名患者在就诊后 {WITHIN} 天内因同一诊断首次转到医师 {receiver} 处"
            f"（按常规流向预计 {chance:.1f} 人），费用为同类首诊的 {times:.1f} 倍，涉及金额 {money:,.0f} 元。"
        ),
        "summary_en": (
            f"{patients} patients of {senders} doctors first came to doctor {receiver} within {WITHIN} days "
            f"for the same diagnosis ({chance:.1f} expected from the usual flows), at {times:.1f} times the "
            f"cost of like first visits; {money:,.0f} yuan in all."
        ),
    }


def _times(links: pd.DataFrame) -> float:
    """Geometric mean of cost over peers."""
    return float(np.exp(links.drop_duplicates("claim_id")["excess"].mean()))


def _measure(code: str, zh: str, en: str, value: float, baseline: float) -> dict[str, Any]:
    return {"code": code, "zh": zh, "en": en, "value": round(value, 3), "baseline": round(baseline, 3)}


def _measures(
    ring: pd.DataFrame, links: pd.DataFrame, found: Links, everybody: pd.DataFrame
) -> list[dict[str, Any]]:
    patients = links["patient_id"].nunique()
    expected = float(ring["expected"].sum())
    arrivals = found.doctors.set_index("doctor_id")["arrivals"]
    all_new = max(int(arrivals.reindex(ring["receiver"].unique()).sum()), 1)
    times = _times(links)
    measures = [
        (float(ring["flow"].sum()), _measure(
            "referral_flow", "转来患者数（预计）", "patients sent (expected by chance)", patients, expected)),
        (len(links) * max(np.log(times), 0.0), _measure(
            "downstream_cost", "首诊费用与同类之比", "cost of the first visit against peers", times, 1.0)),
        (float(ring["flow"].sum()) / 2, _measure(
            "receiver_share", "占接收医师新患者的比例", "share of the receiver's new patients",
            patients / all_new, expected / all_new)),
        (0.0, _measure(
            "days_between", "两次就诊间隔天数（中位）", "median days between the two visits",
            float(links["lag"].median()), float(everybody["lag"].median()))),
    ]  # fmt: skip
    return [m for _, m in sorted(measures, key=lambda pair: -pair[0])]


def _explanation(code: str, zh: str, en: str, share: float) -> dict[str, Any]:
    share = round(float(min(max(share, 0.0), 1.0)), 3)
    return {"code": code, "zh": zh, "en": en, "share": share, "explains": share >= EXPLAINS}


def _explanations(ring: pd.DataFrame, found: Links) -> list[dict[str, Any]]:
    """Innocent explanations, each with the share of the flow that it covers."""
    n = float(ring["n"].sum())
    doctors = found.doctors.set_index("doctor_id")
    known = ring.merge(found.innocent, on=["sender", "receiver"], how="left").fillna({"transfers": 0})
    moved = float(known["transfers"].sum())
    same = doctors["institution_id"].reindex(ring["sender"]).to_numpy()
    same = same == doctors["institution_id"].reindex(ring["receiver"]).to_numpy()
    return [
        _explanation("usual_flow", "接收医师受欢迎或两机构间惯常转诊",
                     "the receiver is popular with everyone, or the two institutions refer by habit",
                     float(ring["expected"].sum()) / n),
        _explanation("only_specialist", "当地唯一的专科医师", "the only specialist around",
                     _alone(ring, found)),
        _explanation("same_institution", "同一机构内转诊", "referral within one institution",
                     float(np.mean(same))),
        _explanation("transfer", "住院转院", "transfer from stay to stay", moved / (n + moved)),
        _explanation("follow_up", "接收医师安排的复诊（患者往返于两位医师）",
                     "follow-up ordered by the receiver: patients who go to and fro",
                     float(ring["back"].sum()) / n),
    ]  # fmt: skip


def _alone(ring: pd.DataFrame, found: Links) -> float:
    """Share the receivers have in the first visits to their specialty."""
    doctors = found.doctors
    own = doctors[doctors["doctor_id"].isin(ring["receiver"])]
    peers = doctors[doctors["specialty"].isin(own["specialty"])]
    return float(own["arrivals"].sum() / max(int(peers["arrivals"].sum()), 1))
