"""What an auditor reads of a ring: what was done, by what evidence, and which innocent reasons were tried."""

from typing import Any

import numpy as np
import pandas as pd

from fraud.rings.model import RingModels, standardised

KINDS = {
    "stay_ring": ("集中住院", "admitted together"),
    "pharmacy_ring": ("药店集中取药", "gathering at a pharmacy"),
    "away_ring": ("异地票据", "bills from elsewhere"),
    "tour_ring": ("多点取药", "fetching drugs at many places"),
    "doctor_patient_ring": ("医患往来", "a doctor and a circle of patients"),
    "patient_ring": ("集中就医", "gathering at one place"),
}
ROLES = {
    "operator": ("结算操作员", "operator"),
    "doctor": ("医师", "doctor"),
    "institution": ("机构", "institution"),
}
CLINIC_DAYS, CLINIC_SHARE = 4, 0.6
"""Days, and share of the claims on one weekday, from which on a fixed clinic day is an explanation."""
EXPLAINS = 0.5
"""Share of a ring's meetings from which on an innocent reason explains them."""


def kind(claims: pd.DataFrame, actors: list[dict[str, Any]]) -> str:
    """Kind of a ring by where its claims come from."""
    if len(claims) and claims["out_of_region"].mean() > 0.5:
        return "away_ring"
    if claims["is_stay"].mean() > 0.5:
        return "stay_ring"
    places = [a for a in actors if a["member_kind"] == "institution" and "boxes" not in a]
    if not places or (any("boxes" in a for a in actors) and claims["place"].nunique() >= 3):
        return "tour_ring"
    if (claims["kind"] == "pharmacy").mean() > 0.5 or any(a["role"] == "pharmacy" for a in actors):
        return "pharmacy_ring"
    if any(a["member_kind"] == "doctor" for a in actors):
        return "doctor_patient_ring"
    return "patient_ring"


def tell(
    claims: pd.DataFrame,
    edges: pd.DataFrame,
    actors: list[dict[str, Any]],
    measures: pd.Series,
    models: RingModels,
) -> dict[str, Any]:
    """Evidence of a ring: organiser, summary, measures (strongest first), explanations."""
    organiser = next((a for a in actors if a["role"] == "organiser"), None)
    shown = organiser or next(iter(actors), None)
    found = _measures(claims, edges, actors, measures, models)
    tried = explanations(claims)
    name = KINDS[kind(claims, actors)]
    people, amount = claims["person"].nunique(), claims["amount"].sum()
    begin, end = claims["settled_at"].min(), claims["settled_at"].max()
    via_zh, via_en = _via(shown)
    zh = (
        f"{name[0]}：{people} 人自 {begin:%Y-%m-%d} 至 {end:%Y-%m-%d} {via_zh}共 {len(claims)} 次结算，"
        f"金额 {amount:,.2f} 元；{found[0]['zh'] if found else ''}"
    )
    en = (
        f"{name[1].capitalize()}: {people} people, {len(claims)} claims{via_en} from {begin:%Y-%m-%d} to "
        f"{end:%Y-%m-%d}, {amount:,.2f} in all; {found[0]['en'] if found else ''}"
    )
    return {
        "organiser": None
        if organiser is None
        else {"kind": organiser["member_kind"], "id": organiser["member_id"], "role": "organiser"},
        "summary_zh": zh,
        "summary_en": en,
        "measures": found,
        "explanations": tried,
    }


def _via(actor: dict[str, Any] | None) -> tuple[str, str]:
    if actor is None:
        return "在多家机构", " at many places"
    if "boxes" in actor:
        told = f"{actor['boxes']} 盒药品的追溯码在机构 {actor['member_id']} 再次结算"
        return f"（{told}）", f" ({actor['boxes']} of their boxes were charged again at {actor['member_id']})"
    share = f"{actor['membership_score']:.0%}"
    zh, en = ROLES[actor["member_kind"]]
    return f"（{share} 经{zh} {actor['member_id']}）", f" ({share} through {en} {actor['member_id']})"


# Of a candidate's measures: code, what a model knows it by, baseline measure, words.
_TOLD = (
    ("early", "mean_early_share", "mean_place_early", "上次用药未尽即再次取药占费用 {v:.0%}（该机构平均 {b:.0%}）", "drugs fetched before the last supply was used up: {v:.0%} of the money (the place's mean {b:.0%})"),
    ("switched", "mean_switched_share", None, "换机构重复取药占费用 {v:.0%}", "of it at another place than the last supply: {v:.0%} of the money"),
    ("resold", "mean_resold_share", None, "追溯码在他人结算中再次出现的药品占费用 {v:.0%}", "boxes whose trace code came up again for someone else: {v:.0%} of the money"),
    ("rare", "mean_rare_share", None, "少见高价项目占费用 {v:.0%}", "rare and costly items: {v:.0%} of the money"),
    ("dear", "mean_dear_mean", "mean_place_dear", "单次费用高于同类 {v:.1f} 个标准差（该机构平均 {b:.1f}）", "claims dearer than their peers by {v:.1f} deviations (the place's mean {b:.1f})"),
    ("clones", "mean_clone_share", None, "与他人项目数量完全相同的结算占 {v:.0%}", "claims with exactly the bundle of someone else: {v:.0%}"),
    ("amounts", "mean_equal_share", None, "与他人金额完全相同的结算占 {v:.0%}", "claims of exactly someone else's amount: {v:.0%}"),
    ("operator", "top_top_operator", None, "{v:.0%} 的成员多经同一操作员结算", "the same operator settles most claims of {v:.0%} of the members"),
    ("doctor", "top_top_doctor", None, "{v:.0%} 的成员多由同一医师接诊", "the same doctor sees {v:.0%} of the members most often"),
    ("item", "top_top_item", None, "{v:.0%} 的成员费用最高的项目相同", "the same item is the dearest of {v:.0%} of the members"),
    ("inside", "mean_cents_part", None, "成员费用中有 {v:.0%} 发生在此", "{v:.0%} of what the members cost arises here"),
    ("late", "mean_late_share", None, "非正常时段结算占 {v:.0%}", "claims at odd hours: {v:.0%}"),
    ("away", "mean_away_share", None, "异地结算占 {v:.0%}", "claims from outside the region: {v:.0%}"),
    ("invoices", "density_invoice", None, "成员间发票号码相连的比例 {v:.0%}", "pairs of members with neighbouring invoice numbers: {v:.0%}"),
    ("round", "mean_round_share", None, "金额为整数的结算占 {v:.0%}", "claims of round amounts: {v:.0%}"),
    ("idle", "mean_care_share", None, "床位护理占费用 {v:.0%}", "bed and nursing: {v:.0%} of the money"),
    ("exam", "mean_exam_share", None, "检查检验占费用 {v:.0%}", "examinations: {v:.0%} of the money"),
)  # fmt: skip


