"""Profiles: whose columns are ours. Data, not code: one TOML file per layout.

A profile names the source files, says which of their columns fill which columns of the contract, how
codes translate, and what to leave out. `docs/ingest.md` explains every key by example.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from fraud.errors import UsageError
from fraud.schema import TABLES, Table

BUILT_IN = Path(__file__).parent / "profiles"
TYPES = ("string", "timestamp", "date", "amount", "float", "int", "bool", "list")
OTHERWISE = "*"
_PART_KEYS = (
    "from", "join", "unless", "columns", "values", "drop_when_empty", "unpivot", "one_per_key",
    "same_names", "carry",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One kind of file (or database table) of the source.

    Attributes
    ----------
    name : str
        What the profile calls it.
    files : tuple of str
        Patterns of file, sheet or table names, without their endings; case does not matter.
    filter : dict of str to tuple of str
        Column → values of the rows to keep.
    pad : dict of str to int
        Column → width to restore leading zeros to.
    encoding, delimiter, sheet : str
        Empty for detected (sheet: the first).
    """

    name: str
    files: tuple[str, ...]
    filter: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pad: dict[str, int] = field(default_factory=dict)
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""


@dataclass(frozen=True)
class ColumnRule:
    """How one column is filled: the first non-empty of `names`, or what `how` says.

    Attributes
    ----------
    how : str
        first, concat, sum, differ (whether two codes differ), constant or flags.
    names : tuple of str
        Columns of the source; in a sum a leading ``-`` subtracts. ``@row`` is a number made of file and
        row, ``@index`` the position of an unpivoted column.
    digits : int
        How many leading characters `differ` compares; 0 for all.
    values : dict of str to str
        Code → our value; ``*`` is for every other code.
    flags : dict of str to str
        Label → column, for a list made of yes/no columns.
    """

    how: str = "first"
    names: tuple[str, ...] = ()
    separator: str = "-"
    constant: str = ""
    values: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    yes: tuple[str, ...] = ("1", "Y", "是")
    pattern: str = ""
    format: str = ""
    type: str = ""
    digits: int = 0


@dataclass(frozen=True)
class Unpivot:
    """Columns of one row that become rows: `into` receives the value, `index` the position from 1."""

    columns: tuple[str, ...]
    into: str
    index: str = ""
    set: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Join:
    """Another source whose columns are added, one row per key at most."""

    source: str
    on: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """How a contract table is filled from one source; a table may have several parts.

    A part with `unless` is used only where that source is absent.
    """

    table: str
    source: str
    columns: dict[str, ColumnRule]
    unless: str = ""
    joins: tuple[Join, ...] = ()
    drop_when_empty: dict[str, str] = field(default_factory=dict)
    unpivot: tuple[Unpivot, ...] = ()
    one_per_key: bool = False
    same_names: bool = False
    carry: bool = False


@dataclass(frozen=True)
class Profile:
    """A whole profile; see the module."""

    name: str
    currency: str
    region: str
    dataset_name: str
    sources: dict[str, Source]
    tables: dict[str, tuple[Part, ...]]
    pseudonymised: bool = False
    line_totals: bool = True

    def source(self, name: str) -> Source:
        """Source by name; one that the profile does not declare has files of its own name."""
        return self.sources.get(name) or Source(name, _default_files(name))


def _default_files(name: str) -> tuple[str, ...]:
    return (name, f"{name}[-_.][0-9]*")


def built_in_profiles() -> list[str]:
    """Names of the profiles that come with the toolkit."""
    return sorted(p.stem for p in BUILT_IN.glob("*.toml"))


def load_profile(profile: str | Path) -> Profile:
    """Read a profile.

    Parameters
    ----------
    profile : str or Path
        Name of a built-in profile, or the path of a TOML file.

    Raises
    ------
    UsageError
        No such profile, not TOML, or keys and values that make no sense; all are named.
    """
    data, name = _read(profile)
    problems: list[str] = []
    seen = [name]
    while "extends" in data:
        base, base_name = _read(data["extends"])
        if base_name in seen:
            raise UsageError(f"{profile}: profiles extend each other in a circle: {' → '.join(seen)}.")
        seen.append(base_name)
        own = {k: v for k, v in data.items() if k != "extends"}
        data = _merge(base, own)
    result = _Parser(str(profile), problems).profile(data, name)
    if problems:
        raise UsageError(problems)
    return result


