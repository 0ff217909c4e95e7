"""The contract's tables as code: columns, types, constraints, privacy and meaning in two languages.

Ingest validates against this module, the engines cast by it, and ``docs/data-dictionary.md`` is
generated from it, so a column is described in one place only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    import ibis.expr.types as ir

Kind = Literal["string", "timestamp", "date", "amount", "float", "int", "bool", "list"]
Privacy = Literal["none", "identifier", "personal", "text"]

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "amount": pa.decimal128(16, 2),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "list": pa.list_(pa.string()),
}

ENGINE_TYPES: dict[str, str] = {
    "string": "string",
    "timestamp": "timestamp(6)",
    "date": "date",
    "amount": "int64",  # cents
    "float": "float64",
    "int": "int64",
    "bool": "boolean",
    "list": "array<string>",
}

ENTITIES = ("patient", "doctor", "department", "institution")
SUBJECT_KINDS = ("claim", *ENTITIES, "ring")
VISIT_TYPES = (
    "outpatient", "emergency", "chronic", "inpatient", "day_surgery", "maternity", "pharmacy", "other",
)  # fmt: skip
STAY_TYPES = ("inpatient", "day_surgery", "maternity")
CATEGORIES = (
    "drug", "herb", "exam", "lab", "treatment", "surgery", "consumable", "bed", "nursing",
    "consultation", "other",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of a contract table.

    Attributes
    ----------
    name, kind : str
        Column name and its logical type; ``ARROW[kind]`` is the type on disk.
    zh, en : str
        What it means, for auditors (Chinese first) and engineers.
    required : bool
        Whether a dataset without it is refused.
    privacy : str
        ``identifier`` columns are pseudonymised at ingest, ``personal`` ones too and never shown,
        ``text`` is free text and never logged.
    domain : tuple of str
        Allowed values; empty for any.
    nhsa : str
        The column's national field name, where there is one.
    """

    name: str
    kind: Kind
    zh: str
    en: str
    required: bool = False
    privacy: Privacy = "none"
    domain: tuple[str, ...] = ()
    nhsa: str = ""

    @property
    def arrow(self) -> pa.DataType:
        """Type on disk."""
        return ARROW[self.kind]


@dataclass(frozen=True)
class Table:
    """One contract table: its columns, its key and what its rows point at."""

    name: str
    zh: str
    en: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    references: tuple[tuple[str, str], ...] = ()  # (column, table it points into by the same column)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns a dataset must have when it has this table."""
        return tuple(c.name for c in self.columns if c.required)

    def arrow(self, present: set[str] | None = None) -> pa.Schema:
        """Arrow schema on disk, of all columns or of those in `present`."""
        return pa.schema([(c.name, c.arrow) for c in self.columns if present is None or c.name in present])


def _c(name: str, kind: Kind, zh: str, en: str, **rest: object) -> Column:
    return Column(name, kind, zh, en, **rest)  # type: ignore[arg-type]


_PATIENT = _c(
    "patient_id", "string", "参保人", "insured person", required=True, privacy="identifier", nhsa="psn_no"
)
_INSTITUTION = _c(
    "institution_id", "string", "定点医药机构", "hospital, community centre or pharmacy",
    required=True, privacy="identifier", nhsa="fixmedins_code",
)  # fmt: skip

CLAIMS = Table(
    "claims", "结算", "one row per settled visit or stay",
    (
        _c("claim_id", "string", "结算编号", "settlement", required=True, privacy="identifier", nhsa="setl_id"),
        _c("visit_id", "string", "就诊编号", "encounter; several claims may settle one visit", privacy="identifier", nhsa="mdtrt_id"),
        _PATIENT,
        _INSTITUTION,
        _c("department_id", "string", "科室", "department; empty for a pharmacy", privacy="identifier", nhsa="dscg_dept_codg"),
        _c("doctor_id", "string", "医师", "attending or prescribing doctor", privacy="identifier", nhsa="chfpdr_code / bilg_dr_code"),
        _c("operator_id", "string", "经办人", "person who handled the settlement (cashier, agent)", privacy="identifier", nhsa="opter_id"),
        _c("visit_type", "string", "就诊类型", "kind of visit", required=True, domain=VISIT_TYPES, nhsa="med_type"),
        _c("started_at", "timestamp", "就诊或入院时间", "visit or admission", required=True, nhsa="begntime"),
        _c("ended_at", "timestamp", "出院时间", "discharge; equals started_at for a visit", nhsa="endtime"),
        _c("settled_at", "timestamp", "结算时间", "settlement; defaults to ended_at, then started_at", nhsa="setl_time"),
        _c("diagnosis_code", "string", "主要诊断", "principal diagnosis, ICD-10 (NHSA edition)", nhsa="dscg_maindiag_code"),
        _c("total_amount", "amount", "总费用", "total amount", required=True, nhsa="medfee_sumamt"),
        _c("fund_amount", "amount", "基金支付", "paid by the insurance fund", required=True, nhsa="fund_pay_sumamt"),
        _c("eligible_amount", "amount", "符合政策范围金额", "within policy scope; the basis of a recovery", nhsa="inscp_amt"),
        _c("out_of_region", "bool", "异地就医", "settled outside the person's insured region"),
        _c("invoice_no", "string", "票据号", "invoice number (kept as it is: runs of numbers are evidence)"),
        _c("bed_no", "string", "床位号", "bed", nhsa="adm_bed"),
        _c("note_text", "string", "病历文本", "free text of the record", privacy="text"),
    ),
    key=("claim_id",),
    references=(("patient_id", "patients"), ("institution_id", "institutions"), ("department_id", "departments"), ("doctor_id", "doctors")),
)  # fmt: skip

