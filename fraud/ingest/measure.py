"""Measuring a canonical dataset, and comparing the figures with the gate's thresholds."""

import datetime
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from fraud.ingest.quality import Check, QualityReport, money
from fraud.ingest.store import Store, quoted
from fraud.ingest.tables import EARLIEST, TableRecord
from fraud.schema import TABLES, Table, month_text
from fraud.settings import GateSettings

FURTHEST_GAP = 12  # months without any claim after which claims no longer belong to the data
SUBSTANTIAL = 0.1  # share of the median month's claims that makes a month part of the data
_SETTLED = ("settled_at", "ended_at", "started_at")


def horizon(months: Sequence[tuple[int, int]], as_of: str = "") -> datetime.datetime | None:
    """First moment that is in the future of the data.

    There is no clock here: the same data must give the same answer in any year. The data reach to the
    last month with a tenth of the median month's claims, and one month more; a gap of more than a
    year ends them.

    Parameters
    ----------
    months : sequence of (int, int)
        Month number and claims, in any order.
    as_of : str
        ``YYYY-MM-DD``, the last day of the data where the settings state it.

    Returns
    -------
    datetime or None
        None without claims.

    >>> horizon([(24312, 100), (24313, 90), (24314, 110), (24318, 1)])
    datetime.datetime(2026, 5, 1, 0, 0)
    """
    if as_of:
        return datetime.datetime.fromisoformat(as_of) + datetime.timedelta(days=1)
    ordered = sorted((m, n) for m, n in months if n > 0)
    if not ordered:
        return None
    total, seen, middle = sum(n for _, n in ordered), 0, 0
    for place, (_, n) in enumerate(ordered):
        seen += n
        if seen * 2 >= total:
            middle = place
            break
    reached = [ordered[middle]]
    for month, n in ordered[middle + 1 :]:
        if month - reached[-1][0] > FURTHEST_GAP:
            break
        reached.append((month, n))
    usual = statistics.median(n for _, n in ordered[: middle + len(reached)])
    last = max(m for m, n in reached if n >= SUBSTANTIAL * usual) if reached else ordered[-1][0]
    year, month = divmod(last + 2, 12)
    return datetime.datetime(year, month + 1, 1)


def month_counts(store: Store, view: str, columns: set[str]) -> list[tuple[int, int]]:
    """Claims per month number of a view of claims."""
    settled = ", ".join(c for c in _SETTLED if c in columns)
    return [
        (int(m), int(n))
        for m, n in store.rows(
            f"SELECT year(s) * 12 + month(s) - 1, count(*) FROM (SELECT coalesce({settled}, NULL) AS s FROM {view}) "
            f"WHERE s >= TIMESTAMP '{EARLIEST}' GROUP BY 1 ORDER BY 1"
        )
    ]


