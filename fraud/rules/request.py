"""What a hospital asks about a prescription: patient, encounter and orders.

Fields have the contract's names; those of the national pre-check interface (3101, 3102) are accepted
as well, see `fraud.rules.national`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from fraud.errors import UsageError
from fraud.rules import national
from fraud.rules.moments import When
from fraud.rules.parameters import INSTITUTION_KINDS, INSURANCE_TYPES
from fraud.rules.single import half_up
from fraud.schema import CATEGORIES, VISIT_TYPES

ORDERS, DIAGNOSES = 500, 100
"""Most orders and diagnoses of one encounter."""
_MOST = 1e9
_CONTRACT = ("visit_id", "line_id", "charged_at", "diagnosis_code")
"""Aliases that are the contract's own, not the national interface's."""

Id = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=300)]
Number = Annotated[float, Field(ge=-_MOST, le=_MOST, allow_inf_nan=False)]


def _among(allowed: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value and value not in allowed:
            raise ValueError(f"is none of {', '.join(allowed)}")
        return value

    return AfterValidator(check)


def _enum(allowed: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": [*allowed, ""]})


SEXES = ("M", "F")
Sex = Annotated[str, _among(SEXES), _enum(SEXES)]
Insurance = Annotated[str, _among(INSURANCE_TYPES), _enum(INSURANCE_TYPES)]
VisitType = Annotated[str, _among(VISIT_TYPES), _enum(VISIT_TYPES)]
InstitutionKind = Annotated[str, _among(INSTITUTION_KINDS), _enum(INSTITUTION_KINDS)]
Category = Annotated[str, _among(CATEGORIES), _enum(CATEGORIES)]


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in ("", "-"))


def _also(own: str, *others: str) -> AliasChoices:
    return AliasChoices(own, *others)


class _Given(BaseModel):
    """What is empty is absent; what is not known is ignored; text has no outer blanks."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", str_strip_whitespace=True, coerce_numbers_to_str=True, hide_input_in_errors=True,
        populate_by_name=True,
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _given(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return cls.words({k: v for k, v in data.items() if not _is_absent(v)})

    @classmethod
    def words(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Codes of the national interface in the toolkit's words."""
        return data


class PatientIn(_Given):
    """The patient. Names are not read, stored or logged."""

    patient_id: Id = Field(
        validation_alias=_also("patient_id", "patn_id"),
        description="参保人编号 insured person; national: patn_id.",
    )
    sex: Sex = Field("", description="性别 M, F or empty; national: gend (1, 2).")
    birth_date: When | None = Field(
        None,
        validation_alias=_also("birth_date", "brdy"),
        description="出生日期 date of birth; national: brdy.",
    )
    birth_year: int | None = Field(
        None, ge=1850, le=2100, description="出生年份 where the date is not known."
    )
    insurance_type: Insurance = Field("", description="险种 insurance; national: insutype.")

    @classmethod
    def words(cls, data: dict[str, Any]) -> dict[str, Any]:
        """See `fraud.rules.national.patient_words`."""
        return national.patient_words(data)


class DiagnosisIn(_Given):
    """A diagnosis of the encounter."""

    code: Annotated[str, Field(max_length=30)] = Field(
        "", validation_alias=_also("code", "dise_codg"), description="诊断编码 ICD-10; national: dise_codg."
    )
    name: Name = Field(
        "", validation_alias=_also("name", "dise_name"), description="诊断名称; national: dise_name."
    )
    principal: bool = Field(
        False,
        validation_alias=_also("principal", "maindise_flag"),
        description="主诊断; national: maindise_flag.",
    )


class EncounterIn(_Given):
    """The visit or stay in which the orders are written."""

    encounter_id: Id = Field(
        validation_alias=_also("encounter_id", "visit_id", "mdtrt_id"),
        description="就诊编号; national: mdtrt_id.",
    )
    visit_type: VisitType = Field(
        "other", description="就诊类型 kind of visit; national: med_type, else med_mdtrt_type."
    )
    started_at: When = Field(
        validation_alias=_also("started_at", "adm_date"), description="就诊或入院时间; national: adm_date."
    )
    ended_at: When | None = Field(
        None, validation_alias=_also("ended_at", "dscg_date"), description="出院时间; national: dscg_date."
    )
    at: When | None = Field(
        None, description="时刻 moment of the check; the latest time in the request where it is left out."
    )
    institution_id: Id = Field(
        "",
        validation_alias=_also("institution_id", "medins_id"),
        description="机构编号; national: medins_id.",
    )
    institution_kind: InstitutionKind = Field(
        "", description="机构等级 kind of institution; national: medins_lv, medins_type."
    )
    doctor_id: Id = Field(
        "", validation_alias=_also("doctor_id", "dr_codg"), description="医师编号; national: dr_codg."
    )
    specialty: Annotated[str, Field(max_length=60)] = Field(
        "", description="专科 specialty of the department; national: read from adm_dept_name."
    )
    principal_diagnosis: Annotated[str, Field(max_length=30)] = Field(
        "", validation_alias=_also("principal_diagnosis", "diagnosis_code", "dscg_main_dise_codg"),
        description="主诊断编码; national: dscg_main_dise_codg.",
    )  # fmt: skip
    state_diagnosis: Annotated[str, Field(max_length=30)] = Field(
        "", description="妊娠 Z33 pregnant, 哺乳 Z39.1 breast-feeding; national: matn_stas."
    )
    diagnoses: tuple[DiagnosisIn, ...] = Field(
        (), max_length=DIAGNOSES, validation_alias=_also("diagnoses", "fsi_diagnose_dtos"),
        description="诊断 diagnoses; national: fsi_diagnose_dtos.",
    )  # fmt: skip

    @classmethod
    def words(cls, data: dict[str, Any]) -> dict[str, Any]:
        """See `fraud.rules.national.encounter_words`; a lone diagnosis is a list of one."""
        own = data.get("fsi_diagnose_dtos")
        if isinstance(own, Mapping):
            data = {**data, "fsi_diagnose_dtos": [own]}
        if "state_diagnosis" not in data and "matn_stas" in data:
            data = {**data, "state_diagnosis": national.state_diagnosis(data)}
        return national.encounter_words(data)

    @property
    def codes(self) -> tuple[str, ...]:
        """Diagnosis codes, the principal one first, each once."""
        told = sorted(self.diagnoses, key=lambda d: not d.principal)
        codes = [c for c in (self.principal_diagnosis, *(d.code for d in told)) if c]
        if codes and self.state_diagnosis:  # alone it is no reason for a drug
            codes.append(self.state_diagnosis)
        return tuple(dict.fromkeys(codes))


class OrderIn(_Given):
    """One ordered item."""

    order_id: Id = Field(
        "",
        validation_alias=_also("order_id", "line_id", "rx_id"),
        description="处方(医嘱)标识; national: rx_id.",
    )
    item_code: Id = Field(
        "", validation_alias=_also("item_code", "hilist_code", "hosplist_code"),
        description="项目编码 item; national: hilist_code, else hosplist_code.",
    )  # fmt: skip
    item_name: Name = Field(
        "", validation_alias=_also("item_name", "hilist_name", "hosplist_name"),
        description="项目名称; national: hilist_name, else hosplist_name.",
    )  # fmt: skip
    category: Category = Field("", description="费用类别 category; national: chrg_type, else hilist_type.")
    quantity: Number = Field(
        1.0, validation_alias=_also("quantity", "cnt"), description="数量; national: cnt."
    )
    unit_price: Number | None = Field(
        None,
        validation_alias=_also("unit_price", "pric"),
        description="单价 in currency units; national: pric.",
    )
    amount: Number | None = Field(
        None, validation_alias=_also("amount", "sumamt"),
        description="金额 in currency units; quantity × price where left out; national: sumamt.",
    )  # fmt: skip
    ordered_at: When | None = Field(
        None, validation_alias=_also("ordered_at", "charged_at", "drord_begn_date"),
        description="开立时间; the start of the visit where left out; national: drord_begn_date.",
    )  # fmt: skip
    days_supply: Annotated[float, Field(ge=0, le=3650, allow_inf_nan=False)] | None = Field(
        None,
        validation_alias=_also("days_supply", "prd_days", "medc_days"),
        description="用药天数 days of supply.",
    )
    current: bool = Field(
        True,
        description="是否本次医嘱 whether it is ordered now; earlier ones only tell; national: curr_drord_flag.",
    )

    @classmethod
    def words(cls, data: dict[str, Any]) -> dict[str, Any]:
        """See `fraud.rules.national.order_words`."""
        return national.order_words(data)

    @model_validator(mode="after")
    def _named(self) -> "OrderIn":
        if not self.item_code and not self.item_name:
            raise ValueError("has neither item_code nor item_name")
        return self

    @property
    def code(self) -> str:
        """The code, or the name where there is none."""
        return self.item_code or self.item_name

    @property
    def cents(self) -> int:
        """Amount in cents; 0 where it is not told."""
        amount = self.amount
        if amount is None:
            amount = 0.0 if self.unit_price is None else self.quantity * self.unit_price
        return half_up(amount * 100)


class Prescription(_Given):
    """Patient, encounter and orders to be checked."""

    patient: PatientIn = Field(description="患者 patient.")
    encounter: EncounterIn = Field(description="就诊 encounter.")
    orders: tuple[OrderIn, ...] = Field(min_length=1, max_length=ORDERS, description="医嘱 orders.")


def parse(body: Any) -> list[Prescription]:
    """Prescriptions of a request in the toolkit's or in the national form.

    Raises
    ------
    UsageError
        Every mistake, with the field's name and never a value.
    """
    if not national.is_national(body):
        return [_parsed(body, partial(_own_place))]
    found: list[Prescription] = []
    problems: list[str] = []
    for where, one in national.encounters(body):
        try:
            found.append(_parsed(one, partial(_national_place, where)))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    return found


def _parsed(body: Any, place: Callable[[tuple[int | str, ...]], str]) -> Prescription:
    try:
        return Prescription.model_validate(body)
    except ValidationError as error:
        raise UsageError(_problems(error, place)) from None


def validation_problems(error: ValidationError) -> list[str]:
    """Every mistake of a request as ``field: what is wrong``, without a value."""
    return _problems(error, _own_place)


def _problems(error: ValidationError, place: Callable[[tuple[int | str, ...]], str]) -> list[str]:
    rows = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{place(r['loc']) or 'request'}: {r['msg'].removeprefix('Value error, ')}." for r in rows[:50]]


def _own_place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(p) for p in loc)


def _national_place(where: str, loc: tuple[int | str, ...]) -> str:
    """Where a field stands in a national request, by its national name."""
    if loc and loc[0] == "patient":
        where = where.rpartition(".fsi_encounter_dtos")[0]
    elif loc and loc[0] == "orders":
        where = f"{where}.fsi_order_dtos"
    return ".".join([where, *(str(_NAMES.get(str(p), p)) for p in loc[1:])])


def national_names(model: type[BaseModel]) -> dict[str, str]:
    """National name of each field that has one."""
    names = {}
    for own, field in model.model_fields.items():
        if isinstance(field.validation_alias, AliasChoices):
            others = [str(c) for c in field.validation_alias.choices if c != own]
            names[own] = next((o for o in others if o not in _CONTRACT), own)
    return names


_NAMES = {k: v for m in (PatientIn, EncounterIn, OrderIn, DiagnosisIn) for k, v in national_names(m).items()}