def _read(profile: str | Path) -> tuple[dict[str, Any], str]:
    path = Path(profile)
    if path.suffix != ".toml":
        path = BUILT_IN / f"{profile}.toml"
        if not path.is_file():
            raise UsageError(
                f"profile {profile}: there is no built-in profile of this name. "
                f"Use one of {', '.join(built_in_profiles())}, or the path of a TOML file."
            )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig")), path.stem
    except FileNotFoundError:
        raise UsageError(f"{profile}: no such profile file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{profile}: not valid TOML: {error}.") from None


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        if (
            isinstance(before, list)
            and isinstance(value, Mapping)
            and all(isinstance(b, Mapping) for b in before)
        ):
            merged[key] = [_merge(b, value) for b in before]  # a table of several parts: each is extended
            continue
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(cast("Mapping[str, Any]", before), value) if both else value
    return merged


class _Parser:
    """Turns TOML data into a `Profile`, collecting every problem on the way."""

    def __init__(self, where: str, problems: list[str]) -> None:
        self.where = where
        self.problems = problems

    def say(self, place: str, text: str) -> None:
        self.problems.append(f"{self.where}: [{place}] {text}")

    def profile(self, data: Mapping[str, Any], name: str) -> Profile:
        self.keys("", data, ("dataset", "sources", "checks", *TABLES))
        dataset = self.section(data, "dataset", ("name", "currency", "region", "pseudonymised"))
        checks = self.section(data, "checks", ("line_totals",))
        sources = {}
        for key, value in self.section(data, "sources").items():
            sources[key] = self.source(f"sources.{key}", key, value)
        tables = {t: self.parts(t, data[t]) for t in TABLES if t in data}
        if "claims" not in tables:
            self.say("claims", "is missing: every profile fills the claims table.")
        return Profile(
            name=name,
            dataset_name=str(dataset.get("name", "")),
            currency=str(dataset.get("currency", "CNY")),
            region=str(dataset.get("region", "")),
            pseudonymised=bool(dataset.get("pseudonymised", False)),
            line_totals=bool(checks.get("line_totals", True)),
            sources=sources,
            tables=tables,
        )

    def section(
        self, data: Mapping[str, Any], key: str, known: tuple[str, ...] | None = None, place: str = ""
    ) -> dict[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, Mapping):
            self.say(f"{place}{key}", "must be a table of keys and values.")
            return {}
        if known is not None:
            self.keys(f"{place}{key}", value, known)
        return dict(value)

    def keys(self, place: str, data: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in data:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(known)}."
                self.say(place or "top level", f"unknown key {key}. {hint}")

    def texts(self, place: str, value: Any) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, (dict, list)) for v in values):
            self.say(place, "must be a text or a list of texts.")
            return ()
        return tuple(_text(v) for v in values)

    def widths(self, place: str, value: Mapping[str, Any]) -> dict[str, int]:
        for column, width in value.items():
            if not isinstance(width, int) or isinstance(width, bool) or width < 1:
                self.say(place, f"{column}: the width must be a whole number of characters.")
        return {c: w for c, w in value.items() if isinstance(w, int)}

    def number(self, place: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.say(place, "digits must be a whole number.")
            return 0
        return value

    def source(self, place: str, name: str, value: Any) -> Source:
        if not isinstance(value, Mapping):
            self.say(place, "must be a table of keys and values.")
            return Source(name, ())
        self.keys(place, value, ("files", "filter", "pad", "encoding", "delimiter", "sheet"))
        allowed = self.section(value, "filter", place=f"{place}.")
        return Source(
            name=name,
            files=self.texts(f"{place}.files", value.get("files", list(_default_files(name)))),
            filter={k: self.texts(f"{place}.filter.{k}", v) for k, v in allowed.items()},
            pad=self.widths(f"{place}.pad", self.section(value, "pad", place=f"{place}.")),
            encoding=str(value.get("encoding", "")),
            delimiter=str(value.get("delimiter", "")),
            sheet=str(value.get("sheet", "")),
        )

    def parts(self, table: str, value: Any) -> tuple[Part, ...]:
        values = value if isinstance(value, list) else [value]
        return tuple(self.part(TABLES[table], v) for v in values)

    def part(self, table: Table, value: Any) -> Part:
        place = table.name
        if not isinstance(value, Mapping):
            self.say(place, "must be a table of keys and values.")
            return Part(place, place, {})
        self.keys(place, value, _PART_KEYS)
        columns = {
            k: self.column(f"{place}.columns.{k}", v)
            for k, v in self.section(value, "columns", place=f"{place}.").items()
        }
        same = bool(value.get("same_names", False))
        if same:
            columns = {c.name: ColumnRule(names=(c.name,)) for c in table} | columns
        for name, mapping in self.section(value, "values", place=f"{place}.").items():
            self.values(table, columns, name, mapping)
        empty = self.section(value, "drop_when_empty", place=f"{place}.")
        return Part(
            table=place,
            source=str(value.get("from", place)),
            columns=columns,
            unless=str(value.get("unless", "")),
            joins=tuple(self.join(f"{place}.join", j) for j in value.get("join", [])),
            drop_when_empty={k: str(v) for k, v in empty.items()},
            unpivot=tuple(self.unpivot(f"{place}.unpivot", u) for u in value.get("unpivot", [])),
            one_per_key=bool(value.get("one_per_key", False)),
            same_names=same,
            carry=bool(value.get("carry", False)),
        )

    def values(self, table: Table, columns: dict[str, ColumnRule], name: str, mapping: Any) -> None:
        place = f"{table.name}.values.{name}"
        if name not in columns:
            close = difflib.get_close_matches(name, columns, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            self.say(place, f"there is no column {name} under [{table.name}.columns].{hint}")
            return
        if not isinstance(mapping, Mapping):
            self.say(place, 'must be a table of code = "our value".')
            return
        domain = next((c.domain for c in table if c.name == name), ())
        for code, target in mapping.items():
            if domain and str(target) not in (*domain, ""):
                close = difflib.get_close_matches(str(target), domain, 1)
                hint = f"Did you mean {close[0]}?" if close else f"Allowed are: {', '.join(domain)}."
                self.say(place, f"{code} = {target}: not a value of {name}. {hint}")
        columns[name] = replace(columns[name], values={_text(k): _text(v) for k, v in mapping.items()})

    def column(self, place: str, value: Any) -> ColumnRule:
        if not isinstance(value, Mapping):
            return ColumnRule(names=self.texts(place, value))
        ways = ("column", "concat", "sum", "differ", "constant", "flags")
        self.keys(place, value, (*ways, "separator", "yes", "pattern", "format", "type", "digits"))
        used = [w for w in ways if w in value]
        if len(used) != 1:
            self.say(place, f"needs exactly one of {', '.join(ways)}; it has {', '.join(used) or 'none'}.")
            return ColumnRule()
        kind = str(value.get("type", ""))
        if kind and kind not in TYPES:
            self.say(place, f"type {kind}: allowed are {', '.join(TYPES)}.")
        how = "first" if used[0] == "column" else used[0]
        rule = ColumnRule(
            how=how,
            separator=str(value.get("separator", "-")),
            pattern=str(value.get("pattern", "")),
            format=str(value.get("format", "")),
            type=kind,
            yes=self.texts(place, value.get("yes", ["1", "Y", "是"])),
            digits=self.number(place, value.get("digits", 0)),
        )
        if how == "constant":
            return replace(rule, constant=_text(value["constant"]))
        if how == "flags":
            flags = self.section(value, "flags", place=f"{place}.")
            return replace(rule, flags={k: str(v) for k, v in flags.items()})
        return replace(rule, names=self.texts(place, value[used[0]]))

    def join(self, place: str, value: Any) -> Join:
        if not isinstance(value, Mapping) or "source" not in value or "on" not in value:
            self.say(place, 'each join needs source = "…" and on = "…" (a column or a list).')
            return Join("", ())
        self.keys(place, value, ("source", "on"))
        return Join(str(value["source"]), self.texts(place, value["on"]))

    def unpivot(self, place: str, value: Any) -> Unpivot:
        if not isinstance(value, Mapping) or "columns" not in value or "into" not in value:
            self.say(place, 'each unpivot needs columns = ["…"] and into = "…".')
            return Unpivot((), "")
        self.keys(place, value, ("columns", "into", "index", "set"))
        constants = self.section(value, "set", place=f"{place}.")
        return Unpivot(
            columns=self.texts(place, value["columns"]),
            into=str(value["into"]),
            index=str(value.get("index", "")),
            set={k: _text(v) for k, v in constants.items()},
        )


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