LINES = Table(
    "lines", "费用明细", "one row per charged item",
    (
        _c("line_id", "string", "明细编号", "line", required=True, privacy="identifier"),
        _c("claim_id", "string", "结算编号", "settlement the line belongs to", required=True, privacy="identifier", nhsa="setl_id"),
        _c("item_code", "string", "项目编码", "charged item", required=True, nhsa="med_list_codg"),
        _c("item_name", "string", "项目名称", "item name", nhsa="medins_list_name"),
        _c("category", "string", "费用类别", "category of the item", required=True, domain=CATEGORIES, nhsa="med_chrgitm_type"),
        _c("quantity", "float", "数量", "quantity", required=True, nhsa="cnt"),
        _c("unit_price", "float", "单价（元）", "price of one unit, in currency units", required=True, nhsa="pric"),
        _c("amount", "amount", "金额", "amount charged", required=True, nhsa="det_item_fee_sumamt"),
        _c("eligible_amount", "amount", "符合政策范围金额", "within policy scope", nhsa="inscp_amt"),
        _c("charged_at", "timestamp", "收费时间", "when it was charged", nhsa="fee_ocur_time"),
        _c("doctor_id", "string", "开单医师", "ordering doctor", privacy="identifier", nhsa="bilg_dr_codg"),
        _c("department_id", "string", "开单科室", "billing department", privacy="identifier", nhsa="bilg_dept_codg"),
        _c("days_supply", "float", "用药天数", "days a dispensed drug lasts", nhsa="prd_days"),
        _c("trace_code", "string", "药品追溯码", "drug traceability code"),
    ),
    key=("line_id",),
    references=(("claim_id", "claims"), ("item_code", "items")),
)  # fmt: skip

DIAGNOSES = Table(
    "diagnoses", "诊断", "one row per diagnosis of a claim",
    (
        _c("claim_id", "string", "结算编号", "settlement", required=True, privacy="identifier", nhsa="setl_id"),
        _c("position", "int", "诊断序号", "1 is the principal diagnosis", required=True, nhsa="diag_srt_no"),
        _c("code", "string", "诊断编码", "ICD-10 code", required=True, nhsa="diag_code"),
        _c("name", "string", "诊断名称", "diagnosis name", nhsa="diag_name"),
        _c("kind", "string", "诊断类别", "admission, discharge or outpatient", domain=("admission", "discharge", "outpatient"), nhsa="diag_type"),
    ),
    key=("claim_id", "kind", "position"),
    references=(("claim_id", "claims"),),
)  # fmt: skip

PATIENTS = Table(
    "patients", "参保人", "one row per insured person",
    (
        _PATIENT,
        _c("sex", "string", "性别", "M, F or empty", domain=("M", "F"), nhsa="gend"),
        _c("birth_date", "date", "出生日期", "date of birth", privacy="personal", nhsa="brdy"),
        _c("birth_year", "int", "出生年份", "year of birth, where the date is not kept"),
        _c("insurance_type", "string", "险种", "kind of insurance", domain=("employee", "resident", "retired", "other"), nhsa="insutype"),
        _c("region", "string", "参保地", "insured region", nhsa="insu_admdvs"),
        _c("household_id", "string", "家庭", "household", privacy="identifier"),
        _c("employer_id", "string", "单位", "employer", privacy="identifier", nhsa="emp_no"),
        _c("phone", "string", "电话（假名）", "phone, only ever as a keyed pseudonym", privacy="personal", nhsa="tel"),
        _c("address", "string", "住址（假名）", "address, only ever as a keyed pseudonym", privacy="personal"),
        _c("chronic_certificates", "list", "门诊慢特病资格", "chronic-disease certificates"),
        _c("death_date", "date", "死亡日期", "date of death"),
    ),
    key=("patient_id",),
)  # fmt: skip

