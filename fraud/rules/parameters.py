"""What a rule or a knowledge row may say: one flat vocabulary of parameters, checked field by field."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from fraud.features.catalog import CATALOG
from fraud.rules.vocabulary import diagnosis_problems, item_problems
from fraud.schema import VISIT_TYPES

INSTITUTION_KINDS = ("tertiary", "secondary", "primary", "pharmacy", "other")
INSURANCE_TYPES = ("employee", "resident", "retired", "other")
SPECIALTIES = (
    "cardiology", "endocrinology", "respiratory", "gastroenterology", "neurology", "nephrology", "oncology",
    "hematology", "infectious", "rheumatology", "general_surgery", "orthopedics", "urology", "gynecology",
    "obstetrics", "pediatrics", "ophthalmology", "ent", "dermatology", "stomatology", "tcm",
    "rehabilitation", "critical", "general", "psychiatry",
)  # fmt: skip
"""Specialties the built-in rules know. One that no rule knows (a local code) is unknown, not a wrong one."""
SEVERITIES = ("note", "warn", "stop")
WINDOWS = ("visit", "day", "month", "quarter", "year")
OVERLAPS = ("supply", "stay", "inside_stay")
SEQUENCES = ("after_death", "before_birth", "outside_stay", "readmission")
ANOMALIES = (
    "line_amount", "claim_total", "quantity", "dates", "diagnosis_code", "doctor_code", "no_diagnosis",
    "price_limit", "repeated_line",
)  # fmt: skip


def _words(value: Any) -> Any:
    """Lists may be written as one text, joined with ``|``."""
    if isinstance(value, str):
        return tuple(v.strip() for v in value.split("|") if v.strip())
    return value


def _selector(problems: Any) -> Any:
    def check(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            value = "|".join(str(v) for v in value)
        if isinstance(value, str) and value.strip():
            if found := problems(value):
                raise ValueError("; ".join(found))
            return value.strip()
        return "" if value is None or isinstance(value, str) else value

    return check


def _all_of(allowed: tuple[str, ...]) -> Any:
    def check(value: Any) -> Any:
        value = _words(value)
        if isinstance(value, (list, tuple)) and (unknown := [v for v in value if v not in allowed]):
            raise ValueError(f"no {', '.join(map(str, unknown))} among {', '.join(allowed)}")
        return value

    return BeforeValidator(check)


Items = Annotated[str, BeforeValidator(_selector(item_problems))]
Diagnoses = Annotated[str, BeforeValidator(_selector(diagnosis_problems))]
VisitTypes = Annotated[tuple[str, ...], _all_of(VISIT_TYPES)]
InstitutionKinds = Annotated[tuple[str, ...], _all_of(INSTITUTION_KINDS)]
InsuranceTypes = Annotated[tuple[str, ...], _all_of(INSURANCE_TYPES)]
Specialties = Annotated[tuple[str, ...], BeforeValidator(_words)]
Age = Annotated[float | None, Field(ge=0, le=130)]
Sex = Literal["", "M", "F"]
Kind = Literal[
    "limit", "companion", "pair", "frequency", "quantity", "overlap", "sequence", "share", "idle",
    "anomaly", "measure",
]  # fmt: skip

NEEDS: dict[str, tuple[str, ...]] = {
    "limit": ("items",),
    "companion": ("items", "partners"),
    "pair": ("items", "excluded"),
    "frequency": ("items", "unit", "window", "limit"),
    "quantity": ("items", "unit", "limit"),
    "overlap": ("what", "limit"),
    "sequence": ("what", "limit"),
    "share": ("items", "limit"),
    "idle": ("items", "limit"),
    "anomaly": ("what",),
    "measure": ("feature", "operator", "threshold"),
}
"""Parameters without which a kind of rule says nothing."""
UNITS = {"frequency": ("times", "quantity", "days", "claims"), "quantity": ("quantity", "supply_days")}
WHATS = {"overlap": OVERLAPS, "sequence": SEQUENCES, "anomaly": ANOMALIES}
REQUIREMENTS = (
    "sex", "min_age", "max_age", "visit_types", "institution_kinds", "specialties", "insurance_types",
    "diagnoses", "excluded_diagnoses",
)  # fmt: skip


class Parameters(BaseModel):
    """Parameters of a check; a knowledge row gives some of them, its rule the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Items = Field("", description="What the rule is about.")
    partners: Items = Field("", description="Items one of which must be charged too (companion).")
    excluded: Items = Field("", description="Items that must not be charged together with them (pair).")
    sex: Sex = Field("", description="Sex the items are limited to.")
    min_age: Age = Field(None, description="Youngest age in years the items are meant for.")
    max_age: Age = Field(None, description="Oldest age in completed years the items are meant for.")
    visit_types: VisitTypes = Field((), description="Visit types the items are limited to.")
    institution_kinds: InstitutionKinds = Field((), description="Institution kinds they are limited to.")
    specialties: Specialties = Field((), description="Specialties of the department or doctor.")
    insurance_types: InsuranceTypes = Field((), description="Insurance types the items are limited to.")
    diagnoses: Diagnoses = Field("", description="Diagnoses one of which the items need.")
    excluded_diagnoses: Diagnoses = Field("", description="Diagnoses with which they must not be given.")
    diagnosis_days: int = Field(
        0, ge=0, le=3650, description="Earlier days whose diagnoses of the patient count as well."
    )
    unit: Literal["", "times", "days", "claims", "quantity", "supply_days"] = Field(
        "", description="What is counted."
    )
    limit: float | None = Field(None, ge=0, description="Most that is allowed (or least that hits: days).")
    window: str = Field("", description="visit, day, month, quarter, year, or a number of days such as 30d.")
    per: Literal["", "item", "class", "all"] = Field(
        "", description="What is counted together: each item, each drug class, or everything selected."
    )
    carry: bool = Field(False, description="Whether days of supply still in hand count (quantity).")
    across: Literal["any", "doctor", "institution"] = Field(
        "any", description="The other claim must be of another doctor or institution (overlap)."
    )
    what: str = Field("", description="Which overlap, sequence or anomaly.")
    least: float = Field(0.0, ge=0, description="Least claim total in currency units (share).")
    feature: str = Field("", description="Claim feature (measure).")
    operator: Literal["", ">=", ">", "<=", "<", "=="] = Field("", description="Comparison (measure).")
    threshold: float | None = Field(None, description="Threshold (measure).")
    when_sex: Sex = Field("", description="Looks only at this sex.")
    when_min_age: Age = Field(None, description="Looks only at patients of at least this age.")
    when_max_age: Age = Field(None, description="Looks only at patients of at most this age.")
    when_visit_types: VisitTypes = Field((), description="Looks only at these visit types.")
    when_institution_kinds: InstitutionKinds = Field((), description="Looks only at these institutions.")
    when_specialties: Specialties = Field((), description="Looks only at these specialties.")
    when_insurance_types: InsuranceTypes = Field((), description="Looks only at these insurance types.")
    when_diagnoses: Diagnoses = Field("", description="Looks only at claims with one of these diagnoses.")
    unless_diagnoses: Diagnoses = Field("", description="Exempt with one of these diagnoses.")
    unless_visit_types: VisitTypes = Field((), description="Exempt in these visit types.")
    unless_specialties: Specialties = Field((), description="Exempt in these specialties.")
    unless_items: Items = Field("", description="Exempt where one of these is charged in the same claim.")
    severity: Literal["", "note", "warn", "stop"] = Field("", description="note, warn or stop at the screen.")

    @model_validator(mode="after")
    def _consistent(self) -> "Parameters":
        problems = []
        for prefix in ("", "when_"):
            low, high = getattr(self, f"{prefix}min_age"), getattr(self, f"{prefix}max_age")
            if low is not None and high is not None and low > high:
                problems.append(f"{prefix}min_age {low:g} is above {prefix}max_age {high:g}")
        if self.window and self.window not in WINDOWS and not re.fullmatch(r"[1-9]\d{0,3}d", self.window):
            problems.append(
                f"window {self.window!r} is none of {', '.join(WINDOWS)} or a number of days as 30d"
            )
        if self.feature and self.feature not in CATALOG:
            problems.append(f"no feature {self.feature} in the catalog")
        problems += _contradictions(self)
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _contradictions(p: Parameters) -> list[str]:
    """Requirements that nobody the rule looks at can fulfil: such a rule hits everything."""
    problems = []
    if p.sex and p.when_sex and p.sex != p.when_sex:
        problems.append(f"looks only at sex {p.when_sex} but requires {p.sex}: it would hit everything")
    if p.min_age is not None and p.when_max_age is not None and p.when_max_age + 1 <= p.min_age:
        problems.append("looks only at ages below min_age: it would hit everything")
    if p.max_age is not None and p.when_min_age is not None and p.when_min_age >= p.max_age + 1:
        problems.append("looks only at ages above max_age: it would hit everything")
    for name in ("visit_types", "institution_kinds", "insurance_types", "specialties"):
        wanted, looked = set(getattr(p, name)), set(getattr(p, f"when_{name}"))
        if wanted and looked and not wanted & looked:
            problems.append(f"looks only at {name} it does not allow: it would hit everything")
        if wanted and looked and looked <= wanted:
            problems.append(f"looks only at {name} it allows: it would never hit")
    if p.diagnoses and p.diagnoses == p.excluded_diagnoses:
        problems.append("requires the diagnoses that it excludes: it would hit everything")
    if p.items and p.items == p.unless_items:
        problems.append("is exempt for the very items it is about: it would never hit")
    return problems


def kind_problems(kind: str, p: Parameters) -> list[str]:
    """Parameters a kind of rule needs and does not have, or cannot use."""
    problems = [f"{kind} needs {n}" for n in NEEDS[kind] if getattr(p, n) in ("", None)]
    if kind == "limit" and not any(getattr(p, n) not in ("", None, ()) for n in REQUIREMENTS):
        problems.append(f"limit needs at least one of {', '.join(REQUIREMENTS)}")
    if kind in UNITS and p.unit and p.unit not in UNITS[kind]:
        problems.append(f"unit {p.unit} is none of {', '.join(UNITS[kind])}")
    if kind in WHATS and p.what and p.what not in WHATS[kind]:
        problems.append(f"what {p.what!r} is none of {', '.join(WHATS[kind])}")
    if kind in ("pair", "companion") and p.window not in ("", "visit", "day"):
        problems.append("window must be day or visit")
    if kind == "overlap" and p.what == "supply" and not p.items:
        problems.append("overlap of supply needs items")
    if kind == "share" and p.limit is not None and p.limit > 1:
        problems.append(f"limit {p.limit:g} is a share and cannot be above 1")
    return problems
