"""The gate: every figure beside its threshold, and whether the dataset may be scored."""

import statistics

from fraud.ingest.measure import Measure
from fraud.ingest.months import month_counts
from fraud.ingest.quality import Check
from fraud.schema import month_text
from fraud.settings import GateSettings

CHECKS: dict[str, tuple[str, str]] = {
    "claims": ("有可用结算记录", "claims that can be used"),
    "quarantined": ("隔离记录占比", "share of quarantined rows"),
    "balance": ("控制总数不平的表", "tables whose control totals do not balance"),
    "duplicates": ("主键重复占比", "share of rows that repeat a key"),
    "orphans": ("孤儿记录占比", "share of rows that point nowhere"),
    "null_doctor": ("非药店结算中无可用医师的占比", "share of hospital claims without a usable doctor"),
    "line_mismatch": (
        "总费用与明细合计不符的占比",
        "share of claims whose total is not the sum of their lines",
    ),
    "future": ("日期不可能的结算占比", "share of claims dated outside the data"),
    "month": ("该月有结算记录", "claims of the month"),
    "volume_low": (
        "与前三个月中位数之比（下限）",
        "claims of the month against the median of the three before",
    ),
    "volume_high": (
        "与前三个月中位数之比（上限）",
        "claims of the month against the median of the three before",
    ),
}
AT_LEAST = ("claims", "month", "volume_low")
_ORPHANS = (("claims", "patient_id"), ("claims", "institution_id"), ("lines", "claim_id"))


class Gate:
    """Judges what was measured.

    Parameters
    ----------
    measured : Measure
        The figures.
    settings : GateSettings
        The thresholds.
    """

    def __init__(self, measured: Measure, settings: GateSettings) -> None:
        self.measured = measured
        self.tables = measured.tables
        self.records = measured.records
        self.settings = settings
        self.checks: list[Check] = []

    def check(self, name: str, value: float, threshold: float, where: str = "") -> None:
        """Add a check."""
        at_least = name in AT_LEAST
        passed = value >= threshold if at_least else value <= threshold
        self.checks.append(Check(name, *CHECKS[name], value, threshold, passed, where, at_least))

    def worst(self, name: str, shares: list[tuple[float, str]], threshold: float) -> None:
        """Add a check of the largest of some shares."""
        value, where = max(shares, default=(0.0, ""))
        self.check(name, value, threshold, where if value else "")

    def judge(self, line_totals: bool, month: int | None) -> list[Check]:
        """Compare every figure with its threshold; failed checks first."""
        settings, claims = self.settings, self.tables["claims"]
        self.check("claims", claims["rows"], 1)
        if self.records:
            rows = [(r.rows["quarantined"], r.rows["in"], t) for t, r in self.records.items()]
            self.worst("quarantined", [(share(q, n), t) for q, n, t in rows], settings.max_quarantined)
            self.check("balance", self._unbalanced(), 0)
        repeats = [(share(t["repeated_keys"], self._rows_in(n)), n) for n, t in self.tables.items()]
        self.worst("duplicates", repeats, settings.max_duplicates)
        orphans = [
            (share(self.tables[t]["orphans"][c], self.tables[t]["rows"]), f"{t}.{c}")
            for t, c in _ORPHANS
            if t in self.tables and c in self.tables[t]["orphans"]
        ]
        self.worst("orphans", orphans, settings.max_orphans)
        if "hospital_claims" in claims:
            without = share(claims["without_doctor"], claims["hospital_claims"])
            self.check("null_doctor", without, settings.max_null_doctor)
        if line_totals and "with_lines" in claims:
            differ = share(claims["total_differs_from_lines"], claims["with_lines"])
            self.check("line_mismatch", differ, settings.max_line_mismatch)
        self.check("future", self._outside(), settings.max_future)
        if month is not None:
            self._volume(month)
        return sorted(self.checks, key=lambda c: c.passed)

    def _rows_in(self, table: str) -> int:
        return self.records[table].rows["in"] if table in self.records else self.tables[table]["rows"]

    def _unbalanced(self) -> int:
        """Tables where in is not out + quarantined + duplicate + left out, or out is not what was written."""
        wrong = 0
        for name, record in self.records.items():
            totals = [record.rows, *record.amounts.values()]
            whole = all(t["in"] == sum(n for fate, n in t.items() if fate != "in") for t in totals)
            written = self.measured.written(name, list(record.amounts))
            wrong += not whole or written != tuple(t["out"] for t in totals)
        return wrong

    def _outside(self) -> float:
        """Share of claims dated in the future or before 1990, those in quarantine included."""
        claims = self.tables["claims"]
        rows = claims["rows"]
        found = [n for k, n in claims["impossible"].items() if k.endswith(("_in_future", "_before_1990"))]
        bad = max(found, default=0)
        record = self.records.get("claims")
        if record is not None:
            rows = record.rows["out"] + record.rows["quarantined"]
            reasons = record.quarantined.items()
            bad += sum(n for r, n in reasons if r.endswith(("in the future", "before 1990")))
        return share(bad, rows)

    def _volume(self, month: int) -> None:
        columns = set(self.measured.columns["claims"])
        counts = dict(month_counts(self.measured.store, "data_claims", columns))
        own, label = counts.get(month, 0), month_text(month)
        self.check("month", own, 1, label)
        usual = statistics.median(counts.get(m, 0) for m in range(month - 3, month))
        if usual and min(counts, default=month) <= month - 3:
            self.check("volume_low", own / usual, self.settings.min_volume_ratio, label)
            self.check("volume_high", own / usual, self.settings.max_volume_ratio, label)


def share(part: int, whole: int) -> float:
    """Share of a whole; 0 of nothing.

    >>> share(1, 4), share(0, 0)
    (0.25, 0.0)
    """
    return part / whole if whole else 0.0