DOCTORS = Table(
    "doctors", "医师", "one row per doctor",
    (
        _c("doctor_id", "string", "医师", "doctor", required=True, privacy="identifier"),
        _c("institution_id", "string", "机构", "institution", required=True, privacy="identifier"),
        _c("department_id", "string", "科室", "department", privacy="identifier"),
        _c("specialty", "string", "专业", "specialty"),
        _c("title", "string", "职称", "title"),
    ),
    key=("doctor_id",),
)  # fmt: skip

DEPARTMENTS = Table(
    "departments", "科室", "one row per department",
    (
        _c("department_id", "string", "科室", "department", required=True, privacy="identifier"),
        _c("institution_id", "string", "机构", "institution", required=True, privacy="identifier"),
        _c("name", "string", "科室名称", "name"),
        _c("specialty", "string", "专业", "specialty"),
    ),
    key=("department_id",),
)  # fmt: skip

INSTITUTIONS = Table(
    "institutions", "定点医药机构", "one row per institution",
    (
        _c("institution_id", "string", "机构", "institution", required=True, privacy="identifier"),
        _c("kind", "string", "机构等级", "kind of institution", required=True, domain=("tertiary", "secondary", "primary", "pharmacy", "other")),
        _c("ownership", "string", "办别", "public or private", domain=("public", "private")),
        _c("region", "string", "统筹区", "region"),
        _c("beds", "int", "床位数", "approved beds"),
    ),
    key=("institution_id",),
)  # fmt: skip

ITEMS = Table(
    "items", "三大目录", "one row per item of the drug, service and consumable lists",
    (
        _c("item_code", "string", "项目编码", "item", required=True),
        _c("name", "string", "项目名称", "name", required=True),
        _c("category", "string", "费用类别", "category", required=True, domain=CATEGORIES),
        _c("drug_class", "string", "药品分类", "drug class"),
        _c("days_per_unit", "float", "每单位可用天数", "days one unit lasts"),
        _c("price_limit", "amount", "限价", "price limit of one unit"),
        _c("sex_limit", "string", "限性别", "only for this sex", domain=("M", "F")),
        _c("min_age", "float", "最小年龄", "lowest age, years"),
        _c("max_age", "float", "最大年龄", "highest age, years"),
    ),
    key=("item_code",),
)  # fmt: skip

AUDITS = Table(
    "audits", "审核结论", "what auditors concluded; the labels",
    (
        _c("subject_kind", "string", "对象类别", "what was audited", required=True, domain=SUBJECT_KINDS),
        _c("subject_id", "string", "对象", "its id", required=True, privacy="identifier"),
        _c("outcome", "string", "结论", "confirmed or cleared", required=True, domain=("confirmed", "cleared")),
        _c("scheme", "string", "违规类型", "scheme confirmed"),
        _c("recovered_amount", "amount", "追回金额", "amount recovered"),
        _c("reason", "string", "审核来源", "why it was audited: random, ranked, tip, …"),
        _c("decided_at", "timestamp", "结论时间", "when it was decided", required=True),
    ),
)  # fmt: skip

TABLES: dict[str, Table] = {
    t.name: t for t in (CLAIMS, LINES, DIAGNOSES, PATIENTS, DOCTORS, DEPARTMENTS, INSTITUTIONS, ITEMS, AUDITS)
}


def relation(table: Table | str) -> "ir.Table":
    """Unbound Ibis table with the types that engines see.

    Amounts are integer cents (``int64``), integers ``int64``; every column of the contract is
    there, and those a dataset lacks are NULL (`Engine.present` says which exist). ``claims`` has
    three more columns, so that every builder counts time alike: ``settled_second`` and
    ``started_second`` (seconds since 1970, ``int64``) and ``month`` (months since year 0 of
    ``settled_at``, ``int64``, see `month_number`); its ``ended_at`` and ``settled_at`` carry the
    contract's defaults. Refunds are rows with negative amounts.
    """
    import ibis

    table = TABLES[table] if isinstance(table, str) else table
    columns = {c.name: ENGINE_TYPES[c.kind] for c in table.columns}
    if table.name == "claims":
        columns |= {"settled_second": "int64", "started_second": "int64", "month": "int64"}
    return ibis.table(columns, name=table.name)


def month_number(month: str) -> int:
    """Months since year 0 of a ``YYYY-MM`` text.

    >>> month_number("2026-07")
    24318
    """
    year, part = month.split("-")
    return int(year) * 12 + int(part) - 1


def month_text(number: int) -> str:
    """``YYYY-MM`` of a month number; the inverse of `month_number`.

    >>> month_text(24318)
    '2026-07'
    """
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
