"""Official knowledge points (知识点) from their spreadsheets into knowledge tables.

The national bureau publishes knowledge points as workbooks of two sheets, points and codes, with
title rows above the header and merged cells below it; the wording of the columns varies from batch to
batch. Users have these files and we do not ship them: `import_points` reads one and writes knowledge
tables in the vocabulary of the rules. What a table cannot say is kept in ``untranslated.csv`` with the
reason, so that nothing is lost silently: only what the words say plainly is translated; a limit without
a number, or an indication without ICD-10 codes, is left to a person.
"""

import csv
import hashlib
import os
import re
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fraud.errors import DataError, UsageError
from fraud.rules.points_translation import TABLES, Point, Untranslated, translate

HEADER_ROWS = 30
# A header cell belongs to the first field one of whose words it holds.
FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("代码数量", "编码数量", "药品数量")),
    ("other_name", ("项目B名称", "药品B名称", "互斥项目名称", "饮片B名称", "B名称")),
    ("other_code", ("项目B代码", "项目B编码", "药品B代码", "药品B编码", "互斥项目编码", "B代码", "B编码")),
    ("name", ("项目A名称", "药品A名称", "饮片A名称", "A名称")),
    ("code", ("项目A代码", "项目A编码", "药品A代码", "药品A编码", "A代码", "A编码")),
    ("rule_code", ("规则编码", "规则代码", "规则编号")),
    ("rule", ("规则名称", "规则类别", "规则分类")),
    ("key", ("知识点编码", "知识点代码", "知识点序号", "知识点编号")),
    ("diagnosis", ("诊断编码", "诊断代码", "疾病编码", "疾病代码", "ICD")),
    ("code", ("医保目录编码", "医保编码", "医保代码", "药品代码", "药品编码", "项目代码", "项目编码")),
    ("code", ("饮片代码", "耗材代码", "耗材编码", "目录编码")),
    ("name", ("通用名", "药品名称", "项目名称", "饮片名称", "耗材名称", "目录名称")),
    ("point", ("知识点名称", "知识点内容", "知识点描述")),
    ("most", ("上限", "最大数量", "最大天数", "限定次数", "限定数量", "限定天数", "限定频次")),
    ("window", ("时间区间", "时间范围", "周期", "时间单位")),
    ("limit", ("限定", "限制", "适应症", "支付范围")),
    ("logic", ("检出逻辑", "判断逻辑", "逻辑描述")),
    ("level", ("违规等级", "违规程度", "提示等级", "监管等级")),
    ("message", ("提示信息", "提示内容", "提示")),
    ("basis", ("依据",)),
    ("number", ("序号",)),
)
SAID = ("limit", "point", "logic", "message", "basis")
MEANING = ("limit", "logic", "rule", "point", "most", "other_name", "diagnosis", "message")


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    points : int
        Knowledge points read.
    written : dict of str to int
        Rows written from this file, by table.
    untranslated : int
        Points kept in ``untranslated.csv``.
    folder : Path
        Where the tables are.
    """

    points: int
    written: dict[str, int]
    untranslated: int
    folder: Path


@dataclass
class Sheet:
    """A sheet whose header was found: fields by column, and its rows as text."""

    name: str
    title: str
    header: int
    columns: dict[str, int]
    labels: dict[str, str]
    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    numeric_codes: int = 0

    @property
    def key(self) -> str:
        """Field that joins points and codes."""
        return "key" if "key" in self.columns else "number"

    @property
    def is_points(self) -> bool:
        """Whether the sheet says what is limited, not only which codes."""
        named_codes = bool(re.search("代码|编码", self.name)) and "知识点明细" not in self.name
        return not named_codes and (
            any(f in self.columns for f in MEANING) or bool(re.search("规则|知识点", self.name + self.title))
        )


def import_points(source: Path, out: Path) -> Imported:
    """Read a workbook of knowledge points and write knowledge tables.

    Rows of the same file from an earlier import are replaced, those of other files kept.

    Parameters
    ----------
    source : Path
        An ``.xlsx`` workbook: a sheet of points and, where it has one, a sheet of codes. The header
        may stand in any of the first 30 rows.
    out : Path
        Folder of the tables; it is made where it is missing.

    Returns
    -------
    Imported
        Counts by table.

    Raises
    ------
    UsageError
        No such file, another format, or a table in `out` with other columns.
    DataError
        No header found, points without key, codes without point, codes that the spreadsheet holds as
        numbers: all of them, with file, sheet and column.
    """
    source, out = Path(source), Path(out)
    sheets = _read(source)
    problems = [p for s in sheets for p in _sheet_problems(source, s)]
    points = [s for s in sheets if s.is_points]
    codes = [s for s in sheets if not s.is_points and "code" in s.columns]
    if not points:
        problems.append(
            f"{source.name}: no sheet of knowledge points found. A header row in the first "
            f"{HEADER_ROWS} rows must name the rule or its limit and the item "
            "(规则名称, 知识点编码, 项目名称, 医保编码, 限定 …)."
        )
    by_key, stray = _codes(points, codes)
    problems += [f"{source.name}, {text}" for text in stray]
    if problems:
        raise DataError(problems)
    tables: dict[str, list[dict[str, str]]] = {}
    read = 0
    for sheet in points:
        for point in _points(source, sheet, by_key):
            read += 1
            table, row = _translated(point)
            tables.setdefault(table, []).append(row)
    written = _write(source, out, tables)
    untranslated = written.pop("untranslated")
    return Imported(read, written, untranslated, out)


def _read(source: Path) -> list[Sheet]:
    if source.suffix.lower() != ".xlsx":
        raise UsageError(f"{source.name}: knowledge points are read from .xlsx; save the workbook as .xlsx.")
    if not source.is_file():
        raise UsageError(f"{source}: no such file.")
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # styles and extensions openpyxl does not know
        try:
            book = openpyxl.load_workbook(source, read_only=True, data_only=True)
        except Exception as error:  # zip, XML and key errors alike: the file is no workbook
            what = f"{source.name}: cannot be read as a workbook ({type(error).__name__})."
            raise DataError(what) from error
        try:
            sheets = [_sheet(s.title, s.iter_rows(values_only=True)) for s in book.worksheets]
        finally:
            book.close()
    return [s for s in sheets if s is not None]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", str(value))).strip()


def _field(label: str) -> str:
    squeezed = label.replace(" ", "")
    if not squeezed or len(squeezed) > 24:
        return ""
    return next((f for f, words in FIELDS if any(w.upper() in squeezed.upper() for w in words)), "")


def _sheet(name: str, rows: Iterable[tuple[object, ...]]) -> Sheet | None:
    held = list(rows)
    best: tuple[int, int, dict[str, int]] = (0, -1, {})
    for number, row in enumerate(held[:HEADER_ROWS]):
        columns: dict[str, int] = {}
        for position, cell in enumerate(row):
            known = _field(_text(cell))
            if known and known not in columns:
                columns[known] = position
        if len(columns) > best[0]:
            best = (len(columns), number, columns)
    if best[0] < 2 or not {"name", "code", "key"} & set(best[2]):
        return None
    _, header, columns = best
    title = " ".join(t for row in held[:header] for t in map(_text, row) if t)
    labels = {f: _text(held[header][p]) for f, p in columns.items()}
    sheet = Sheet(name, title, header + 1, columns, labels)
    _fill(sheet, held[header + 1 :])
    return sheet


def _fill(sheet: Sheet, rows: list[tuple[object, ...]]) -> None:
    """Rows as text; a merged cell leaves its value in the first row only, so keys are carried down."""
    last: dict[str, str] = {}
    for offset, row in enumerate(rows):
        cells = {f: _text(row[p]) if p < len(row) else "" for f, p in sheet.columns.items()}
        if not any(cells.values()):
            continue
        code = row[sheet.columns["code"]] if sheet.columns.get("code", len(row)) < len(row) else None
        sheet.numeric_codes += isinstance(code, int | float) and not isinstance(code, bool)
        continued = not cells.get(sheet.key, "") and sheet.key in sheet.columns
        carried = (sheet.key, "name", "limit", "logic", "basis") if continued else ()
        for name in ("rule", "rule_code", *carried):
            if name in cells and not cells[name]:
                cells[name] = last.get(name, "")
        last = {**last, **{f: t for f, t in cells.items() if t}}
        sheet.rows.append((sheet.header + 1 + offset, cells))


def _sheet_problems(source: Path, sheet: Sheet) -> list[str]:
    problems = []
    where = f"{source.name}, sheet {sheet.name}"
    if sheet.numeric_codes:
        problems.append(
            f"{where}, column {sheet.labels['code']}: {sheet.numeric_codes} codes are numbers and may have "
            "lost leading zeros; format the column as text and paste the codes again."
        )
    missing = sum(1 for _, cells in sheet.rows if not cells.get(sheet.key, ""))
    if sheet.key in sheet.columns and missing:
        column = sheet.labels[sheet.key]
        problems.append(f"{where}, column {column}: the first {missing} rows have no value; fill the column.")
    return problems


def _codes(points: list[Sheet], codes: list[Sheet]) -> tuple[dict[str, list[str]], list[str]]:
    """Codes by the key of their point, and what does not join."""
    if not codes:
        return {}, []
    problems = []
    keys = {cells.get(s.key, "") for s in points for _, cells in s.rows}
    found: dict[str, list[str]] = {}
    for sheet in [*points, *codes]:
        if sheet.key not in sheet.columns:
            problems.append(
                f"sheet {sheet.name}: no column 知识点编码 or 序号 to join points and codes by; add one."
            )
    for sheet in codes if not problems else []:
        stray = 0
        for _, cells in sheet.rows:
            known = cells[sheet.key] in keys
            stray += not known
            held = found.setdefault(cells[sheet.key], [])
            held += [c for c in _split(cells["code"]) if c not in held]
        if stray and points:
            problems.append(
                f"sheet {sheet.name}, column {sheet.labels[sheet.key]}: {stray} rows name points that no "
                "sheet of points has; check that both sheets come from the same batch."
            )
    return found, problems


def _split(text: str) -> list[str]:
    return [t for t in re.split(r"[、,;/|\s]+", text) if t]


def _rule_of(source: Path, sheet: Sheet) -> str:
    """Rule name from the title, the sheet or the file, for workbooks of one rule."""
    for text in (sheet.title, sheet.name, unicodedata.normalize("NFKC", source.stem)):
        quoted = re.search(r"[“\"「《]([^”\"」》]+)[”\"」》]", text)
        plain = quoted.group(1) if quoted else re.sub(r"规则?对应.*$|知识点.*$", "", text)
        plain = re.sub(r"^第[一二三四五六七八九十0-9]+批[-\s0-9.]*|^[-\s0-9.]+", "", plain).strip()
        if re.search("限|收费|频次|禁|性别|儿童|相互作用|配伍|超量|不予支付|重复", plain):
            return plain
    return ""


def _points(source: Path, sheet: Sheet, by_key: dict[str, list[str]]) -> list[Point]:
    rule = _rule_of(source, sheet)
    points = []
    for number, cells in sheet.rows:
        get = cells.get
        key = get(sheet.key, "")
        codes = _split(get("code", "")) or by_key.get(key, [])
        points.append(
            Point(
                rule=get("rule", "") or rule,
                key=key,
                name=get("name", "") or get("point", ""),
                codes=tuple(codes),
                other_name=get("other_name", ""),
                other_codes=tuple(_split(get("other_code", ""))),
                diagnoses=get("diagnosis", ""),
                most=get("most", ""),
                window=get("window", ""),
                level=get("level", ""),
                limit=get("limit", ""),
                text="; ".join(t for f in SAID if (t := get(f, ""))),
                source=f"{source.name} · {sheet.name} · row {number}",
            )
        )
    return points


def _translated(point: Point) -> tuple[str, dict[str, str]]:
    try:
        table, values = translate(point)
    except Untranslated as reason:
        kept = {"rule": point.rule, "key": point.key, "name": point.name, "text": point.text}
        return "untranslated", {**kept, "reason": str(reason), "source": point.source}
    content = "\x1f".join([table, point.rule, *(f"{k}={v}" for k, v in sorted(values.items()))])
    row = dict.fromkeys(TABLES[table], "") | values
    row |= {"note_zh": f"{point.rule}:{point.text}"[:300], "source": point.source}
    row["note_en"] = "official knowledge point, imported; see the Chinese note"
    return table, {"id": f"KP-{hashlib.sha256(content.encode()).hexdigest()[:12]}", **row}


def _write(source: Path, out: Path, tables: dict[str, list[dict[str, str]]]) -> dict[str, int]:
    out.mkdir(parents=True, exist_ok=True)
    columns = {t: ("id", *c, "note_zh", "note_en", "source") for t, c in TABLES.items()}
    columns["untranslated"] = ("rule", "key", "name", "text", "reason", "source")
    kept: dict[str, list[dict[str, str]]] = {}
    problems = []
    for table, wanted in columns.items():
        path = out / f"{table}.csv"
        if not path.exists():
            continue
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if tuple(reader.fieldnames or ()) != wanted:
                expected = ", ".join(wanted)
                problems.append(f"{path.name}: the columns must be {expected}; import into another folder.")
                continue
            kept[table] = [r for r in reader if not r["source"].startswith(f"{source.name} · ")]
    if problems:
        raise UsageError(problems)
    counts = {"untranslated": 0}
    for table, wanted in columns.items():
        rows = list({r.get("id", r["source"]): r for r in tables.get(table, [])}.values())
        if rows:
            counts[table] = len(rows)
        if rows or table in kept:
            own = {r.get("id") for r in rows} - {None}
            rows += [r for r in kept.get(table, []) if r.get("id") not in own]
            _save(out / f"{table}.csv", wanted, sorted(rows, key=lambda r: (r.get("id", ""), r["source"])))
    return counts


def _save(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(beside, path)
