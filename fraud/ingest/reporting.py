"""From the tables of a dataset to its quality report."""

from collections.abc import Mapping, Sequence

from fraud.ingest.gate import Gate
from fraud.ingest.measure import Measure, finding
from fraud.ingest.months import horizon, month_counts
from fraud.ingest.quality import QualityReport, money
from fraud.ingest.store import Store
from fraud.ingest.tables import TableRecord
from fraud.settings import GateSettings

_ISSUES = {
    "malformed": ("无法识别，已置空或隔离", "cannot be read: emptied, or quarantined where required"),
    "unkeyed": (
        "无密钥，不得保留，已删除",
        "dropped: kept only as pseudonyms, and FRAUD_PSEUDONYM_KEY is not set",
    ),
}


def measure(
    store: Store,
    columns: Mapping[str, Sequence[str]],
    gate: GateSettings,
    records: Mapping[str, TableRecord],
    line_totals: bool = True,
    month: int | None = None,
) -> QualityReport:
    """Quality of the tables that are the views ``data_<table>`` of `store`."""
    work = Measure(store, columns, records)
    work.measure_tables()
    work.measure_doctors()
    work.measure_line_totals()
    counts = month_counts(store, "data_claims", set(columns["claims"]))
    work.measure_dates(horizon(counts, gate.as_of))
    checks = Gate(work, gate).judge(line_totals, month)
    report = QualityReport({}, checks, work.tables, work.findings)
    for name, record in records.items():
        for column, kinds in record.issues.items():
            for issue, rows in kinds.items():
                if issue in _ISSUES:
                    report.findings.append(finding(name, column, rows, *_ISSUES[issue]))
        amounts = {c: {f: money(v) for f, v in fates.items()} for c, fates in record.amounts.items()}
        report.control_totals[name] = {"rows": record.rows, **amounts}
        report.ingest[name] = {
            "rows": record.rows,
            "quarantined": record.quarantined,
            "left_out": record.left_out,
            "issues": record.issues,
        }
    return report