class Measure:
    """Measures a canonical dataset whose tables are the views ``data_<table>``.

    Parameters
    ----------
    store : Store
        Session.
    columns : mapping of str to sequence of str
        Table → its columns.
    gate : GateSettings
        Thresholds.
    records : mapping of str to TableRecord
        What ingest counted; empty for a dataset that was not ingested.
    """

    def __init__(
        self,
        store: Store,
        columns: Mapping[str, Sequence[str]],
        gate: GateSettings,
        records: Mapping[str, TableRecord],
    ) -> None:
        self.store = store
        self.columns = {t: list(c) for t, c in columns.items()}
        self.gate = gate
        self.records = records
        self.tables: dict[str, dict[str, Any]] = {}
        self.checks: list[Check] = []
        self.findings: list[dict[str, Any]] = []

    def has(self, table: str, *columns: str) -> bool:
        """Whether a table is there with these columns."""
        return table in self.columns and set(columns) <= set(self.columns[table])

    def count(self, sql: str) -> int:
        """Return the number a query gives."""
        return int(self.store.rows(sql)[0][0] or 0)

    def find(self, table: str, column: str, rows: int, zh: str, en: str) -> None:
        """Note something a person should know, where there is any."""
        if rows:
            self.findings.append({"table": table, "column": column, "rows": rows, "zh": zh, "en": en})

    # ---- tables
    def measure_tables(self) -> None:
        """Rows, nulls and ranges of every table; repeated keys; orphans."""
        for name in self.columns:
            table = TABLES[name]
            self.tables[name] = self._columns(table)
            self._repeats(table)
            self._orphans(table)

    def _columns(self, table: Table) -> dict[str, Any]:
        parts = ["count(*)"]
        known = {c.name: c for c in table}
        ranged = [c for c in self.columns[table.name] if c in known and known[c].kind in ("timestamp", "date", "amount", "float", "int")]  # fmt: skip
        parts += [f"count(*) - count({quoted(c)})" for c in self.columns[table.name]]
        parts += [f"CAST(min({quoted(c)}) AS VARCHAR), CAST(max({quoted(c)}) AS VARCHAR)" for c in ranged]
        rows, *rest = self.store.rows(f"SELECT {', '.join(parts)} FROM data_{table.name}")[0]
        width = len(self.columns[table.name])
        columns: dict[str, dict[str, Any]] = {}
        for name, nulls in zip(self.columns[table.name], rest[:width], strict=True):
            columns[name] = {"nulls": nulls, "null_share": round(nulls / rows, 6) if rows else 0.0}
        for place, name in enumerate(ranged):
            if known[name].privacy == "none":
                low, high = rest[width + 2 * place : width + 2 * place + 2]
                columns[name] |= {"min": low, "max": high}
        self._domains(table, columns)
        absent = [c.name for c in table if c.name not in columns]
        return {"rows": rows, "columns": columns, "absent": absent, "orphans": {}, "impossible": {}}

    def _domains(self, table: Table, columns: dict[str, dict[str, Any]]) -> None:
        record = self.records.get(table.name)
        for column in table:
            if column.name not in columns:
                continue
            outside = record.issues.get(column.name, {}).get("unknown", 0) if record else 0
            if column.domain and record is None:
                allowed = self.store.value(list(column.domain))
                name = quoted(column.name)
                outside = self.count(
                    f"SELECT count(*) FROM data_{table.name} WHERE {name} IS NOT NULL "
                    f"AND {name} <> '' AND NOT list_contains({allowed}, {name})"
                )
            if column.domain:
                columns[column.name]["out_of_domain"] = outside
                self.find(
                    table.name,
                    column.name,
                    outside,
                    "代码不在字典内",
                    "codes outside the dictionary; extend [values] in the profile",
                )

    def _repeats(self, table: Table) -> None:
        record = self.records.get(table.name)
        key = [c for c in table.key if c in self.columns[table.name]]
        if record is not None:
            repeats = record.rows.get("duplicate", 0) + sum(
                n for reason, n in record.quarantined.items() if "repeats" in reason
            )
        elif key:
            fields = ", ".join(quoted(c) for c in key)
            repeats = self.count(
                f"SELECT sum(n - 1) FROM (SELECT count(*) AS n FROM data_{table.name} GROUP BY {fields} HAVING count(*) > 1)"
            )
        else:
            repeats = 0
        self.tables[table.name]["repeated_keys"] = repeats
        self.find(table.name, ", ".join(key), repeats, "主键重复", "rows that repeat a key")

    def _orphans(self, table: Table) -> None:
        for column, target in table.references:
            if not (self.has(table.name, column) and self.has(target, column)):
                continue
            orphans = self.count(
                f"SELECT count(*) FROM data_{table.name} t WHERE t.{column} IS NOT NULL "
                f"AND NOT EXISTS (SELECT 1 FROM data_{target} o WHERE o.{column} = t.{column})"
            )
            self.tables[table.name]["orphans"][column] = orphans
            self.find(table.name, column, orphans, f"在 {target} 表中找不到", f"ids that are not in {target}")

    # ---- dates
    def measure_dates(self, end: datetime.datetime | None) -> None:
        """Impossible dates of claims, lines and patients."""
        future = self.store.value(end) if end else "NULL"
        tests = [
            ("claims", ("started_at", "ended_at"), "CAST(ended_at AS DATE) < CAST(started_at AS DATE)", "ended_before_started", "出院早于入院", "ended before it started"),
            ("claims", ("started_at", "settled_at"), "CAST(settled_at AS DATE) < CAST(started_at AS DATE)", "settled_before_started", "结算早于就诊", "settled before it started"),
            ("patients", ("birth_date", "death_date"), "death_date < birth_date", "death_before_birth", "死亡早于出生", "death before birth"),
        ]  # fmt: skip
        for name in self.columns:
            for column in TABLES[name]:
                if column.kind in ("timestamp", "date") and self.has(name, column.name):
                    tests.append(
                        (
                            name,
                            (column.name,),
                            f"{column.name} >= {future}",
                            f"{column.name}_in_future",
                            "晚于数据截止日",
                            "after the end of the data",
                        )
                    )
                    if column.kind == "timestamp":
                        tests.append(
                            (
                                name,
                                (column.name,),
                                f"{column.name} < TIMESTAMP '{EARLIEST}'",
                                f"{column.name}_before_1990",
                                "早于 1990 年",
                                "before 1990",
                            )
                        )
        for table, columns, test, name, zh, en in tests:
            if self.has(table, *columns):
                rows = self.count(f"SELECT count(*) FROM data_{table} WHERE {test}")
                self.tables[table]["impossible"][name] = rows
                self.find(table, columns[-1], rows, zh, en)
        if self.has("claims", "patient_id", "started_at") and self.has("patients", "birth_date"):
            rows = self.count(
                "SELECT count(*) FROM data_claims c JOIN data_patients p ON c.patient_id = p.patient_id "
                "WHERE p.birth_date > CAST(c.started_at AS DATE)"
            )
            self.tables["claims"]["impossible"]["born_after_visit"] = rows
            self.find("claims", "started_at", rows, "就诊早于出生", "visit before the patient's birth")

    # ---- gate
    def check(self, name: str, zh: str, en: str, value: float, threshold: float, where: str = "", at_least: bool = False) -> None:  # fmt: skip
        """Add a check to the gate."""
        passed = value >= threshold if at_least else value <= threshold
        self.checks.append(Check(name, zh, en, value, threshold, passed, where))

    def judge(self, line_totals: bool, month: int | None) -> None:
        """Compare every figure with its threshold."""
        claims = self.tables["claims"]["rows"]
        self.check("claims", "有可用结算记录", "claims that can be used", claims, 1, at_least=True)
        self._judge_ingest()
        self._judge_repeats()
        worst, where = 0.0, ""
        for table, column in (("claims", "patient_id"), ("claims", "institution_id"), ("lines", "claim_id")):
            if (
                table in self.tables
                and column in self.tables[table]["orphans"]
                and self.tables[table]["rows"]
            ):
                share = self.tables[table]["orphans"][column] / self.tables[table]["rows"]
                worst, where = max((worst, where), (share, f"{table}.{column}"))
        self.check(
            "orphans", "孤儿记录占比", "share of rows that point nowhere", worst, self.gate.max_orphans, where
        )
        if self.has("claims", "doctor_id"):
            row = self.store.rows(
                "SELECT count(*), count(*) FILTER (doctor_id IS NULL) FROM data_claims WHERE visit_type IS DISTINCT FROM 'pharmacy'"
            )[0]
            share = row[1] / row[0] if row[0] else 0.0
            self.check(
                "null_doctor",
                "非药店结算中无可用医师的占比",
                "share of hospital claims without a usable doctor",
                share,
                self.gate.max_null_doctor,
            )
        self._judge_lines(line_totals)
        self._judge_future()
        if month is not None:
            self._judge_volume(month)
        self.checks.sort(key=lambda c: c.passed)

    def _judge_ingest(self) -> None:
        worst, where = 0.0, ""
        unbalanced = 0
        for name, record in self.records.items():
            rows = record.rows
            if rows.get("in"):
                worst, where = max((worst, where), (rows["quarantined"] / rows["in"], name))
            unbalanced += self.tables.get(name, {}).get("rows", 0) != rows["out"]
        if self.records:
            self.check(
                "quarantined",
                "隔离记录占比",
                "share of quarantined rows",
                worst,
                self.gate.max_quarantined,
                where,
            )
            self.check(
                "balance", "控制总数不平的表", "tables whose control totals do not balance", unbalanced, 0
            )

    def _judge_repeats(self) -> None:
        worst, where = 0.0, ""
        for name, table in self.tables.items():
            rows = self.records[name].rows["in"] if name in self.records else table["rows"]
            if rows:
                worst, where = max((worst, where), (table["repeated_keys"] / rows, name))
        self.check(
            "duplicates",
            "主键重复占比",
            "share of rows that repeat a key",
            worst,
            self.gate.max_duplicates,
            where,
        )

    def _judge_lines(self, line_totals: bool) -> None:
        if not (
            line_totals and self.has("lines", "claim_id", "amount") and self.has("claims", "total_amount")
        ):
            return
        with_lines, differ = self.store.rows(
            "SELECT count(*), count(*) FILTER (abs(c.total_amount - l.amount) > 1) FROM data_claims c "
            "JOIN (SELECT claim_id, sum(amount) AS amount FROM data_lines GROUP BY claim_id) l ON c.claim_id = l.claim_id"
        )[0]
        self.tables["claims"]["with_lines"] = with_lines
        self.tables["claims"]["total_differs_from_lines"] = differ
        self.find(
            "claims",
            "total_amount",
            differ,
            "总费用与明细合计不符",
            "total differs from the sum of its lines by more than 1",
        )
        share = differ / with_lines if with_lines else 0.0
        self.check(
            "line_mismatch",
            "总费用与明细合计不符的占比",
            "share of claims whose total is not the sum of their lines",
            share,
            self.gate.max_line_mismatch,
        )

    def _judge_future(self) -> None:
        impossible = self.tables["claims"]["impossible"]
        rows = self.tables["claims"]["rows"]
        bad = max((n for k, n in impossible.items() if k.endswith(("_in_future", "_before_1990"))), default=0)
        record = self.records.get("claims")
        if record is not None:
            rows = record.rows["out"] + record.rows["quarantined"]
            bad += sum(
                n for r, n in record.quarantined.items() if r.endswith(("in the future", "before 1990"))
            )
        self.check(
            "future",
            "日期不可能的结算占比",
            "share of claims dated outside the data",
            bad / rows if rows else 0.0,
            self.gate.max_future,
        )

    def _judge_volume(self, month: int) -> None:
        counts = dict(month_counts(self.store, "data_claims", set(self.columns["claims"])))
        own = counts.get(month, 0)
        label = month_text(month)
        self.check("month", "该月有结算记录", "claims of the month", own, 1, label, at_least=True)
        before = [counts.get(m, 0) for m in range(month - 3, month)]
        usual = statistics.median(before)
        if min(counts, default=month) > month - 3 or not usual:
            return
        ratio = own / usual
        self.check(
            "volume_low",
            "与前三个月中位数之比（下限）",
            "claims of the month against the median of the three before",
            ratio,
            self.gate.min_volume_ratio,
            label,
            at_least=True,
        )
        self.check(
            "volume_high",
            "与前三个月中位数之比（上限）",
            "claims of the month against the median of the three before",
            ratio,
            self.gate.max_volume_ratio,
            label,
        )


def finding(table: str, column: str, rows: int, zh: str, en: str) -> dict[str, Any]:
    """Make an entry of the report's findings."""
    return {"table": table, "column": column, "rows": rows, "zh": zh, "en": en}


_ISSUES = {
    "malformed": (
        "无法识别，已置空或隔离",
        "values that cannot be read: emptied, or quarantined where required",
    ),
    "unkeyed": (
        "无密钥，不得保留，已删除",
        "dropped: only kept as pseudonyms, and FRAUD_PSEUDONYM_KEY is not set",
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
    work = Measure(store, {t: list(c) for t, c in columns.items()}, gate, records)
    work.measure_tables()
    counts = month_counts(store, "data_claims", set(columns["claims"]))
    work.measure_dates(horizon(counts, gate.as_of))
    work.judge(line_totals, month)
    report = QualityReport({}, work.checks, work.tables, work.findings)
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
