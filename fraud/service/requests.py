"""Reactions as requests tell them, in the toolkit's form or as 3103."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fraud.errors import UsageError
from fraud.rules.moments import When
from fraud.rules.reactions import Way
from fraud.rules.request import validation_problems

REACTIONS = 200
"""Most reactions of one request."""
_WAYS = {"1": "carry_on", "2": "change"}


class ReactionIn(BaseModel):
    """What a doctor did about a hit."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        str_strip_whitespace=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    result_id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{0,39}\.[0-9a-f]{5,16}$")] = Field(
        validation_alias=AliasChoices("result_id", "warn_rslt_id"),
        description="结果编号 as the check told it; national: warn_rslt_id.",
    )
    way: Way = Field(
        validation_alias=AliasChoices("way", "dspo_way"),
        description="处理方式 carry_on 继续执行 or change 返回修改; national: dspo_way (1, 2).",
    )
    reason: Annotated[str, Field(max_length=500)] = Field(
        "", validation_alias=AliasChoices("reason", "dspo_way_rea"),
        description="处理原因 needed to carry on; national: dspo_way_rea.",
    )  # fmt: skip
    encounter_id: Annotated[str, Field(max_length=64)] = Field(
        "", description="就诊编号; known from the check where it is left out."
    )
    doctor_id: Annotated[str, Field(max_length=64)] = Field("", description="医师编号; likewise.")
    at: When | None = Field(None, description="处理时间 when the doctor reacted.")

    @model_validator(mode="before")
    @classmethod
    def _words(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        given = {k: v for k, v in data.items() if v is not None and v != ""}
        way = given.get("dspo_way")
        if isinstance(way, (str, int)) and not isinstance(way, bool):
            given["dspo_way"] = _WAYS.get(str(way).strip() if isinstance(way, str) else str(way)[:2], "")
        return given

    @model_validator(mode="after")
    def _reasoned(self) -> "ReactionIn":
        if self.way == "carry_on" and not self.reason:
            raise ValueError("a reason is needed to carry on")
        return self

    @property
    def rule(self) -> str:
        """Code of the rule, which the result's name begins with."""
        return self.result_id.partition(".")[0]


def parse_reactions(body: Any) -> list[ReactionIn]:
    """Reactions of a request: one, or the ``warns`` of 3103.

    Raises
    ------
    UsageError
        Every mistake, with the field's name and never a value.
    """
    opter = body.get("opter") if isinstance(body, Mapping) else None
    for wrapper in ("input", "data"):
        if isinstance(body, Mapping) and isinstance(body.get(wrapper), Mapping):
            body = body[wrapper]
    if not isinstance(body, Mapping) or "warns" not in body:
        return [_parsed(body, "", opter)]
    rows = body["warns"]
    rows = [rows] if isinstance(rows, Mapping) else rows
    if not isinstance(rows, list) or not 0 < len(rows) <= REACTIONS:
        raise UsageError(f"warns: must be a list of 1 to {REACTIONS} objects.")
    found: list[ReactionIn] = []
    problems: list[str] = []
    for number, row in enumerate(rows):
        try:
            found.append(_parsed(row, f"warns.{number}.", opter))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    return found


def _parsed(row: Any, where: str, opter: Any) -> ReactionIn:
    if isinstance(row, Mapping) and "doctor_id" not in row and isinstance(opter, str):
        row = {**row, "doctor_id": opter}
    try:
        return ReactionIn.model_validate(row)
    except ValidationError as error:
        raise UsageError([where + p for p in validation_problems(error)]) from None
