"""Rule records: what a rule says, in both languages, with its clause, version and dates.

A record is data (``data/rules.toml``, and a user's own folder), so a new rule is a new row. Only a
rule that states a logical impossibility, or one that audits prove right, puts a claim on the list by
itself: broad rules that do so were measured to halve average precision.
"""

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from fraud.rules.parameters import Kind, Parameters

Text = Annotated[str, Field(min_length=1)]
Result = Literal["violation", "suspicious"]
Stage = Literal["before", "during", "after"]
Amount = Literal["items", "excluded", "over", "claim", "none"]
Requirement = Literal[
    "sex", "min_age", "max_age", "visit_types", "institution_kinds", "specialties", "insurance_types",
    "diagnoses", "excluded_diagnoses",
]  # fmt: skip
Listing = Literal["always", "proven", "reason"]


def _date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value


Date = Annotated[str, BeforeValidator(_date), Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


class Rule(Parameters):
    """One rule: who it is for, what it states, and its parameters.

    With `table`, each row of that knowledge table makes a check of its own; a row's parameters
    beat the rule's.
    """

    code: str = Field(pattern=r"^[A-Z][A-Z0-9-]{1,39}$", description="Stable code, shown on the list.")
    name_zh: Text = Field(description="Name in Chinese.")
    name_en: Text = Field(description="Name in English.")
    explanation_zh: Text = Field(description="What it means, in Chinese.")
    explanation_en: Text = Field(description="What it means, in English.")
    result: Result = Field(description="violation (明确违规) or suspicious (可疑).")
    kind: Kind = Field(description="Kind of rule.")
    table: str = Field("", pattern=r"^[a-z_]*$", description="Knowledge table whose rows it reads.")
    only: tuple[Requirement, ...] = Field(
        (), description="Requirements of a knowledge row the rule looks at; empty: all of them."
    )
    stages: tuple[Stage, ...] = Field(
        ("after",), description="before (事前), during (事中), after (事后): where it is applied."
    )
    amount: Amount = Field(
        "items",
        description="Amount at issue: items (those selected), excluded (the excluded items), over (what is "
        "above the limit, in proportion), claim (the whole claim) or none.",
    )
    listing: Listing = Field(
        "proven",
        description="Whether a hit puts a claim on the list: always, once audits prove the rule right "
        "(proven), or never (reason).",
    )
    supersedes: tuple[str, ...] = Field(
        (), description="Rules whose hits on the same claim say the same and are dropped."
    )
    clause: Text = Field(description="The regulation it rests on.")
    source: Text = Field(description="Where the record comes from.")
    version: Text = Field(description="Version of the record.")
    effective_from: Date = Field(description="First day it is in force.")
    effective_to: Date = Field("", description="Last day it is in force; empty: no end.")
    enabled: bool = Field(True, description="Whether it is applied at all.")

    @model_validator(mode="after")
    def _dates(self) -> "Rule":
        problems = []
        for name in ("effective_from", "effective_to"):
            try:
                if getattr(self, name):
                    datetime.date.fromisoformat(getattr(self, name))
            except ValueError:
                problems.append(f"{name} {getattr(self, name)} is no day of the calendar")
        if self.effective_to and self.effective_to < self.effective_from:
            problems.append(
                f"effective_to {self.effective_to} is before effective_from {self.effective_from}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def in_force(self, day: str) -> bool:
        """Whether the rule is in force on a day (``YYYY-MM-DD``)."""
        return self.effective_from <= day and (not self.effective_to or day <= self.effective_to)


def parse_rules(rows: list[Mapping[str, Any]], source: str) -> tuple[list[Rule], list[str]]:
    """Rules of rows, and every problem with them, naming file, row and code."""
    rules: list[Rule] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        code = str(row.get("code", "no code"))
        where = f"{source}: rule {number} ({code})"
        if code in seen:
            problems.append(f"{where}: the code is also used by rule {seen[code]}.")
        seen.setdefault(code, number)
        try:
            rule = Rule.model_validate(dict(row))
        except ValidationError as error:
            problems += [f"{where}: {told}" for told in validation_problems(error)]
            continue
        rules.append(rule)
    return rules, problems


def validation_problems(error: ValidationError) -> list[str]:
    """Sentences of a validation error, without the values a row held where they are long."""
    told = []
    for found in error.errors(include_url=False):
        field = ".".join(str(p) for p in found["loc"])
        text = found["msg"].removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            text = "unknown field"
        elif found["type"] == "missing":
            text = "field is missing"
        told.append(f"{field}: {text}." if field else f"{text}.")
    return told


def supersede_cycles(rules: Mapping[str, Rule]) -> list[str]:
    """Cycles among ``supersedes``, each as one problem."""
    problems = []
    for code in sorted(rules):
        path, at = [code], [*rules[code].supersedes]
        visited = set()
        while at:
            other = at.pop()
            if other == code:
                problems.append(f"rule {code}: supersedes itself, through {' → '.join([*path, code])}.")
                break
            if other in rules and other not in visited:
                visited.add(other)
                path.append(other)
                at += rules[other].supersedes
    return problems
