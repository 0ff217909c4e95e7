"""From the rules of a profile to SQL: one statement per part of a contract table.

A statement has three floors: raw text of every column (joins, concatenations), its typed value (code
maps, patterns, casts, pseudonyms), and a bit per column that could not be read. It keeps every row of the
source, so that what is left out later can be counted.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fraud.ingest.profile import OTHERWISE, ColumnRule, Join, Part, Profile, Unpivot
from fraud.ingest.readers import Read
from fraud.ingest.store import Store, cleaned, quoted
from fraud.privacy import ALWAYS_KEYED, PREFIXES, SMALL_COUNT, key_pads, kind_of
from fraud.schema import TABLES, Column

# Names that are no column of a source: position of an unpivoted column, and number of file and row.
_PSEUDO = {"@index": "_u.i", "@row": "concat(m._file, '-', m._row + 1)"}
# Ids that count rows: "0" and "9999" are numbers there, not placeholders.
_COUNTED = ("claim", "visit", "line")
# Codes a person types: separators, blanks and question marks mean several people or none.
_TYPED = ("doctor", "operator", "department")
_TYPED_PATTERN = r"[^\s,;?*#!，；、？\x{FFFD}]+"
_PERSONAL = re.compile(
    r"(.*(psn|patient|person|contact|contacts|coner|insured|doctor|dr|opter|emp)?_?name|.*姓名.*|.*cert_?(no|num).*"
    r"|id_?(card|no|number).*|.*身份证.*|.*证件.*|.*(phone|mobile).*|tel|.*_tel|tel_.*|.*电话.*|.*手机.*|.*addr.*"
    r"|.*住址.*|.*地址.*|brdy|birth.*)$"
)
_NO_ISSUE = ""
LONGEST_CODE = 8


@dataclass
class Loaded:
    """A source that was read: view `view` with columns ``c0``…, ``_file``, ``_row``."""

    name: str
    view: str
    reads: list[Read]
    columns: dict[str, str]  # casefolded header → c<i>
    names: list[str]

    @property
    def label(self) -> str:
        """How messages call it."""
        more = len(self.reads) - 1
        return self.reads[0].piece.label + (f" (and {more} more)" if more else "")


@dataclass
class Statement:
    """SQL of a part, and what its bits mean.

    Attributes
    ----------
    columns : list of str
        Output columns, the contract's first.
    issues : list of (column, issue)
        Meaning of the bits of ``_issues``: issue is malformed, unknown or unkeyed.
    drops : list of str
        Meaning of ``_drop`` (1 is the first).
    codes : dict of str to str
        Column → SQL of the codes nobody mapped and their rows, the frequent and short ones only: an id
        mapped to the wrong column must not be printed.
    """

    sql: str
    columns: list[str]
    issues: list[tuple[str, str]] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)


def load_view(store: Store, name: str, number: int, reads: list[Read], first_file: int) -> Loaded:
    """Union of the pieces of a source as a view, their headers matched by name without regard to case."""
    columns: dict[str, str] = {}
    names: list[str] = []
    for read in reads:
        for header in read.names:
            if header.strip().casefold() not in columns:
                columns[header.strip().casefold()] = f"c{len(names)}"
                names.append(header.strip())
    selects = []
    for place, read in enumerate(reads):
        read.number = first_file + place
        own = {h.strip().casefold(): f"c{i}" for i, h in enumerate(read.names)}
        fields = [f"{own.get(key, 'CAST(NULL AS VARCHAR)')} AS {column}" for key, column in columns.items()]
        selects.append(
            f"SELECT {', '.join(fields)}, {read.number} AS _file, file_row_number AS _row "
            f"FROM read_parquet({store.value(str(read.path))}, file_row_number = true)"
        )
    view = f"source_{number}"
    store.view(view, cleaned(" UNION ALL ".join(selects), list(columns.values()), "_file, _row"))
    return Loaded(name, view, reads, columns, names)


class PartBuilder:
    """Builds the statement of one part.

    Parameters
    ----------
    store : Store
        Session that holds the values.
    profile, part : Profile, Part
        What to build.
    loaded : mapping of str to Loaded
        Sources by name; a joined source that is absent is left out.
    key : bytes or None
        Pseudonym key.
    keyed : bool
        The source already holds pseudonyms.
    """

    def __init__(
        self,
        store: Store,
        profile: Profile,
        part: Part,
        loaded: Mapping[str, Loaded],
        key: bytes | None,
        keyed: bool,
    ) -> None:
        self.store = store
        self.part = part
        self.table = TABLES[part.table]
        self.main = loaded[part.source]
        self.used: dict[str, set[str]] = {}
        self.joins = [
            (join, loaded[join.source], f"j{i}")
            for i, join in enumerate(part.joins)
            if join.source in loaded and _joinable(join, self.main, loaded[join.source])
        ]
        self.profile = profile
        self.keyed = keyed
        self.pads = tuple(store.value(p) for p in key_pads(key)) if key and not keyed else None
        self.has_key = key is not None

    # ---- finding columns
    def resolve(self, name: str) -> str | None:
        """Return SQL of a source column by its header; None where no source has it."""
        if name in _PSEUDO:
            return _PSEUDO[name]
        source, _, rest = name.partition(".")
        for alias, loaded in [("m", self.main), *((a, other) for _, other, a in self.joins)]:
            header = name.strip().casefold()
            if header not in loaded.columns and rest and loaded.name == source:
                header = rest.strip().casefold()
            if header in loaded.columns:
                column = loaded.columns[header]
                self.used.setdefault(alias, set()).add(column)
                widths = {k.casefold(): v for k, v in self.profile.source(loaded.name).pad.items()}
                text = f"{alias}.{column}"
                return f"fraud_pad({text}, {widths[header]})" if header in widths else text
        return None

    def resolvable(self, rule: ColumnRule) -> bool:
        """Whether the sources have what a rule needs."""
        if rule.how == "constant" or OTHERWISE in rule.values:
            return True
        if rule.how == "flags":
            return any(self.resolve(c) for c in rule.flags.values())
        have = [self.resolve(n.removeprefix("-") if rule.how == "sum" else n) is not None for n in rule.names]
        return bool(have) and (any(have) if rule.how == "first" else all(have))

    def missing(self) -> list[str]:
        """Name the required columns nothing fills."""
        given = {u.into for u in self.part.unpivot} | {u.index for u in self.part.unpivot}
        given |= {c for u in self.part.unpivot for c in u.set}
        given |= {name for name, rule in self.part.columns.items() if self.resolvable(rule)}
        return [c for c in self.table.required if c not in given]

    # ---- floors
    def statement(self) -> Statement:
        """Build it; see `Statement`."""
        rules = {n: r for n, r in self.part.columns.items() if self.resolvable(r)}
        rules |= self._carried(rules)
        order = [c.name for c in self.table if c.name in rules or self._unpivoted(c.name)]
        order += [n for n in rules if n not in order]
        drops, drop = self._drop()
        raw, typed, bits = [], [], []
        issues: list[tuple[str, str]] = []
        unknown: dict[str, tuple[str, str]] = {}
        for place, name in enumerate(order):
            rule = rules.get(name, ColumnRule())
            text = f"_u.{self._unpivoted(name)}" if self._unpivoted(name) else self._raw(rule)
            raw.append(f"{text} AS r{place}")
            value, issue, test = self._typed(name, rule, f"r{place}")
            typed.append(f"{value} AS t{place}")
            if issue:
                bits.append(f"CASE WHEN {test.format(t=f't{place}')} THEN {1 << len(issues)} ELSE 0 END")
                issues.append((name, issue))
            if issue == "unknown":
                unknown[name] = (f"r{place}", test)
        keep = ", ".join(f"r{i}" for i in range(len(order)))
        names = ", ".join(f"t{i} AS {quoted(n)}" for i, n in enumerate(order))
        floor0 = f"SELECT m._file, m._row, {drop} AS _drop, {', '.join(raw)} FROM {self._from()}"
        floor1 = f"SELECT _file, _row, _drop, {keep}, {', '.join(typed)} FROM ({floor0})"
        mask = f"CAST({' + '.join(bits) or '0'} AS BIGINT)"
        sql = f"SELECT _file, _row, _drop, {mask} AS _issues, {names} FROM ({floor1})"
        codes = {
            name: f"SELECT {code}, count(*) FROM ({floor0}) WHERE _drop = 0 AND {code} IS NOT NULL "
            f"AND {test} AND length({code}) <= {LONGEST_CODE} GROUP BY 1 HAVING count(*) >= {SMALL_COUNT} "
            "ORDER BY 2 DESC, 1 LIMIT 20"
            for name, (code, test) in unknown.items()
        }
        return Statement(sql, order, issues, drops, codes)

    def _unpivoted(self, name: str) -> str:
        """Field of the unpivoted struct that fills a column, or empty."""
        for unpivot in self.part.unpivot:
            if name in (unpivot.into, unpivot.index):
                return "v" if name == unpivot.into else "i"
            if name in unpivot.set:
                return quoted(f"set_{name}")
        return ""

    def _from(self) -> str:
        text = f"{self.main.view} m"
        structs = list(self._structs())
        for join, loaded, alias in self.joins:
            keys = [loaded.columns[c.casefold()] for c in join.on]
            on = " AND ".join(
                f"m.{self.main.columns[c.casefold()]} = {alias}.{k}"
                for c, k in zip(join.on, keys, strict=True)
            )
            conditions = [*self._filters(loaded, "s"), *(f"s.{k} IS NOT NULL" for k in keys)]
            key = ", ".join(keys)
            fields = ", ".join(sorted(self.used.get(alias, set()) | set(keys)))
            one = (
                f"SELECT DISTINCT ON ({key}) {fields} FROM {loaded.view} s WHERE {' AND '.join(conditions)} "
                f"ORDER BY {key}, _file, _row"
            )
            text += f" LEFT JOIN ({one}) {alias} ON {on}"
        return text + (f", UNNEST([{', '.join(structs)}]) AS _x(_u)" if structs else "")

    def _structs(self) -> Iterable[str]:
        constants = {k for u in self.part.unpivot for k in u.set}
        for unpivot in self.part.unpivot:
            for place, name in enumerate(unpivot.columns, 1):
                column = self.resolve(name)
                if column is not None:
                    yield self._struct(unpivot, column, place, sorted(constants))

    def _struct(self, unpivot: Unpivot, column: str, place: int, constants: list[str]) -> str:
        fields = {"v": column, "i": f"'{place}'"}
        for name in constants:
            fields[quoted(f"set_{name}")] = (
                self.store.value(unpivot.set[name]) if name in unpivot.set else "CAST(NULL AS VARCHAR)"
            )
        return "{" + ", ".join(f"{k}: {v}" for k, v in fields.items()) + "}"

    def _filters(self, loaded: Loaded, alias: str) -> list[str]:
        """Conditions a source's rows must meet; columns it lacks are not asked for."""
        conditions = []
        for name, allowed in self.profile.source(loaded.name).filter.items():
            column = loaded.columns.get(name.strip().casefold())
            if column is not None:
                values = self.store.value(list(allowed))
                conditions.append(f"coalesce(list_contains({values}, {alias}.{column}), false)")
        return conditions

    def _drop(self) -> tuple[list[str], str]:
        """Reasons to leave a row out, and the SQL that numbers the first that holds (0: none)."""
        reasons, cases = [], []
        source = self.profile.source(self.main.name)
        have = [n for n in source.filter if n.strip().casefold() in self.main.columns]
        for name, condition in zip(have, self._filters(self.main, "m"), strict=True):
            reasons.append(f"{name} is not {' or '.join(source.filter[name])}")
            cases.append(f"WHEN NOT {condition} THEN {len(reasons)}")
        for name, reason in self.part.drop_when_empty.items():
            rule = self.part.columns.get(name, ColumnRule(names=(name,)))
            column = self._raw(rule) if self.resolvable(rule) else None
            if column is not None:
                reasons.append(reason)
                cases.append(f"WHEN {column} IS NULL THEN {len(reasons)}")
        if self.part.unpivot:
            reasons.append(EMPTY_CELL)
            cases.insert(0, f"WHEN _u.v IS NULL THEN {len(reasons)}")
        return reasons, f"CASE {' '.join(cases)} ELSE 0 END" if cases else "0"

    def _carried(self, rules: Mapping[str, ColumnRule]) -> dict[str, ColumnRule]:
        """Columns that are carried along as they are: those no rule uses and that name no person."""
        if not self.part.carry:
            return {}
        used = {n.casefold() for rule in rules.values() for n in rule.names}
        used |= {c.name for c in self.table} | {n.casefold() for n in rules}
        names = [n for n in self.main.names if n.casefold() not in used]
        return {n: ColumnRule(names=(n,)) for n in names if not _PERSONAL.match(n.casefold())}

    # ---- one column
    def _raw(self, rule: ColumnRule) -> str:
        if rule.how == "constant":
            return self.store.value(rule.constant)
        if rule.how == "flags":
            yes = self.store.value(list(rule.yes))
            labels = [(self.store.value(k), self.resolve(v)) for k, v in rule.flags.items()]
            tests = [f"CASE WHEN list_contains({yes}, {c}) THEN {label} END" for label, c in labels if c]
            return f"array_to_string(list_filter([{', '.join(tests)}], lambda x: x IS NOT NULL), '|')"
        texts = [self.resolve(n.removeprefix("-") if rule.how == "sum" else n) for n in rule.names]
        found = [t for t in texts if t is not None]
        if not found:  # only its "*" is left
            return "CAST(NULL AS VARCHAR)"
        if rule.how == "concat":
            separator = self.store.value(rule.separator)
            return f" || {separator} || ".join(found)
        if rule.how == "sum":
            return self._sum(rule, found)
        if rule.how == "differ":
            left, right = (f"left({t}, {rule.digits})" if rule.digits else t for t in found[:2])
            return f"CAST({left} <> {right} AS VARCHAR)"
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def _sum(self, rule: ColumnRule, texts: list[str]) -> str:
        """Text of a sum; 'unreadable' where a term is there but is no amount."""
        signs = ["-" if n.startswith("-") else "" for n in rule.names]
        terms = " + ".join(f"{s}coalesce(fraud_amount({t}), 0)" for s, t in zip(signs, texts, strict=True))
        bad = " OR ".join(f"({t} IS NOT NULL AND fraud_amount({t}) IS NULL)" for t in texts)
        empty = " AND ".join(f"{t} IS NULL" for t in texts)
        return f"CASE WHEN {empty} THEN NULL WHEN {bad} THEN 'unreadable' ELSE CAST({terms} AS VARCHAR) END"

    def _typed(self, name: str, rule: ColumnRule, raw: str) -> tuple[str, str, str]:
        """Typed SQL of a raw text, its issue, and the test for it (``{t}`` is the typed value)."""
        column = next((c for c in self.table if c.name == name), None)
        kind = rule.type or (column.kind if column else "string")
        if column is not None and column.domain:
            return self._domain(column, rule, raw)
        if rule.values:
            raw = self._mapped(rule, raw)
        identifier = kind_of(name) or ("subject" if name == "subject_id" else None)
        if kind == "string" and identifier:
            return self._identifier(identifier, rule, raw)
        given = raw
        if rule.pattern:
            raw = f"CASE WHEN regexp_full_match({raw}, {self.store.value(rule.pattern)}) THEN {raw} END"
        issue = _NO_ISSUE if kind == "string" and not rule.pattern else "malformed"
        value = raw if kind == "string" else f"fraud_{kind}({raw})"
        if kind == "list":  # nothing in a list is no entry, not an unknown list
            value = f"coalesce({value}, CAST([] AS VARCHAR[]))"
        if rule.format and kind in ("timestamp", "date"):
            value = f"CAST(try_strptime({raw}, {self.store.value(rule.format)}) AS {kind})"
        return value, issue, f"{given} IS NOT NULL AND {{t}} IS NULL"

    def _mapped(self, rule: ColumnRule, raw: str) -> str:
        codes = [(k, v) for k, v in rule.values.items() if k != OTHERWISE]
        other = self.store.value(rule.values[OTHERWISE]) if OTHERWISE in rule.values else raw
        known = f"{self.store.mapping(codes)}[{raw}]"
        return f"nullif(coalesce({known}, CASE WHEN {raw} IS NOT NULL THEN {other} END), '')"

    def _domain(self, column: Column, rule: ColumnRule, raw: str) -> tuple[str, str, str]:
        """Value of a column with a fixed domain; codes nobody mapped become 'other', or NULL."""
        allowed = self.store.value(list(column.domain))
        own = (
            f"CASE WHEN list_contains({allowed}, {raw}) THEN {raw} "
            f"WHEN list_contains({allowed}, lower({raw})) THEN lower({raw}) END"
        )
        known = own
        codes = [(k, v) for k, v in rule.values.items() if k != OTHERWISE]
        if codes:
            known = f"coalesce({self.store.mapping(codes)}[{raw}], {own})"
        default = rule.values.get(OTHERWISE, "other" if "other" in column.domain else "")
        otherwise = self.store.value(default)
        always = column.required and default != ""
        if not always:  # an empty required code is an unknown one, an empty optional one is empty
            otherwise = f"CASE WHEN {raw} IS NOT NULL THEN {otherwise} END"
        value = f"nullif(coalesce({known}, {otherwise}), '')"
        issue = _NO_ISSUE if OTHERWISE in rule.values or rule.how == "constant" else "unknown"
        given = "true" if always else f"{raw} IS NOT NULL"
        return value, issue, f"{given} AND {known} IS NULL"

    def _identifier(self, kind: str, rule: ColumnRule, raw: str) -> tuple[str, str, str]:
        if self.keyed:
            return raw, _NO_ISSUE, ""
        if kind in ALWAYS_KEYED and not self.has_key:
            return "CAST(NULL AS VARCHAR)", "unkeyed", f"{raw} IS NOT NULL"
        usable = self._usable(kind, rule, raw)
        value = (
            f"CASE WHEN {usable} THEN {self._pseudonym(kind, raw)} END"
            if usable
            else self._pseudonym(kind, raw)
        )
        return value, "malformed", f"{raw} IS NOT NULL AND {{t}} IS NULL"

    def _usable(self, kind: str, rule: ColumnRule, raw: str) -> str:
        tests = []
        if rule.pattern:
            tests.append(f"regexp_full_match({raw}, {self.store.value(rule.pattern)})")
        elif kind in _TYPED:
            tests.append(f"regexp_full_match({raw}, {self.store.value(_TYPED_PATTERN)})")
        if kind in _TYPED:
            tests.append(f"{raw} <> '0'")
        if kind not in _COUNTED:
            tests.append(f"NOT fraud_placeholder({raw})")
        return " AND ".join(tests)

    def _pseudonym(self, kind: str, raw: str) -> str:
        if self.pads is None:
            return raw
        inner, outer = self.pads
        if kind == "subject":
            cases = " ".join(
                f"WHEN '{k}' THEN {self._pseudonym(k, raw)}"
                for k in ("claim", "patient", "doctor", "department", "institution")
            )
            return f"CASE {self._subject_kind()} {cases} ELSE {raw} END"
        return f"fraud_keyed({raw}, '{kind}', '{PREFIXES.get(kind, 'X')}', {inner}, {outer})"

    def _subject_kind(self) -> str:
        """Return SQL of the audits' subject kind on the raw floor, where columns are numbered."""
        rules = {n: r for n, r in self.part.columns.items() if self.resolvable(r)}
        order = [c.name for c in self.table if c.name in rules]
        place = order.index("subject_kind")
        return self._domain(self.table["subject_kind"], rules["subject_kind"], f"r{place}")[0]


def _joinable(join: Join, main: Loaded, other: Loaded) -> bool:
    return all(c.casefold() in main.columns and c.casefold() in other.columns for c in join.on)


EMPTY_CELL = "empty cell"
