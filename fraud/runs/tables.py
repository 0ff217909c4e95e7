"""The tables of a run folder: columns, types and meanings, and their writers."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from fraud.schema import SUBJECT_KINDS, Column, Kind, Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

STATUSES = ("new", "persisting", "up", "down", "previously_cleared")
RING_STATUSES = ("new", "growing", "persisting", "dormant")

REASON = pa.struct(
    [
        ("code", pa.string()),
        ("sentence_zh", pa.string()),
        ("sentence_en", pa.string()),
        ("value", pa.float64()),
        ("baseline", pa.float64()),
        ("peer_group", pa.string()),
        ("peer_n", pa.int64()),
        ("percentile", pa.float64()),
        ("contribution", pa.float64()),
        ("own_past", pa.float64()),
    ]
)


@dataclass(frozen=True)
class _Reasons(Column):
    """The one nested column: a list of reasons."""

    @property
    def arrow(self) -> pa.DataType:
        return pa.list_(REASON)


def _c(
    name: str, kind: Kind, zh: str, en: str, domain: tuple[str, ...] = (), *, optional: bool = False
) -> Column:
    return Column(name, kind, zh, en, required=not optional, domain=domain)


_MONTH = _c("month", "string", "月份", "month, YYYY-MM")
_SCORE = _c(
    "score", "float", "风险概率", "calibrated probability, or the anomaly percentile where no model exists"
)
_SUPERVISED = _c("p_supervised", "float", "模型概率", "probability by the supervised model", optional=True)
_ANOMALY = _c("anomaly", "float", "异常百分位", "anomaly percentile, 0 to 1", optional=True)
_AMOUNT = _c("amount_at_risk", "amount", "涉及金额", "amount at risk")
_RECOVERY = _c("expected_recovery", "amount", "预期追回", "score × amount_at_risk")
_KIND = _c("subject_kind", "string", "对象类别", "what the row is about", SUBJECT_KINDS)
_SUBJECT = _c("subject_id", "string", "对象", "its id")
_RING = _c("ring_id", "string", "团伙", "ring; empty if none")

RUN_TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        Table(
            "claims_scored", "结算评分", "one row per claim of the month",
            (
                _c("claim_id", "string", "结算编号", "settlement"), _MONTH, _SCORE, _SUPERVISED, _ANOMALY,
                _c("rule_hits", "list", "命中规则", "codes of the rules hit"), _RING, _AMOUNT, _RECOVERY,
            ),
            key=("claim_id",),
        ),
        Table(
            "subjects_scored", "对象评分",
            "one row per patient, doctor, department and institution active in the scoring window",
            (_KIND, _SUBJECT, _MONTH, _SCORE, _SUPERVISED, _ANOMALY, _AMOUNT, _RECOVERY),
            key=("subject_kind", "subject_id"),
        ),
        Table(
            "challenger_scored", "挑战者评分",
            "claims and other subjects as the challenger scored them, silently; only where there is one",
            (_KIND, _SUBJECT, _MONTH, _SCORE, _SUPERVISED, _ANOMALY, _AMOUNT, _RECOVERY),
            key=("subject_kind", "subject_id"),
        ),
        Table(
            "suspicions", "疑点清单", "one row per suspicion, the auditor's unit of work, best first",
            (
                _c("rank", "int", "序号", "place in the list, 1 is first"),
                _c("suspicion_id", "string", "疑点编号", "the same subject keeps it in later months"),
                _MONTH, _KIND, _SUBJECT, _SCORE, _AMOUNT, _RECOVERY,
                _c("status_vs_last_month", "string", "较上月", "against last month's list", STATUSES),
                _Reasons("reasons", "list", "理由", "strongest first, frozen with the score", required=True),
                _c("evidence_claim_ids", "list", "证据结算", "its claims, strongest first"),
                _c("rationale_hash", "string", "理由指纹", "SHA-256 of reasons, score and amount"),
            ),
            key=("suspicion_id",),
        ),
        Table(
            "rule_hits", "规则命中", "one row per rule, knowledge row and claim of the month",
            (
                _c("rule", "string", "规则编码", "code of the rule"),
                _c("knowledge", "string", "知识点", "row of the knowledge table; empty if none"),
                _c("claim_id", "string", "结算编号", "settlement"), _MONTH,
                _c("result", "string", "结果类型", "violation or suspicious", ("violation", "suspicious")),
                _c("severity", "string", "严重程度", "note, warn or stop", ("note", "warn", "stop")),
                _c("amount_at_issue", "amount", "争议金额", "amount at issue by the rule's formula"),
                _c("value", "float", "实测值", "what was counted or measured", optional=True),
                _c("bound", "float", "限值", "the limit", optional=True),
                _c("items", "list", "涉及项目", "codes of the items at issue"),
                _c("partners", "list", "相关项目", "codes of the items they clash with"),
                _c("line_ids", "list", "涉及明细", "lines at issue"),
                _c("earlier_claims", "list", "既往结算", "earlier claims it rests on"),
                _c("exemptions_zh", "list", "已核豁免", "exemptions tried that do not apply, in Chinese"),
                _c("exemptions_en", "list", "已核豁免（英）", "the same in English"),
                _c("sentence_zh", "string", "说明", "what was found, in Chinese"),
                _c("sentence_en", "string", "说明（英）", "the same in English"),
                _c("snoozed", "bool", "已静默", "a snooze covers it: it counts neither money nor code"),
            ),
            key=("rule", "knowledge", "claim_id"),
        ),
        Table(
            "rings", "团伙", "one row per ring",
            (
                _RING, _c("kind", "string", "团伙类别", "kind of ring"),
                _c("members", "int", "成员数", "members"), _c("claims", "int", "结算数", "claims"),
                _c("amount", "amount", "金额", "amount of its claims"),
                _c("p_value", "float", "p 值", "chance of as many meetings", optional=True),
                _c("q_value", "float", "q 值", "false-discovery rate", optional=True),
                _c("first_seen", "timestamp", "首次", "first meeting"),
                _c("last_seen", "timestamp", "末次", "last meeting"),
                _c("evidence", "string", "证据", "what was seen, in words or JSON", optional=True),
                _c("status", "string", "状态", "against the last run", RING_STATUSES, optional=True),
                _c("score", "float", "风险概率", "probability that the ring is one", optional=True),
            ),
            key=("ring_id",),
        ),
        Table(
            "ring_members", "团伙成员", "one row per member of a ring",
            (
                _RING, _c("member_kind", "string", "成员类别", "kind of member"),
                _c("member_id", "string", "成员", "its id"),
                _c("role", "string", "角色", "role in the ring", optional=True),
                _c("membership_score", "float", "成员得分", "strength of membership", optional=True),
            ),
            key=("ring_id", "member_kind", "member_id"),
        ),
        Table(
            "ring_claims", "团伙结算", "one row per evidence claim of a ring, of all months looked at",
            (
                _RING, _c("claim_id", "string", "结算编号", "settlement"),
                _c("patient_id", "string", "参保人", "insured person"),
                _c("institution_id", "string", "机构", "where"),
                _c("doctor_id", "string", "医师", "attending or prescribing doctor", optional=True),
                _c("settled_at", "timestamp", "结算时间", "when it was settled"),
                _c("amount", "amount", "金额", "amount of the claim"),
            ),
            key=("ring_id", "claim_id"),
        ),
        Table(
            "ring_edges", "团伙关系", "one row per pair of members who meet",
            (
                _RING, _c("a", "string", "成员甲", "a member"), _c("b", "string", "成员乙", "another member"),
                _c("meetings", "int", "会面次数", "meetings"),
                _c("expected", "float", "预期次数", "meetings that chance explains"),
                _c("weight", "float", "强度", "log-likelihood ratio of the meetings"),
            ),
            key=("ring_id", "a", "b"),
        ),
        Table(
            "backtest_scores", "回测得分", "one row per subject scored in a month of a back-test",
            (
                _MONTH, _SUBJECT, _SCORE, _SUPERVISED, _ANOMALY,
                _c("amount", "amount", "涉及金额", "amount at risk"),
                _c("rule_amount", "amount", "规则争议金额", "amount that rules put at issue"),
                _c("label", "float", "结论", "1 confirmed, 0 cleared; empty if never audited", optional=True),
                _c("random", "bool", "随机抽查", "whether it was audited at random"),
                _c("scheme", "string", "违规类型", "what was confirmed", optional=True),
                _c("decided_at", "timestamp", "结论时间", "when it was decided", optional=True),
                _c("institution_kind", "string", "机构类别", "kind of institution", optional=True),
                _c("department", "string", "专业", "specialty of the department", optional=True),
                _c("region", "string", "地区", "the patient's region, else the institution's", optional=True),
                _c("age_band", "string", "年龄段", "age of the patient", optional=True),
                _c("sex", "string", "性别", "sex of the patient", optional=True),
            ),
            key=("month", "subject_id"),
        ),
    )
}  # fmt: skip


def neutral(text: str) -> str:
    """Text that a spreadsheet will not run as a formula, marked with a leading apostrophe.

    >>> neutral("=1+1"), neutral("D001")
    ("'=1+1", 'D001')
    """
    return (
        f"'{text}"
        if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
        else text
    )


def to_arrow(frame: "pd.DataFrame", table: Table | str) -> pa.Table:
    """Frame → Arrow with exactly the contract's columns and types.

    Parameters
    ----------
    frame : DataFrame
        Amounts in yuan; other columns are ignored; optional ones may be absent (NULL).
    table : Table or str
        A table of `RUN_TABLES`.

    Raises
    ------
    ValueError
        A required column is absent.
    """
    table = RUN_TABLES[table] if isinstance(table, str) else table
    missing = [c for c in table.required if c not in frame]
    if missing:
        raise ValueError(f"{table.name}: columns are missing: {', '.join(missing)}")
    arrays = [_array(frame, column) for column in table]
    return pa.Table.from_arrays(arrays, schema=table.arrow())


def _array(frame: "pd.DataFrame", column: Column) -> pa.Array:
    if column.name not in frame:
        return pa.nulls(len(frame), column.arrow)
    values = frame[column.name]
    if isinstance(column, _Reasons):
        return pa.array([[_reason(r) for r in own] for own in values], column.arrow)
    if column.kind == "list":
        lists = [[] if v is None or isinstance(v, float) else list(v) for v in values]
        return pa.array(lists, column.arrow)
    if column.kind == "amount":
        return _decimals(values.to_numpy(float))
    if column.kind == "float":
        return pa.array(values.to_numpy(float, na_value=float("nan")), from_pandas=True)
    if column.kind == "string":
        return pa.array(values.to_numpy(object, na_value=None), pa.string(), from_pandas=True)
    return pa.array(values, column.arrow, from_pandas=True)


def _reason(reason: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: _typed(reason.get(field.name), field.type) for field in REASON}


def _typed(value: Any, kind: pa.DataType) -> Any:
    if value is None or pa.types.is_string(kind):
        return value
    number = float(value)
    if number != number:  # NaN
        return None
    return int(number) if pa.types.is_integer(kind) else number


def _decimals(yuan: "np.ndarray") -> pa.Array:
    """Yuan → decimal(16,2), through cents; a million at once without Python objects."""
    import numpy as np

    null = np.isnan(yuan)
    cents = np.rint(np.where(null, 0.0, yuan) * 100).astype("<i8")
    words = np.column_stack([cents, cents >> 63])  # 128-bit little-endian, sign-extended
    valid = None if not null.any() else pa.array(~null).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(16, 2), len(yuan), [valid, pa.py_buffer(words.tobytes())])


def write_table(frame: "pd.DataFrame | None", table: str, folder: Path) -> Path:
    """Write a run table as Parquet; None writes it empty, with the right schema."""
    path = folder / f"{table}.parquet"
    data = RUN_TABLES[table].arrow().empty_table() if frame is None else to_arrow(frame, table)
    pq.write_table(data, path, compression="zstd", row_group_size=131_072)
    return path


def reasons_text(reasons: Sequence[Mapping[str, Any]], language: str = "zh", between: str = "\n") -> str:
    """Reasons as one numbered text."""
    return between.join(f"{i}. {r.get(f'sentence_{language}') or ''}" for i, r in enumerate(reasons, 1))


def write_suspicions_csv(frame: "pd.DataFrame", folder: Path) -> Path:
    """Write the list as CSV that spreadsheets open rightly: BOM, quoted text, no formulas."""
    path = folder / "suspicions.csv"
    columns = RUN_TABLES["suspicions"].columns
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow([c.name for c in columns])
        for row in frame.to_dict("records"):
            writer.writerow([_cell(row[c.name], c) for c in columns])
    return path


def _cell(value: Any, column: Column) -> Any:
    if isinstance(column, _Reasons):
        return neutral(
            " | ".join(reasons_text(value, language, " ") for language in ("zh", "en") if len(value))
        )
    if column.kind == "list":
        return neutral(" ".join(value))
    if column.kind == "int":
        return int(value)
    if column.kind == "float":
        return float(value)
    if column.kind == "amount":
        return round(float(value), 2)
    return neutral(str(value))
