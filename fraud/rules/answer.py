"""What a hospital is told about a prescription: hits, in the toolkit's and in the national form."""

from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr

Severity = Literal["note", "warn", "stop"]


class HitOut(BaseModel):
    """One hit, as the screen shows it."""

    result_id: str = Field(
        description="结果编号, to be named in a reaction; the same for the same encounter and rule."
    )
    rule: str = Field(description="规则编码 code of the rule.")
    name_zh: str
    name_en: str
    result: str = Field(description="violation 明确违规 or suspicious 可疑.")
    severity: Severity = Field(description="提示、警示、拦截.")
    amount: float = Field(
        description="涉及金额 at issue, in currency units; 0 where the orders have no price."
    )
    items: list[str] = Field(description="项目编码 items it is about.")
    orders: list[str] = Field(description="医嘱标识 orders it is about.")
    explanation_zh: str
    explanation_en: str
    clause: str = Field(description="依据 regulation it rests on.")
    knowledge: dict[str, str] = Field(
        description="知识 id, scope_zh (适应症), contraindications_zh (禁忌), note_zh, the same in English, source."
    )
    value: float | None = Field(description="实际值 what was found, where it is a number.")
    limit: float | None = Field(description="限值 what is allowed.")
    earlier_claims: list[str] = Field(description="既往结算 earlier claims it rests on.")
    exemptions: list[str] = Field(description="已核对的豁免情形 exemptions that were looked for.")


class Answer(BaseModel):
    """What a check found."""

    encounter_id: str = Field(description="就诊编号, as it was given.")
    severity: Severity | Literal[""] = Field(description="The gravest of the hits; empty for none.")
    hits: list[HitOut] = Field(description="命中 hits, the gravest first.")
    rules_version: str = Field(description="规则版本.")
    checks: int = Field(description="检查数 checks in force.")
    history: str = Field(description="Version of the history index; empty where there is none.")
    history_claims: int = Field(description="既往结算数 earlier claims known of the patient.")
    _patient_id: str = PrivateAttr("")
    _cents: dict[str, list[tuple[str, int]]] = PrivateAttr(default_factory=dict)

    def answer_3101(self) -> list[dict[str, Any]]:
        """Hits with the names of the national interface, for ``output.result``.

        ``sev_deg`` is 1 (明确违规), 2 (高度可疑) or 3 (轻度可疑), ``vola_amt_stas`` 1 where the amount is known
        and 0 where it is not. ``vola_bhvr_type`` is left empty: its dictionary is the province's.
        """
        return [self._national(hit) for hit in self.hits]

    def _national(self, hit: HitOut) -> dict[str, Any]:
        told = hit.knowledge
        parts = [hit.explanation_zh]
        parts += [f"【适应症】{told['scope_zh']}"] if told.get("scope_zh") else []
        parts += [f"【禁忌】{told['contraindications_zh']}"] if told.get("contraindications_zh") else []
        grave = "1" if hit.result == "violation" else "3" if hit.severity == "note" else "2"
        who = {"patn_id": self._patient_id, "mdtrt_id": self.encounter_id}
        return {
            "jr_id": hit.result_id,
            "rule_id": hit.rule,
            "rule_name": hit.name_zh,
            "vola_cont": "".join(parts)[:500],
            **who,
            "judge_result_detail_dtos": [
                {"jrd_id": f"{hit.result_id}-{n}"[:50], **who, "rx_id": order, "vola_item_type": "1", "vola_amt": cents / 100}
                for n, (order, cents) in enumerate(self._cents[hit.result_id], 1)
            ],
            "vola_amt": hit.amount,
            "vola_amt_stas": "1" if hit.amount else "0",
            "sev_deg": grave,
            "vola_evid": "；".join(t for t in (hit.clause, told.get("note_zh", "")) if t)[:500],
            "vola_bhvr_type": "",
            "task_id": self.rules_version,
        }  # fmt: skip
