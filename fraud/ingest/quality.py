"""The quality report: what was found in a dataset, and whether it may be scored."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One condition of the gate, with its figure and its threshold."""

    name: str
    zh: str
    en: str
    value: float
    threshold: float
    passed: bool
    where: str = ""
    at_least: bool = False

    @property
    def message(self) -> str:
        """The check in both languages with its figure and threshold."""
        where = f" ({self.where})" if self.where else ""
        sign = "≥" if self.at_least else "≤"
        return f"{self.zh} {self.en}{where}: {self.value:.6g} ({sign} {self.threshold:g})"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "check": self.name,
            "zh": self.zh,
            "en": self.en,
            "where": self.where,
            "value": round(self.value, 6),
            "threshold": self.threshold,
            "passed": self.passed,
        }


@dataclass
class QualityReport:
    """What was found in a dataset, and whether it may be scored.

    Attributes
    ----------
    dataset : dict
        Name, profile, currency, and whether ids are pseudonyms.
    gate : list of Check
        Every check with its figure and threshold, failed ones first.
    tables : dict
        Table → rows, columns (nulls, ranges), orphans, impossible dates.
    findings : list of dict
        table, column, rows, zh, en: what a person should know.
    control_totals : dict
        Table → rows and Σ of every amount column (text, currency units) in, out, quarantined,
        duplicate and left out. Only rows are known where the dataset was not ingested.
    ingest : dict
        Table → what ingest counted; empty where the dataset was not ingested.
    """

    dataset: dict[str, Any]
    gate: list[Check] = field(default_factory=list)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    control_totals: dict[str, dict[str, Any]] = field(default_factory=dict)
    ingest: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check of the gate passed."""
        return all(check.passed for check in self.gate)

    def to_json(self) -> dict[str, Any]:
        """Plain values, in a fixed order."""
        return {
            "dataset": self.dataset,
            "passed": self.passed,
            "gate": [check.to_json() for check in self.gate],
            "control_totals": self.control_totals,
            "findings": self.findings,
            "tables": self.tables,
            "ingest": self.ingest,
        }

    def write(self, folder: Path) -> None:
        """Write ``quality.json`` and ``quality.html`` into `folder`."""
        from fraud.ingest.page import page

        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n"
        for name, content in (("quality.json", text), ("quality.html", page(self))):
            beside = folder / f"{name}.part"
            beside.write_text(content, encoding="utf-8")
            os.replace(beside, folder / name)

    def failures(self) -> list[str]:
        """Failed checks as sentences for a terminal."""
        return [
            f"{c.en}{f' ({c.where})' if c.where else ''}: {c.value:.4g}, allowed {c.threshold:.4g}"
            for c in self.gate
            if not c.passed
        ]


def money(hundredths: int) -> str:
    """Currency units as text, exact.

    >>> money(-123456), money(5)
    ('-1234.56', '0.05')
    """
    sign = "-" if hundredths < 0 else ""
    whole, rest = divmod(abs(hundredths), 100)
    return f"{sign}{whole}.{rest:02d}"
