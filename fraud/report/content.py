"""What a report shows, and the words it uses for the contract's codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

Words = Mapping[str, tuple[str, str]]

KIND_WORDS: Words = {
    "claim": ("结算单", "claim"),
    "patient": ("参保人", "patient"),
    "doctor": ("医师", "doctor"),
    "department": ("科室", "department"),
    "institution": ("机构", "institution"),
    "ring": ("团伙", "ring"),
}
STATUS_WORDS: Words = {
    "new": ("新增", "new"),
    "up": ("上升", "up"),
    "persisting": ("持续", "persisting"),
    "down": ("下降", "down"),
    "previously_cleared": ("曾排除", "previously cleared"),
}
VISIT_WORDS: Words = {
    "outpatient": ("普通门诊", "outpatient"),
    "emergency": ("急诊", "emergency"),
    "chronic": ("门诊慢特病", "chronic"),
    "inpatient": ("住院", "inpatient"),
    "day_surgery": ("日间手术", "day surgery"),
    "maternity": ("生育", "maternity"),
    "pharmacy": ("药店购药", "pharmacy"),
    "other": ("其他", "other"),
}
INSTITUTION_WORDS: Words = {
    "tertiary": ("三级医院", "tertiary"),
    "secondary": ("二级医院", "secondary"),
    "primary": ("基层机构", "primary"),
    "pharmacy": ("定点药店", "pharmacy"),
    "other": ("其他", "other"),
}
RING_WORDS: Words = {
    "patient_ring": ("集中就医团伙", "patient ring"),
    "pharmacy_ring": ("药店团伙", "pharmacy ring"),
    "stay_ring": ("集中住院团伙", "stay ring"),
    "tour_ring": ("多点取药团伙", "tour ring"),
    "away_ring": ("异地票据团伙", "ring of bills from elsewhere"),
    "doctor_patient_ring": ("医患团伙", "doctor-patient ring"),
    "doctor_ring": ("医师团伙", "doctor ring"),
}
RING_STATUS_WORDS: Words = {
    "new": ("新出现", "new"),
    "growing": ("扩大", "growing"),
    "persisting": ("持续", "persisting"),
    "dormant": ("沉寂", "dormant"),
}
MEMBER_WORDS: Words = {
    "patient": ("参保人", "patient"),
    "doctor": ("医师", "doctor"),
    "department": ("科室", "department"),
    "institution": ("机构", "institution"),
    "operator": ("经办人", "operator"),
}
ROLE_WORDS: Words = {  # the organiser's side first
    "organiser": ("组织者", "organiser"),
    "receiver": ("接收医师", "receiver"),
    "carrier": ("持卡代办人", "carrier"),
    "operator": ("经办人", "operator"),
    "pharmacy": ("药店", "pharmacy"),
    "prescriber": ("开方医师", "prescriber"),
    "sender": ("转出医师", "sender"),
    "place": ("地点", "place"),
    "member": ("成员", "member"),
}
RESULT_WORDS: Words = {"violation": ("明确违规", "violation"), "suspicious": ("可疑", "suspicious")}
FINDING_WORDS = {
    "table": "表 table",
    "column": "列 column",
    "rows": "行数 rows",
    "zh": "说明",
    "en": "in English",
}
EVIDENCE_COLUMNS = (
    ("claim_id", "结算编号", "claim"),
    ("settled_at", "结算时间", "settled"),
    ("visit_type", "就诊类型", "visit"),
    ("patient_id", "参保人", "patient"),
    ("doctor_id", "医师", "doctor"),
    ("department_id", "科室", "department"),
    ("institution_id", "机构", "institution"),
    ("diagnosis_code", "诊断", "diagnosis"),
    ("amount_at_risk", "涉及金额", "at risk"),
    ("score", "风险概率", "score"),
)


@dataclass(frozen=True)
class ReportContent:
    """Everything a report is made of; it is made of nothing else.

    Attributes
    ----------
    month : str
        ``YYYY-MM``.
    suspicions : DataFrame
        The list: contract columns, amounts in yuan, and optionally ``claims``, the number of claims
        in each suspicion.
    claims : DataFrame
        The month's scored claims: ``claim_id``, ``score``, ``amount_at_risk`` and, as far as known,
        the columns of `EVIDENCE_COLUMNS`, ``institution_kind``, ``specialty``.
    fund_amount : float
        Fund payments of the month, yuan.
    capacity : int
        Suspicions the auditors can take.
    history : DataFrame
        Earlier months, ascending: ``month`` and, as far as known, ``claims``, ``fund_amount``,
        ``suspicions``, ``amount_at_risk``, ``expected_recovery``.
    gate : sequence of mapping
        Checks of the quality gate: ``name``, ``passed``, ``message``.
    findings : sequence of mapping
        Quality findings; their keys become columns.
    drift : mapping, optional
        What differs from the months before (``findings``, each with level, place, zh and en, and the
        months ``compared``); None where it was not looked at.
    skipped : mapping
        What was skipped and why.
    facts : mapping
        Model version, rule-set version, engine and the like: label → value.
    notes : sequence of str
        Remarks shown on top, such as that no labels exist yet.
    rings : sequence of str, optional
        Ids of the rings on the page of rings beside the report; None where there is no such page.
    hits : DataFrame, optional
        Rule hits of the month (run table ``rule_hits``); None where no rules were applied.
    rules : mapping
        Names of the rules in Chinese and English by code.
    groups : sequence of mapping
        Groups of odd claims that no label explains (``new_schemes.json``).
    challenger : mapping, optional
        How the challenger would rank the month (`fraud.backtest.overlap`); None without one.
    """

    month: str
    suspicions: pd.DataFrame
    claims: pd.DataFrame
    fund_amount: float
    capacity: int
    history: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"month": []}))
    gate: Sequence[Mapping[str, Any]] = ()
    findings: Sequence[Mapping[str, Any]] = ()
    drift: Mapping[str, Any] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    rings: Sequence[str] | None = None
    hits: pd.DataFrame | None = None
    rules: Words = field(default_factory=dict)
    groups: Sequence[Mapping[str, Any]] = ()
    challenger: Mapping[str, Any] | None = None

    @property
    def totals(self) -> dict[str, float]:
        """Totals of the month, as `history` and the manifest keep them."""
        return {
            "claims": len(self.claims),
            "fund_amount": round(float(self.fund_amount), 2),
            "suspicions": len(self.suspicions),
            "amount_at_risk": cents_sum(self.suspicions["amount_at_risk"]),
            "expected_recovery": cents_sum(self.suspicions["expected_recovery"]),
        }

    def rule_totals(self) -> list[dict[str, Any]]:
        """Hits by rule that no snooze covers, the dearest first: rule, names, result, claims and amount."""
        if self.hits is None or self.hits.empty:
            return []
        live = self.hits[~self.hits["snoozed"].astype(bool)]
        live = live.assign(cents=(live["amount_at_issue"].astype(float) * 100).round().astype("int64"))
        by_rule = live.groupby("rule").agg(
            claims=("claim_id", "nunique"), cents=("cents", "sum"), result=("result", "first")
        )
        order = ["cents", "claims", "rule"]
        by_rule = by_rule.reset_index().sort_values(order, ascending=[False, False, True])
        return [
            {**row, "amount": row["cents"] / 100, "names": self.rules.get(row["rule"], (row["rule"], ""))}
            for row in by_rule.to_dict("records")
        ]

    def evidence(self) -> pd.DataFrame:
        """Evidence claims of every suspicion, in the list's order, with what is known of them.

        Returns
        -------
        DataFrame
            ``rank``, ``suspicion_id`` and those of `EVIDENCE_COLUMNS` that `claims` has.
        """
        own = self.suspicions[["rank", "suspicion_id", "evidence_claim_ids"]]
        own = own.explode("evidence_claim_ids").dropna(subset=["evidence_claim_ids"])
        own = own.rename(columns={"evidence_claim_ids": "claim_id"})
        known = [name for name, _, _ in EVIDENCE_COLUMNS if name in self.claims]
        listed = self.claims.loc[self.claims["claim_id"].isin(own["claim_id"]), known]
        own["claim_id"] = own["claim_id"].astype(listed["claim_id"].dtype)
        return own.merge(listed, on="claim_id", how="left").reset_index(drop=True)


def reason_bars(reason: Mapping[str, Any]) -> list[tuple[str, str, str, float, int]]:
    """Bars that compare a reason's value: style, words, value and width in percent.

    This time, the subject's own past and the peers, as far as known; none where there is nothing to compare.
    """
    measured = [
        ("now", "本次", "now", reason.get("value")),
        ("own", "自身过去", "own past", reason.get("own_past")),
        ("peer", "同类", "peers", reason.get("baseline")),
    ]
    known = [(css, zh, en, float(v)) for css, zh, en, v in measured if v is not None and v == v]
    if len(known) < 2 or not (reason.get("peer_group") or reason.get("own_past") is not None):
        return []
    top = max(abs(v) for *_, v in known) or 1.0
    return [(css, zh, en, v, round(100 * abs(v) / top)) for css, zh, en, v in known]


def cents_sum(yuan: pd.Series) -> float:
    """Sum of yuan without the order mattering."""
    return int((yuan.astype(float) * 100).round().sum()) / 100


def money(yuan: float) -> str:
    """Yuan for a table cell.

    >>> money(1234567.8)
    '1,234,568'
    """
    return f"{yuan:,.0f}"


def short_money(yuan: float) -> str:
    """Yuan for a headline, in 万 or 亿 where that is shorter.

    >>> short_money(980), short_money(1234567), short_money(2.5e8)
    ('980 元', '123.5 万元', '2.50 亿元')
    """
    if abs(yuan) >= 1e8:
        return f"{yuan / 1e8:,.2f} 亿元"
    return f"{yuan / 1e4:,.1f} 万元" if abs(yuan) >= 1e4 else f"{yuan:,.0f} 元"


def number(value: float | None) -> str:
    """Measured value with three significant digits, or a dash.

    >>> number(12345.6), number(0.01234), number(3.0), number(None)
    ('12,346', '0.0123', '3', '–')
    """
    if value is None or value != value:
        return "–"
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"
