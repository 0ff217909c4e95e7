"""The life of a case as data: states, legal transitions, and reasons to choose from.

分派 → 初审 → {排除 | 待补证 | 确认疑点} → 推送机构 → {认可 | 部分认可 | 申诉} → 复审 →
{维持 | 核减 | 撤销} → 合议（可选）→ 结论 → 追回 / 移送 → 归档.
"""

from dataclasses import dataclass
from typing import Literal

Amount = Literal["keep", "set", "lower", "zero", "adjust", "recovered"]
"""What a transition does with the established amount: keep it, set it (above 0), lower it (above 0),
make it 0, perhaps adjust it, or record how much of it was recovered."""

STATES: dict[str, tuple[str, str]] = {
    "unassigned": ("待分派", "unassigned"),
    "first_review": ("初审", "first review"),
    "evidence_wanted": ("待补证", "evidence wanted"),
    "cleared": ("排除", "cleared"),
    "confirmed": ("确认疑点", "suspicion confirmed"),
    "sent": ("已推送机构", "sent to the institution"),
    "accepted": ("机构认可", "accepted"),
    "partly_accepted": ("部分认可", "partly accepted"),
    "appealed": ("机构申诉", "appealed"),
    "second_review": ("复审", "second review"),
    "upheld": ("维持", "upheld"),
    "reduced": ("核减", "reduced"),
    "withdrawn": ("撤销", "withdrawn"),
    "panel": ("合议", "panel"),
    "concluded": ("结论", "concluded"),
    "recovered": ("追回", "recovered"),
    "referred": ("移送", "referred"),
    "archived": ("归档", "archived"),
}
START = "unassigned"

DEADLINES: dict[str, int] = {
    "unassigned": 5,
    "first_review": 10,
    "evidence_wanted": 10,
    "confirmed": 5,
    "sent": 10,
    "accepted": 10,
    "partly_accepted": 5,
    "appealed": 5,
    "second_review": 10,
    "upheld": 10,
    "reduced": 10,
    "withdrawn": 10,
    "panel": 10,
    "concluded": 30,
}
"""Working days a case may stay in a state; a site's own go over them (``[workbench] deadlines``)."""

