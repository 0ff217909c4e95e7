"""Knowledge tables: rows that rules read, each with its provenance; a user's folder adds or replaces."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from fraud.rules.parameters import Parameters
from fraud.rules.records import validation_problems
from fraud.rules.vocabulary import Item, plain

CLASSES = "drug_classes"
"""The table that gives drugs their class by name; every other table holds rows of rules."""


class KnowledgeRow(Parameters):
    """One row of a knowledge table: parameters, and what to tell whoever asks why."""

    id: Annotated[str, Field(pattern=r"^\S+$")] = Field(description="Stable key; unique over all tables.")
    scope_zh: str = Field("", description="What the items are meant for, in Chinese.")
    scope_en: str = Field("", description="The same in English.")
    contraindications_zh: str = Field("", description="When they must not be given, in Chinese.")
    contraindications_en: str = Field("", description="The same in English.")
    note_zh: str = Field("", description="Sentence for the screen and the auditor, in Chinese.")
    note_en: str = Field("", description="The same in English.")
    source: Annotated[str, Field(min_length=1)] = Field(description="Where the row comes from.")
    enabled: bool = Field(True, description="no: the built-in row of this id is switched off.")


class DrugClasses:
    """Drug classes by name, for items whose master gives none."""

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        # The longest fragment is the most specific one.
        self._rows = sorted({(plain(n), c) for n, c in rows}, key=lambda r: (-len(r[0]), r))

    def of(self, item: Item) -> Item:
        """The item with a drug class, where its name tells one."""
        if item.drug_class or item.category not in ("drug", "herb"):
            return item
        name = plain(item.name)
        found = next((c for n, c in self._rows if n in name), "")
        return Item(item.code, item.name, item.category, found) if found else item


def read_rows(path: Path) -> tuple[list[Mapping[str, str]], list[str]]:
    """Rows of a knowledge CSV as text, and what is wrong with the file as such."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return [], [f"{path.name}: is not UTF-8. Save it as CSV UTF-8."]
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        rows: list[Mapping[str, str]] = list(reader)
    except csv.Error as error:
        return [], [f"{path.name}: line {reader.line_num}: {error}. Check the quotation marks."]
    problems = []
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            problems.append(
                f"{path.name}: row {number}: has other than {len(reader.fieldnames or ())} cells."
            )
    return rows, problems


def parse_table(path: Path) -> tuple[list[KnowledgeRow], list[str]]:
    """Rows of a knowledge CSV, and every problem with them, naming file, row and column."""
    cells, problems = read_rows(path)
    if problems:
        return [], problems
    rows = []
    for number, row in enumerate(cells, 2):
        given = {k.strip(): v.strip() for k, v in row.items() if v.strip()}
        try:
            rows.append(KnowledgeRow.model_validate(given))
        except ValidationError as error:
            where = f"{path.name}: row {number} ({given.get('id', 'no id')})"
            problems += [f"{where}: {told}" for told in validation_problems(error)]
    return rows, problems


def parse_classes(path: Path) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Rows of ``drug_classes.csv``: id → (part of the name, class), and problems."""
    cells, problems = read_rows(path)
    found: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(cells, 2):
        missing = [n for n in ("id", "name", "class", "source") if not (row.get(n) or "").strip()]
        if missing:
            problems.append(f"{path.name}: row {number}: {', '.join(missing)} is missing.")
        else:
            found[row["id"].strip()] = (row["name"].strip(), row["class"].strip())
    return found, problems