def _measures(
    claims: pd.DataFrame,
    edges: pd.DataFrame,
    actors: list[dict[str, Any]],
    measures: pd.Series,
    models: RingModels,
) -> list[dict[str, Any]]:
    out = []
    met, chance = float(edges["days"].sum()), float(edges["expected"].sum())
    if met >= 3 and met > 2 * chance:
        strength = met * np.log(met / max(chance, 0.1)) - (met - chance)
        out.append((float(np.sqrt(2 * max(strength, 0))), _measure(
            "meetings", met, chance,
            f"成员两两相遇 {met:.0f} 次（按各自习惯与机构节奏预期 {chance:.1f} 次）",
            f"members met {met:.0f} times in pairs (expected from habits and the place's rhythm: {chance:.1f})",
        )))  # fmt: skip
    for code, name, base, zh, en in _TOLD:
        value = float(measures.get(name, np.nan))
        known = base is not None and np.isfinite(measures.get(base, np.nan))
        baseline = float(measures[base]) if known else models.usual.get(name, (0.0, 1.0))[0]
        z = standardised(name, value, models)
        if np.isfinite(value) and z >= 1.0 and value > baseline and value >= 0.05:
            out.append((min(z, 20.0), _measure(code, value, baseline, zh.format(v=value, b=baseline), en.format(v=value, b=baseline))))  # fmt: skip
    return [m for _, m in sorted(out, key=lambda pair: (-pair[0], pair[1]["code"]))][:8]


def _measure(code: str, value: float, baseline: float, zh: str, en: str) -> dict[str, Any]:
    return {"code": code, "zh": zh, "en": en, "value": round(value, 4), "baseline": round(baseline, 4)}


def explanations(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """Innocent reasons tried, with the share of the claims (or members) each explains."""
    people = claims.drop_duplicates("person")
    days = claims.groupby("person")["day"].apply(lambda d: np.diff(np.unique(d.to_numpy())))
    steady = np.mean([_steady(gaps) for gaps in days]) if len(days) else 0.0
    weekday = (claims["day"] % 7).value_counts(normalize=True).iloc[0] if len(claims) else 0.0
    often = claims["day"].nunique() >= CLINIC_DAYS and weekday >= CLINIC_SHARE
    prefix = claims["diagnosis"].fillna("")
    shares = {
        "dialysis": float(prefix.isin(("Z49", "N18", "Z99")).mean()),
        "course": float(prefix.isin(("Z51", "Z50")).mean()),
        "family": _together(people["household_id"]),
        "employer": _largest(people["employer_id"]),
        "care_home": _largest(people["address"]),
        "clinic_day": float(weekday) if often else 0.0,
        "pick_up": float(steady),
        "check_up": float(prefix.isin(("Z00", "Z01", "Z02")).mean()),
    }
    return [
        {
            "code": code,
            "zh": f"{REASONS[code][0]}：可解释 {share:.0%}",
            "en": f"{REASONS[code][1]}: explains {share:.0%}",
            "share": round(share, 4),
            "explains": bool(share >= EXPLAINS),
        }
        for code, share in shares.items()
    ]


REASONS = {
    "dialysis": ("透析班次", "dialysis shift"),
    "course": ("化疗或康复疗程", "chemotherapy or rehabilitation course"),
    "family": ("同户家庭成员", "members of one household"),
    "employer": ("同一用人单位", "one employer"),
    "care_home": ("同一住址或养老机构", "one address or care home"),
    "clinic_day": ("固定门诊日", "fixed clinic day"),
    "pick_up": ("慢病规律取药", "steady chronic pick-up"),
    "check_up": ("健康体检", "health check"),
}


def _steady(gaps: np.ndarray) -> bool:
    """Whether somebody comes at a steady interval of two to seven weeks."""
    return bool(len(gaps) >= 2 and 14 <= gaps.mean() <= 49 and gaps.std() <= 0.25 * gaps.mean())


def _together(values: pd.Series) -> float:
    """Share of people who share a value with another of them."""
    known = values.dropna()
    return float(known.duplicated(keep=False).sum() / max(1, len(values)))


def _largest(values: pd.Series) -> float:
    """Share of people with the commonest value, if at least two have it."""
    counts = values.dropna().value_counts()
    return float(counts.iloc[0] / len(values)) if len(counts) and counts.iloc[0] >= 2 else 0.0
