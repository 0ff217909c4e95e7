"""One contract table: which rows are kept, which are quarantined, and the Parquet that results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fraud.ingest.columns import EMPTY_CELL, Loaded, Statement
from fraud.ingest.profile import Part
from fraud.ingest.readers import Read
from fraud.ingest.store import Store, quoted
from fraud.schema import ARROW, Table

ROW_GROUP = 131_072
EARLIEST = "1990-01-01"
FATES = ("out", "quarantined", "duplicate", "left_out")
_PART_STRIDE = 10**12  # row ids of different parts never meet


@dataclass
class TableRecord:
    """What happened to the rows of a table.

    Attributes
    ----------
    rows, amounts : dict
        Rows, and sum of every amount column in hundredths, by fate: in, out, quarantined,
        duplicate, left_out.
    left_out, quarantined : dict of str to int
        Rows by reason.
    issues : dict of str to dict of str to int
        Column → issue → rows.
    codes : dict of str to dict of str to int
        Column → code nobody mapped → rows; rare and long codes are not shown.
    """

    name: str
    columns: tuple[str, ...]
    rows: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    issues: dict[str, dict[str, int]] = field(default_factory=dict)
    codes: dict[str, dict[str, int]] = field(default_factory=dict)


class TableBuilder:
    """Builds one contract table from the statements of its parts.

    Parameters
    ----------
    store : Store
        Session.
    table : Table
        The contract's table.
    parts : sequence of (Part, Statement, Loaded)
        What fills it.
    work : Path
        Folder for what is between.
    """

    def __init__(
        self, store: Store, table: Table, parts: Sequence[tuple[Part, Statement, Loaded]], work: Path
    ) -> None:
        self.store = store
        self.table = table
        self.parts = parts
        self.work = work
        columns: dict[str, None] = {}
        for _, statement, _ in parts:
            columns |= dict.fromkeys(statement.columns)
        contract = [c.name for c in table]
        self.columns = [c for c in contract if c in columns] + [c for c in columns if c not in contract]
        self.types = self._types()
        self.key = [c for c in table.key if c in columns] or self.columns
        self.amounts = [c for c in self.columns if self.types[c] == "amount"]
        self.record = TableRecord(table.name, tuple(self.columns))

    def _types(self) -> dict[str, str]:
        types = {c.name: str(c.kind) for c in self.table}
        for part, _, _ in self.parts:
            for name, rule in part.columns.items():
                types.setdefault(name, rule.type or "string")
        return {c: types.get(c, "string") for c in self.columns}

    # ---- reading
    def read(self) -> None:
        """Run the parts' statements into typed Parquet; the view ``typed_<table>`` unites them."""
        selects = []
        for number, (part, statement, _) in enumerate(self.parts):
            path = self.work / f"typed_{self.table.name}_{number}.parquet"
            sql = statement.sql
            if part.one_per_key:
                sql = self._most_frequent(statement)
            self.store.parquet(sql, path)
            have = set(statement.columns)
            fields = ", ".join(
                quoted(c) if c in have else f"CAST(NULL AS {_SQL[self.types[c]]}) AS {quoted(c)}"
                for c in self.columns
            )
            selects.append(
                f"SELECT {number} AS _part, {number * _PART_STRIDE} + file_row_number AS _id, "
                f"_file, _row, _drop, _issues, {fields} "
                f"FROM read_parquet({self.store.value(str(path))}, file_row_number = true)"
            )
        self.store.view(f"typed_{self.table.name}", " UNION ALL ".join(selects))

    def _most_frequent(self, statement: Statement) -> str:
        """One row per key: the combination of values that occurs most often."""
        columns = ", ".join(quoted(c) for c in statement.columns)
        key = ", ".join(quoted(c) for c in self.table.key)
        rest = ", ".join(f"{quoted(c)} NULLS LAST" for c in statement.columns)
        groups = (
            f"SELECT min(_file) AS _file, min(_row) AS _row, 0 AS _drop, bit_or(_issues) AS _issues, "
            f"{columns}, count(*) AS _n FROM ({statement.sql}) WHERE _drop = 0 GROUP BY {columns}"
        )
        return (
            f"SELECT _file, _row, _drop, _issues, {columns} FROM ({groups}) "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _n DESC, {rest}) = 1"
        )

    # ---- judging
    def judge(self, horizon: str | None, claims_left_out: bool) -> None:
        """Give every row its fate; the view ``judged_<table>`` adds ``_fate`` and ``_why``.

        Parameters
        ----------
        horizon : str or None
            SQL of the moment after which a claim is in the future.
        claims_left_out : bool
            Whether the table ``left_claims`` holds claims whose lines go with them.
        """
        cases = [f"WHEN t._drop > 0 THEN {self._drop_reason()}"]
        if claims_left_out and self.table.name in ("lines", "diagnoses"):
            cases.append(
                "WHEN t.claim_id IN (SELECT claim_id FROM left_claims) THEN 'left_out|its claim was left out'"
            )
        why = self._unusable(horizon)
        usable = f"SELECT *, {why} AS _bad FROM typed_{self.table.name}"
        cases.append("WHEN t._bad <> '' THEN 'quarantined|' || t._bad")
        repeats = ""
        if self._find_repeats(usable):
            self.store.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE repeats_{self.table.name} AS FROM repeats"
            )
            repeats = f"LEFT JOIN repeats_{self.table.name} r ON t._id = r._id"
            cases.append("WHEN r._verdict IS NOT NULL THEN r._verdict")
        fate = f"CASE {' '.join(cases)} ELSE 'out|' END"
        self.store.view(
            f"judged_{self.table.name}",
            "SELECT * EXCLUDE (_judged), split_part(_judged, '|', 1) AS _fate, "
            "split_part(_judged, '|', 2) AS _why "
            f"FROM (SELECT t.*, {fate} AS _judged FROM ({usable}) t {repeats})",
        )

    def _drop_reason(self) -> str:
        whens = []
        for number, (_, statement, _) in enumerate(self.parts):
            for place, reason in enumerate(statement.drops, 1):
                fate = self.store.value(f"left_out|{reason}")
                whens.append(f"WHEN t._part = {number} AND t._drop = {place} THEN {fate}")
        return f"CASE {' '.join(whens)} END" if whens else "''"

    def _unusable(self, horizon: str | None) -> str:
        """Return SQL of why a row cannot be used; empty text where it can."""
        reasons = []
        for name in self.table.required:
            column = quoted(name)
            reasons.append(
                f"CASE WHEN {column} IS NULL THEN CASE WHEN {self._issue(name)} "
                f"THEN '{name} is not readable' ELSE '{name} is empty' END END"
            )
        if self.table.name == "claims":
            for name in ("started_at", "settled_at"):
                if name in self.columns:
                    reasons.append(
                        f"CASE WHEN {name} < TIMESTAMP '{EARLIEST}' THEN '{name} is before 1990' END"
                    )
                    if horizon:
                        reasons.append(f"CASE WHEN {name} >= {horizon} THEN '{name} is in the future' END")
        return f"concat_ws('; ', {', '.join(reasons)})" if reasons else "''"

    def _issue(self, name: str) -> str:
        tests = []
        for number, (_, statement, _) in enumerate(self.parts):
            for bit, (column, _) in enumerate(statement.issues):
                if column == name:
                    tests.append(f"(_part = {number} AND (_issues & {1 << bit}) > 0)")
        return " OR ".join(tests) or "false"

    def _find_repeats(self, usable: str) -> bool:
        """Make the table ``repeats``: identical rows with one key but the first, and all that differ.

        Returns False where no key repeats.
        """
        key = ", ".join(quoted(c) for c in self.key)
        same = " AND ".join(f"t.{quoted(c)} IS NOT DISTINCT FROM k.{quoted(c)}" for c in self.key)
        whole = ", ".join(quoted(c) for c in self.columns)
        good = f"SELECT * FROM ({usable}) WHERE _drop = 0 AND _bad = ''"
        run = self.store.connection.execute
        keys = f"SELECT {key} FROM ({good}) GROUP BY {key} HAVING count(*) > 1"
        run(f"CREATE OR REPLACE TEMP TABLE repeated AS {keys}")
        if not self.store.rows("SELECT count(*) FROM repeated")[0][0]:
            return False
        conflict = f"quarantined|the key {', '.join(self.key)} repeats with other values"
        run(
            f"CREATE OR REPLACE TEMP TABLE repeats AS "
            f"WITH members AS (SELECT *, row({whole}) AS _all FROM ({good}) t "
            f"  WHERE EXISTS (SELECT 1 FROM repeated k WHERE {same})), "
            f"counted AS (SELECT _id, count(DISTINCT _all) OVER (PARTITION BY {key}) AS _kinds, "
            f"  row_number() OVER (PARTITION BY {key} ORDER BY _file, _row, _id) AS _place FROM members) "
            f"SELECT _id, CASE WHEN _kinds > 1 THEN '{conflict}' ELSE 'duplicate|' END AS _verdict "
            f"FROM counted WHERE _kinds > 1 OR _place > 1"
        )
        return True

    # ---- writing
    def count(self) -> TableRecord:
        """Fill the record: rows and amounts by fate, reasons, and unreadable values.

        What came in is counted from the source, not added up from the fates: the gate compares them.
        """
        record, name = self.record, self.table.name
        sums = "".join(f", CAST(coalesce(sum({quoted(c)}), 0) * 100 AS BIGINT)" for c in self.amounts)
        record.rows = dict.fromkeys(("in", *FATES), 0)
        record.amounts = {c: dict.fromkeys(("in", *FATES), 0) for c in self.amounts}
        for fate, why, rows, *amounts in self.store.rows(
            f"SELECT _fate, _why, count(*){sums} FROM judged_{name} WHERE _why <> '{EMPTY_CELL}' "
            "GROUP BY ALL ORDER BY ALL"
        ):
            record.rows[fate] += rows
            for column, amount in zip(self.amounts, amounts, strict=True):
                record.amounts[column][fate] += amount
            if fate in ("quarantined", "left_out"):
                reasons = record.quarantined if fate == "quarantined" else record.left_out
                for reason in why.split("; "):
                    reasons[reason] = reasons.get(reason, 0) + rows
        self._count_in(sums)
        self._count_issues()
        for read in self._reads().values():
            for item in read.broken:
                record.quarantined[item.reason] = record.quarantined.get(item.reason, 0) + 1
                record.rows["quarantined"] += 1
                record.rows["in"] += 1
        return record

    def _count_in(self, sums: str) -> None:
        """Count what the sources hold for this table: all rows, or the filled cells of unpivoted columns."""
        for number, (part, statement, loaded) in enumerate(self.parts):
            where = f"_part = {number}"
            if part.unpivot:
                where += f" AND _drop <> {statement.drops.index(EMPTY_CELL) + 1}"
            rows, *totals = self.store.rows(
                f"SELECT count(*){sums} FROM typed_{self.table.name} WHERE {where}"
            )[0]
            if not part.unpivot and not part.one_per_key:
                rows = self.store.rows(f"SELECT count(*) FROM {loaded.view}")[0][0]
            self.record.rows["in"] += rows
            for column, amount in zip(self.amounts, totals, strict=True):
                self.record.amounts[column]["in"] += amount

    def _count_issues(self) -> None:
        for number, (_, statement, _) in enumerate(self.parts):
            if not statement.issues:
                continue
            counts = ", ".join(
                f"count(*) FILTER ((_issues & {1 << bit}) > 0)" for bit in range(len(statement.issues))
            )
            row = self.store.rows(
                f"SELECT {counts} FROM typed_{self.table.name} WHERE _part = {number} AND _drop = 0"
            )[0]
            for (column, issue), rows in zip(statement.issues, row, strict=True):
                if rows:
                    kinds = self.record.issues.setdefault(column, {})
                    kinds[issue] = kinds.get(issue, 0) + rows
                if rows and column in statement.codes:
                    codes = self.record.codes.setdefault(column, {})
                    for code, found in self.store.rows(statement.codes[column]):
                        codes[code] = codes.get(code, 0) + found

    def quarantine(self, path: Path) -> None:
        """Write the rows that cannot be used: file, row, reason and the row's ids as the dataset has them."""
        ids = [c.name for c in self.table if c.privacy == "identifier" and c.name in self.columns]
        rows = self.store.sql(
            f"SELECT _file, _row, _why AS reason{''.join(', ' + quoted(c) for c in ids)} "
            f"FROM judged_{self.table.name} WHERE _fate = 'quarantined' ORDER BY _file, _row, _id"
        ).to_arrow_table()
        labels, numbers = self._places(rows.column("_file").to_pylist(), rows.column("_row").to_pylist())
        extra = [
            (read.piece.label, item) for _, read in sorted(self._reads().items()) for item in read.broken
        ]
        if rows.num_rows + len(extra) == 0:
            return
        columns = {
            "file": labels + [label for label, _ in extra],
            "row": numbers + [item.row for _, item in extra],
            "reason": rows.column("reason").to_pylist() + [item.reason for _, item in extra],
        }
        for name in ids:
            columns[name] = rows.column(name).to_pylist() + [None] * len(extra)
        schema = pa.schema(
            [("file", pa.string()), ("row", pa.int64())] + [(c, pa.string()) for c in ["reason", *ids]]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")

    def _reads(self) -> dict[int, Read]:
        """Files whose every record should be a row of this table, by number."""
        return {r.number: r for part, _, loaded in self.parts if not part.one_per_key for r in loaded.reads}

    def _places(self, files: list[int], rows: list[int]) -> tuple[list[str], list[int]]:
        """File names and row numbers, as a person counts, of rows by file and place among its good rows."""
        reads = {r.number: r for _, _, loaded in self.parts for r in loaded.reads}
        numbers = [reads[f].row_number(r) for f, r in zip(files, rows, strict=True)]
        return [reads[f].piece.label for f in files], numbers

    def write(self, path: Path) -> None:
        """Write the kept rows, sorted by key.

        pyarrow writes, from row groups of one size: the bytes depend on the rows alone, not on how many
        threads sorted them.
        """
        schema = pa.schema([(c, ARROW[self.types[c]]) for c in self.columns])
        order = ", ".join(f"{quoted(c)} NULLS FIRST" for c in self._order())
        columns = ", ".join(
            f"CAST({quoted(c)} AS {_SQL[self.types[c]]}) AS {quoted(c)}" for c in self.columns
        )
        reader = self.store.sql(
            f"SELECT {columns} FROM judged_{self.table.name} WHERE _fate = 'out' ORDER BY {order}"
        ).to_arrow_reader(ROW_GROUP)
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
            for table in _even(reader, schema):
                writer.write_table(table, row_group_size=ROW_GROUP)

    def _order(self) -> list[str]:
        """Sort columns: lines stay together by claim."""
        if self.table.name == "lines":
            return [c for c in ("claim_id", "line_id") if c in self.columns]
        return self.key


_SQL = {
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "amount": "DECIMAL(16,2)",
    "float": "DOUBLE",
    "int": "BIGINT",
    "bool": "BOOLEAN",
    "list": "VARCHAR[]",
}


def _even(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of exactly `ROW_GROUP` rows, and the rest."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= ROW_GROUP:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, ROW_GROUP).cast(schema)
            rest = table.slice(ROW_GROUP)
            waiting, rows = rest.to_batches(), rest.num_rows
    if rows or not waiting:
        yield (pa.Table.from_batches(waiting) if waiting else schema.empty_table()).cast(schema)