SCHEMES: dict[str, tuple[str, str]] = {
    "split_stay": ("分解住院", "split stay"),
    "hanging_bed": ("挂床住院", "hanging bed"),
    "ghost_stay": ("虚假住院", "ghost stay"),
    "low_threshold": ("低标准入院", "low-threshold stay"),
    "over_examination": ("过度检查", "over-examination"),
    "over_prescription": ("超量开药", "over-prescription"),
    "duplicate_prescription": ("重复开药", "duplicate prescription"),
    "drug_resale": ("药品倒卖", "drug resale"),
    "item_swap": ("串换项目", "item swap"),
    "duplicate_charge": ("重复收费", "duplicate charge"),
    "split_charge": ("分解收费", "split charge"),
    "card_pool": ("集中刷卡", "card pool"),
    "impersonation": ("冒名就医", "impersonation"),
    "phantom_invoice": ("虚假异地发票", "phantom invoice"),
    "upcoding": ("高套", "upcoding"),
    "doctor_patient_ring": ("医患团伙", "doctor-patient ring"),
    "pharmacy_ring": ("药店团伙", "pharmacy ring"),
    "referral_ring": ("转诊团伙", "referral ring"),
    "other": ("其他", "other"),
}
REASONS: dict[str, dict[str, tuple[str, str]]] = {
    "scheme": SCHEMES,
    "clear": {
        "dialysis": ("透析班次", "dialysis shift"),
        "chemotherapy": ("化疗周期", "chemotherapy cycle"),
        "rehabilitation": ("康复或中医疗程", "rehabilitation or TCM course"),
        "psychiatric": ("精神科住院", "psychiatric stay"),
        "day_surgery": ("日间手术", "day surgery"),
        "maternity": ("生育", "maternity"),
        "transfer": ("转院", "transfer"),
        "household": ("家人或养老机构同来", "family or care home together"),
        "chronic_day": ("慢病固定取药日", "fixed day of a chronic clinic"),
        "checkup": ("体检", "check-up"),
        "specialist": ("知名专科", "popular specialist"),
        "season": ("流感季或月末年末", "influenza season, month or year end"),
        "records_support": ("病历支持", "the records support it"),
        "data_error": ("数据差错", "error in the data"),
        "other": ("其他", "other"),
    },
    "evidence": {
        "medical_record": ("病历", "medical record"),
        "receipt": ("票据与清单", "receipts and lists"),
        "stock": ("进销存", "stock books"),
        "interview": ("询问笔录", "interview"),
        "other": ("其他", "other"),
    },
    "second": {
        "nothing_new": ("申诉无新证据", "nothing new in the appeal"),
        "new_evidence": ("有新证据", "new evidence"),
        "recomputed": ("金额重算", "amount computed again"),
        "clause": ("条款适用有误", "wrong clause"),
        "other": ("其他", "other"),
    },
    "referral": {
        "police": ("公安机关", "police"),
        "discipline": ("纪检监察", "discipline inspection"),
        "health": ("卫生健康部门", "health authority"),
        "market": ("市场监管部门", "market regulator"),
        "other": ("其他", "other"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Transition:
    """One legal step.

    Attributes
    ----------
    code, zh, en : str
        What the person does.
    sources : tuple of str
        States it may be done in.
    target : str
        State after it.
    permission : str
        Who may do it (`fraud.workbench.roles`).
    reasons : str
        List of `REASONS` to choose from; empty for none.
    text : bool
        Whether words are required; with the reason ``other`` they always are.
    amount : str
        What happens to the established amount.
    clause : bool
        Whether the clause it rests on is required.
    names : bool
        Whether somebody is named, who holds the case from then on.
    other_person : bool
        Whether it takes somebody else than who confirmed the suspicion.
    outcome : str
        Human outcome it sets: ``cleared``, or ``by_amount`` (confirmed above 0, else cleared).
    """

    code: str
    zh: str
    en: str
    sources: tuple[str, ...]
    target: str
    permission: str
    reasons: str = ""
    text: bool = False
    amount: Amount = "keep"
    clause: bool = False
    names: bool = False
    other_person: bool = False
    outcome: str = ""


TRANSITIONS: dict[str, Transition] = {
    t.code: t
    for t in (
        Transition("take", "领取", "take", ("unassigned",), "first_review", "case.take"),
        Transition("assign", "分派", "assign", ("unassigned",), "first_review", "case.assign", names=True),
        Transition("confirm", "确认疑点", "confirm the suspicion", ("first_review",), "confirmed", "case.review",
                   reasons="scheme", amount="set"),
        Transition("clear", "排除", "clear", ("first_review",), "cleared", "case.review", reasons="clear",
                   amount="zero", outcome="cleared"),
        Transition("want_evidence", "待补证", "want evidence", ("first_review",), "evidence_wanted", "case.review",
                   reasons="evidence", text=True),
        Transition("reassign", "改派", "reassign", ("first_review",), "first_review", "case.assign", names=True),
        Transition("release", "退回清单", "give back", ("first_review",), "unassigned", "case.review", text=True),
        Transition("evidence_in", "证据已补", "evidence is in", ("evidence_wanted",), "first_review", "case.review",
                   text=True),
        Transition("send", "推送机构", "send to the institution", ("confirmed",), "sent", "case.reply"),
        Transition("accept", "机构认可", "accepted", ("sent",), "accepted", "case.reply"),
        Transition("accept_partly", "部分认可", "partly accepted", ("sent",), "partly_accepted", "case.reply", text=True),
        Transition("appeal", "机构申诉", "appealed", ("sent",), "appealed", "case.reply", text=True),
        Transition("review_again", "转复审", "to second review", ("partly_accepted", "appealed"), "second_review",
                   "case.reply"),
        Transition("uphold", "维持", "uphold", ("second_review",), "upheld", "case.second_review", reasons="second",
                   other_person=True),
        Transition("reduce", "核减", "reduce", ("second_review",), "reduced", "case.second_review", reasons="second",
                   amount="lower", other_person=True),
        Transition("withdraw", "撤销", "withdraw", ("second_review",), "withdrawn", "case.second_review",
                   reasons="second", text=True, amount="zero", other_person=True),
        Transition("deliberate", "合议", "panel", ("upheld", "reduced", "withdrawn"), "panel", "case.conclude",
                   text=True, amount="adjust"),
        Transition("conclude", "作出结论", "conclude", ("accepted", "upheld", "reduced", "withdrawn", "panel"),
                   "concluded", "case.conclude", clause=True, outcome="by_amount"),
        Transition("recover", "追回", "recover", ("concluded",), "recovered", "case.recover", amount="recovered"),
        Transition("refer", "移送", "refer", ("concluded",), "referred", "case.recover", reasons="referral", text=True),
        Transition("archive", "归档", "archive", ("cleared", "concluded", "recovered", "referred"), "archived",
                   "case.archive"),
    )
}  # fmt: skip


def from_state(state: str) -> tuple[Transition, ...]:
    """Legal transitions out of a state, in the order of the table."""
    return tuple(t for t in TRANSITIONS.values() if state in t.sources)
