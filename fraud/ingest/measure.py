"""Measuring a canonical dataset, and comparing the figures with the gate's thresholds."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from fraud.ingest.store import Store, quoted
from fraud.ingest.tables import EARLIEST, TableRecord
from fraud.schema import TABLES, Table

_RANGED = ("timestamp", "date", "amount", "float", "int")
# Dates in an impossible order: table, columns, test, name, and what it means.
_ORDERS = (
    (
        "claims", ("started_at", "ended_at"), "CAST(ended_at AS DATE) < CAST(started_at AS DATE)",
        "ended_before_started", "出院早于入院", "ended before it started",
    ),
    (
        "claims", ("started_at", "settled_at"), "CAST(settled_at AS DATE) < CAST(started_at AS DATE)",
        "settled_before_started", "结算早于就诊", "settled before it started",
    ),
    (
        "patients", ("birth_date", "death_date"), "death_date < birth_date",
        "death_before_birth", "死亡早于出生", "death before birth",
    ),
)  # fmt: skip


def finding(table: str, column: str, rows: int, zh: str, en: str) -> dict[str, Any]:
    """Make an entry of the report's findings."""
    return {"table": table, "column": column, "rows": rows, "zh": zh, "en": en}


class Measure:
    """Measures a canonical dataset whose tables are the views ``data_<table>``.

    Parameters
    ----------
    store : Store
        Session.
    columns : mapping of str to sequence of str
        Table → its columns.
    records : mapping of str to TableRecord
        What ingest counted; empty for a dataset that was not ingested.
    """

    def __init__(
        self,
        store: Store,
        columns: Mapping[str, Sequence[str]],
        records: Mapping[str, TableRecord],
    ) -> None:
        self.store = store
        self.columns = {t: list(c) for t, c in columns.items()}
        self.records = records
        self.tables: dict[str, dict[str, Any]] = {}
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
            self.findings.append(finding(table, column, rows, zh, en))

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
        ranged = [c for c in self.columns[table.name] if c in known and known[c].kind in _RANGED]
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
                codes = record.codes.get(column.name, {}) if record else {}
                shown = ", ".join(f"{code} ({rows})" for code, rows in codes.items())
                en = "codes outside the dictionary; map them under [values] in the profile"
                en += f": {shown}" if shown else ""
                self.find(table.name, column.name, outside, "代码不在字典内", en)

    def _repeats(self, table: Table) -> None:
        record = self.records.get(table.name)
        key = [c for c in table.key if c in self.columns[table.name]]
        if record is not None:
            repeats = record.rows.get("duplicate", 0) + sum(
                n for reason, n in record.quarantined.items() if "repeats" in reason
            )
        elif key:
            fields = ", ".join(quoted(c) for c in key)
            groups = f"SELECT count(*) AS n FROM data_{table.name} GROUP BY {fields} HAVING count(*) > 1"
            repeats = self.count(f"SELECT sum(n - 1) FROM ({groups})")
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
        """Impossible dates of every table; `end` is the first moment in the future."""
        for table, columns, test, name, zh, en in _ORDERS:
            if self.has(table, *columns):
                self._impossible(table, columns[-1], test, name, zh, en)
        future = self.store.value(end) if end else "NULL"
        for table in self.columns:
            for column in TABLES[table]:
                name = column.name
                if column.kind not in ("timestamp", "date") or not self.has(table, name):
                    continue
                late, early = f"{name}_in_future", f"{name}_before_1990"
                self._impossible(
                    table, name, f"{name} >= {future}", late, "晚于数据截止日", "after the data's end"
                )
                if column.kind == "timestamp":
                    test = f"{name} < TIMESTAMP '{EARLIEST}'"
                    self._impossible(table, name, test, early, "早于 1990 年", "before 1990")
        if self.has("claims", "patient_id", "started_at") and self.has("patients", "birth_date"):
            rows = self.count(
                "SELECT count(*) FROM data_claims c JOIN data_patients p ON c.patient_id = p.patient_id "
                "WHERE p.birth_date > CAST(c.started_at AS DATE)"
            )
            self.tables["claims"]["impossible"]["born_after_visit"] = rows
            self.find("claims", "started_at", rows, "就诊早于出生", "visit before the patient's birth")

    def _impossible(self, table: str, column: str, test: str, name: str, zh: str, en: str) -> None:
        rows = self.count(f"SELECT count(*) FROM data_{table} WHERE {test}")
        self.tables[table]["impossible"][name] = rows
        self.find(table, column, rows, zh, en)

    # ---- amounts
    def measure_line_totals(self) -> None:
        """Claims whose total is not the sum of their lines."""
        if not (self.has("lines", "claim_id", "amount") and self.has("claims", "total_amount")):
            return
        with_lines, differ = self.store.rows(
            "SELECT count(*), count(*) FILTER (abs(c.total_amount - l.amount) > 1) FROM data_claims c JOIN "
            "(SELECT claim_id, sum(amount) AS amount FROM data_lines GROUP BY claim_id) l USING (claim_id)"
        )[0]
        self.tables["claims"]["with_lines"] = with_lines
        self.tables["claims"]["total_differs_from_lines"] = differ
        en = "total differs from the sum of its lines by more than 1"
        self.find("claims", "total_amount", differ, "总费用与明细合计不符", en)

    def measure_doctors(self) -> None:
        """Claims of hospitals, and those without a usable doctor."""
        if self.has("claims", "doctor_id", "visit_type"):
            hospital, without = self.store.rows(
                "SELECT count(*), count(*) FILTER (doctor_id IS NULL) FROM data_claims "
                "WHERE visit_type IS DISTINCT FROM 'pharmacy'"
            )[0]
            self.tables["claims"] |= {"hospital_claims": hospital, "without_doctor": without}

    def written(self, table: str, amounts: Sequence[str]) -> tuple[int, ...]:
        """Rows of a table as it was written, and the sum of its amounts in hundredths."""
        sums = "".join(f", CAST(coalesce(sum({quoted(c)}), 0) * 100 AS BIGINT)" for c in amounts)
        return tuple(int(x) for x in self.store.rows(f"SELECT count(*){sums} FROM data_{table}")[0])
