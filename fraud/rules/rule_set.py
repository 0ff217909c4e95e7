"""A rule set: built-in records and knowledge, with a user's own folder over them."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fraud.errors import UsageError
from fraud.rules.knowledge import CLASSES, DrugClasses, KnowledgeRow, parse_classes, parse_table
from fraud.rules.parameters import REQUIREMENTS, Parameters, kind_problems
from fraud.rules.records import Rule, parse_rules, supersede_cycles
from fraud.rules.snoozes import Snooze, parse_snoozes

BUILT_IN = Path(__file__).parent / "data"
NOT_TABLES = ("untranslated", "evidence")
"""Files beside the tables that an import or mining wrote for a person to read."""
MASTER = "items"
"""The table that is the dataset's own item master: its limits of sex and age are knowledge too."""
_OWN = frozenset(KnowledgeRow.model_fields) - frozenset(Parameters.model_fields)


@dataclass(frozen=True)
class Check:
    """A rule, or a rule and one row of its knowledge table: what the engines evaluate.

    Attributes
    ----------
    rule : Rule
    row : KnowledgeRow or None
    parameters : Parameters
        The row's where it gives one, else the rule's.
    """

    rule: Rule
    row: KnowledgeRow | None
    parameters: Parameters

    @property
    def severity(self) -> str:
        """How the doctor's screen treats a hit."""
        default = "warn" if self.rule.result == "violation" else "note"
        return self.parameters.severity or default


@dataclass(frozen=True)
class RuleSet:
    """Rules by code, knowledge rows by table, drug classes and snoozes."""

    rules: Mapping[str, Rule]
    knowledge: Mapping[str, tuple[KnowledgeRow, ...]]
    classes: DrugClasses
    snoozes: tuple[Snooze, ...]
    version: str

    def checks(self, master: tuple[KnowledgeRow, ...] = ()) -> tuple[Check, ...]:
        """Checks of all enabled rules, in a fixed order.

        Parameters
        ----------
        master : tuple of KnowledgeRow
            Limits of the dataset's own item master, the rows of table ``items``.
        """
        found = []
        for code in sorted(self.rules):
            rule = self.rules[code]
            if not rule.enabled:
                continue
            rows: tuple[KnowledgeRow | None, ...] = (None,)
            if rule.table:
                rows = master if rule.table == MASTER else self.knowledge[rule.table]
            for row in rows:
                parameters = merged(rule, row)
                # A table may hold rows for several rules: a limit by sex is none by age.
                if row is None or not kind_problems(rule.kind, parameters):
                    found.append(Check(rule, row, parameters))
        return tuple(found)


def merged(rule: Rule, row: KnowledgeRow | None, *, whole: bool = False) -> Parameters:
    """Parameters of a rule with those that a knowledge row gives over them.

    Of the row's requirements the rule takes those it looks at, or all if `whole`.
    """
    own = {n: getattr(rule, n) for n in Parameters.model_fields if n in rule.model_fields_set}
    if row is not None:
        taken = row.model_fields_set - _OWN
        if rule.only and not whole:
            taken -= set(REQUIREMENTS) - set(rule.only)
        own |= {n: getattr(row, n) for n in taken}
    return Parameters.model_validate(own)


def load_rule_set(folder: Path | str = "") -> RuleSet:
    """Read the built-in rules and knowledge, with those of a user's folder over them.

    Parameters
    ----------
    folder : path
        User's folder: ``*.toml`` with ``[[rule]]`` records, ``knowledge/*.csv`` and ``snoozes.csv``. A
        record with a built-in code, or a row with a built-in id, takes its place.

    Raises
    ------
    UsageError
        Every mistake in every file, with file and row.
    """
    return _built_in() if not folder else _load((BUILT_IN, Path(folder)))


@cache
def _built_in() -> RuleSet:
    return _load((BUILT_IN,))


def _load(folders: tuple[Path, ...]) -> RuleSet:
    rules: dict[str, Rule] = {}
    tables: dict[str, dict[str, KnowledgeRow]] = {}
    classes: dict[str, tuple[str, str]] = {}
    snoozes: list[Snooze] = []
    problems = [f"{f}: no such folder; see [rules] folder." for f in folders if not f.is_dir()]
    for folder in folders:
        problems += _read_rules(folder, rules)
        problems += _read_knowledge(folder, tables, classes)
        if (folder / "snoozes.csv").exists():
            own, wrong = parse_snoozes(folder / "snoozes.csv")
            snoozes += own
            problems += wrong
    knowledge = {
        t: tuple(r for _, r in sorted(own.items()) if r.enabled) for t, own in sorted(tables.items())
    }
    problems += _cross_problems(rules, knowledge, snoozes)
    if problems:
        raise UsageError(problems)
    text = repr([sorted(rules.items()), knowledge, sorted(classes.items()), snoozes])
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    return RuleSet(rules, knowledge, DrugClasses(classes.values()), tuple(snoozes), version)


def _read_rules(folder: Path, rules: dict[str, Rule]) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"{path.name}: is no TOML in UTF-8: {error}.")
            continue
        unknown = sorted(set(content) - {"rule", "defaults"})
        problems += [
            f"{path.name}: unknown section [{n}]; there are [defaults] and [[rule]]." for n in unknown
        ]
        rows, defaults = content.get("rule", []), content.get("defaults", {})
        if not isinstance(rows, list):
            problems.append(f"{path.name}: write [[rule]] with two brackets.")
            continue
        own, wrong = parse_rules([defaults | row for row in rows], path.name)
        problems += wrong
        for rule in own:
            if rule.code in seen and seen[rule.code] != path.name:
                problems.append(f"{path.name}: rule {rule.code} is also in {seen[rule.code]}.")
            seen[rule.code] = path.name
            rules[rule.code] = rule
    return problems


def _read_knowledge(
    folder: Path, tables: dict[str, dict[str, KnowledgeRow]], classes: dict[str, tuple[str, str]]
) -> list[str]:
    problems: list[str] = []
    for path in sorted((folder / "knowledge").glob("*.csv")):
        if path.stem in NOT_TABLES:
            continue
        if path.stem == CLASSES:
            found, wrong = parse_classes(path)
            classes |= found
            problems += wrong
            continue
        rows, wrong = parse_table(path)
        problems += wrong
        own = tables.setdefault(path.stem, {})
        seen = set()
        for row in rows:
            if row.id in seen:
                problems.append(f"{path.name}: id {row.id} is used twice.")
            seen.add(row.id)
            own[row.id] = row
    return problems


def _cross_problems(
    rules: Mapping[str, Rule], knowledge: Mapping[str, tuple[KnowledgeRow, ...]], snoozes: list[Snooze]
) -> list[str]:
    """What is wrong between files: tables that are not there, incomplete checks, cycles."""
    problems = supersede_cycles(rules)
    used = {r.table for r in rules.values()}
    for code, rule in sorted(rules.items()):
        for other in rule.supersedes:
            if other not in rules:
                problems.append(f"rule {code}: supersedes {other}, which is no rule.")
        if rule.table and rule.table != MASTER and rule.table not in knowledge:
            problems.append(
                f"rule {code}: no knowledge table {rule.table}; there are {', '.join(knowledge)}."
            )
        if not rule.table:
            problems += [f"rule {code}: {p}." for p in kind_problems(rule.kind, rule)]
    for table, rows in knowledge.items():
        readers = [r for r in rules.values() if r.table == table]
        if table not in used:
            problems.append(f"{table}.csv: no rule reads this table.")
        for row in rows:
            wrong = [_row_problems(rule, row) for rule in readers]
            if wrong and all(wrong):
                problems += [f"{table}.csv: row {row.id}: {p}." for p in wrong[0]]
    problems += [f"snoozes.csv: {s.rule} is no rule." for s in snoozes if s.rule not in rules]
    return problems


def _row_problems(rule: Rule, row: KnowledgeRow) -> list[str]:
    try:
        return kind_problems(rule.kind, merged(rule, row, whole=True))
    except ValueError as error:
        return [f"with rule {rule.code}: {error}"]
