"""What differs between a month and those before it, with a level; a season that returns is no drift."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fraud.drift.profile import Profile
from fraud.schema import month_text

LEVELS = ("note", "warn", "stop")
RECENT = 3
"""Months before that say what is usual."""
REFERENCE = 12
"""Months before whose codes are known."""
EXPECTED = 10
"""Fewest to be expected where none is found: by Poisson that happens once in 20,000 months."""
FEWEST = 30
"""Claims a month that an institution must usually have to be judged by itself."""
_WORDS = {
    "institution_missing": ("机构没有数据", "an institution is missing"),
    "institution_volume": ("机构结算量异常", "an institution's volume changed"),
    "amount_scale": ("金额量级改变（元与分？）", "amounts changed in scale (yuan and cents?)"),
    "new_codes": ("大量从未出现的编码", "many codes never seen before"),
    "lost_codes": ("常用编码消失", "usual codes are gone"),
    "repeated_claims": ("结算记录重复", "claims are there twice"),
    "refunds_missing": ("退费记录缺失", "refunds are missing"),
    "population": ("参保人群或就诊结构改变", "who is insured, or how they visit, changed"),
}
MODEL_CODES = ("feature_shift", "features_shifted", "score_shift")
"""Codes of what is found once a model has scored; see `fraud.drift.shifted`."""


CODES = (*_WORDS, *MODEL_CODES)
"""Every code of a finding."""


@dataclass(frozen=True)
class Finding:
    """One difference.

    Attributes
    ----------
    code, level : str
        What differs; note, warn or stop.
    table, column, place, period : str
        Where: ``place`` is an institution or a kind of person, empty for the whole month.
    value, usual : float
        Found, and what the months before had.
    bar : float
        What it would have had to stay within.
    zh, en : str
        One sentence.
    series : tuple of (str, float)
        What it was month by month, this month last, where it is one number.
    bins, shape, usual_shape : tuple
        Names of a distribution's bins, and the shares in them, found and usual.
    """

    code: str
    level: str
    table: str
    column: str
    place: str
    period: str
    value: float
    usual: float
    bar: float
    zh: str
    en: str
    series: tuple[tuple[str, float], ...] = ()
    bins: tuple[str, ...] = ()
    shape: tuple[float, ...] = ()
    usual_shape: tuple[float, ...] = ()


@dataclass(frozen=True)
class Drift:
    """Findings of a month, the gravest first; ``compared`` months it was held against."""

    month: str
    findings: tuple[Finding, ...]
    compared: tuple[str, ...]

    @property
    def stops(self) -> tuple[Finding, ...]:
        """Findings with which a month should not be scored unasked."""
        return tuple(f for f in self.findings if f.level == "stop")

    def with_more(self, findings: Sequence[Finding]) -> "Drift":
        """The same with more findings after those of their level, in the order given."""
        both = sorted((*self.findings, *findings), key=lambda f: -LEVELS.index(f.level))
        return replace(self, findings=tuple(both))

    def told(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "month": self.month,
            "compared": list(self.compared),
            "findings": [asdict(f) for f in self.findings],
        }


def _gravest(finding: Finding) -> tuple[Any, ...]:
    return -LEVELS.index(finding.level), finding.code, finding.place, finding.column


def judge(profile: Profile, month: int, settings: Any) -> Drift:
    """Compare a month with those before it.

    Parameters
    ----------
    profile : Profile
        Of the month and of the fifteen before it, as far as there are any.
    month : int
    settings : DriftSettings
        Thresholds.

    Returns
    -------
    Drift
        Nothing is found where fewer than `RECENT` months precede.
    """
    present = sorted({int(m) for m in profile.institutions["month"]})
    before = [m for m in present if month - REFERENCE <= m < month]
    recent = [m for m in before if m >= month - RECENT]
    compared = tuple(month_text(m) for m in before)
    if len(recent) < RECENT or month not in present:
        return Drift(month_text(month), (), compared)
    season = month - 12 if month - 12 in present else None
    look = _Look(profile, month, recent, before, season, settings)
    kinds = (look.institutions, look.amounts, look.codes, look.repeats, look.refunds, look.population)
    found = [finding for kind in kinds for finding in kind()]
    return Drift(month_text(month), tuple(sorted(found, key=_gravest)), compared)


class _Look:
    """One month beside the others."""

    def __init__(
        self,
        profile: Profile,
        month: int,
        recent: Sequence[int],
        before: Sequence[int],
        season: int | None,
        settings: Any,
    ) -> None:
        self.profile, self.month, self.recent, self.before = profile, month, recent, before
        self.season, self.settings = season, settings

    def finding(
        self,
        code: str,
        level: str,
        where: tuple[str, str, str],
        value: float,
        usual: float,
        bar: float,
        form: str = ",.2f",
        series: pd.Series | None = None,
    ) -> Finding:
        table, column, place = where
        zh, en = _WORDS[code]
        at_zh, at_en = (f"{place}：", f"{place}: ") if place else ("", "")
        said, was = format(value, form), format(usual, form)
        return Finding(
            code, level, table, column, place, month_text(self.month), round(value, 6), round(usual, 6), bar,
            f"{at_zh}{zh}：本月 {said}，此前 {was}", f"{at_en}{en}: {said} this month, {was} before",
            series=() if series is None else self._series(series),
        )  # fmt: skip

    def _series(self, values: pd.Series) -> tuple[tuple[str, float], ...]:
        """The last year of a number by month."""
        last = [m for m in sorted(values.index) if self.month - REFERENCE <= m <= self.month]
        known = [(month_text(int(m)), float(values[m])) for m in last]
        return tuple((m, round(v, 6)) for m, v in known if math.isfinite(v))

    def wide(self, column: str) -> pd.DataFrame:
        """Institution by month of one column; absent is 0."""
        return self.profile.institutions.pivot_table(
            index="institution_id", columns="month", values=column, fill_value=0, aggfunc="sum"
        )

    def _season_agrees(self, counts: pd.Series, low: float, high: float) -> bool:
        """Whether the same month last year was as different from its own months before."""
        if self.season is None:
            return False
        own = float(counts.get(self.season, 0.0))
        earlier = [float(counts[m]) for m in counts.index if self.season - RECENT <= m < self.season]
        if len(earlier) < RECENT or not np.median(earlier):
            return False
        ratio = own / float(np.median(earlier))
        return not low < ratio < high

    def _tide(self, counts: pd.DataFrame) -> float:
        """How the month is against those before it: the median over claims of their institutions' ratios."""
        usual = counts[self.recent].median(axis=1)
        known = usual >= FEWEST
        if not known.any():
            return 1.0
        ratio = (counts.loc[known, self.month] / usual[known]).sort_values(kind="stable")
        weight = usual[ratio.index].cumsum()
        return float(ratio.iloc[int(np.searchsorted(weight, weight.iloc[-1] / 2))])

    def institutions(self) -> Iterator[Finding]:
        """Institutions without claims, or with far fewer or more than the month as a whole explains."""
        counts, fund = self.wide("claims"), self.wide("fund")
        tide = self._tide(counts)
        paid = max(float(fund[self.recent].to_numpy().sum()), 1.0)
        for name, row in counts.iterrows():
            usual = float(np.median(row[self.recent]))
            if usual < FEWEST:
                continue
            own, weight = float(row[self.month]), float(fund.loc[name, self.recent].sum()) / paid
            expected = usual * tide
            gone = own < self.settings.missing_share * expected and expected >= EXPECTED
            if gone and not self._season_agrees(row, 0.2, math.inf):
                level = "stop" if weight >= self.settings.institution_weight else "warn"
                where = ("claims", "institution_id", str(name))
                yield self.finding(
                    "institution_missing",
                    level,
                    where,
                    own,
                    expected,
                    self.settings.missing_share,
                    ",.0f",
                    row,
                )
                continue
            low, high = 1 / self.settings.volume_ratio, self.settings.volume_ratio
            ratio = own / max(expected, 1.0)
            far = abs(own - expected) > 6 * math.sqrt(max(expected, 1.0))
            if far and not low < ratio < high and not self._season_agrees(row, low, high):
                where = ("claims", "institution_id", str(name))
                yield self.finding("institution_volume", "warn", where, own, expected, high, ",.0f", row)

    def amounts(self) -> Iterator[Finding]:
        """Institutions whose usual amount per claim changed in scale."""
        means = self.profile.institutions.pivot_table(
            index="institution_id", columns="month", values="log_amount"
        )
        counts = self.wide("claims")
        for name, row in means.iterrows():
            known = row[[m for m in self.recent if m in row.index]].dropna()
            enough = counts.loc[name, self.month] >= FEWEST and len(known) == RECENT
            if (
                not enough
                or counts.loc[name, self.recent].min() < FEWEST
                or not math.isfinite(row[self.month])
            ):
                continue
            usual, own = math.exp(float(known.median())) / 100, math.exp(float(row[self.month])) / 100
            ratio = max(own / usual, usual / own)
            level = self._level(ratio, self.settings.amount_warn, self.settings.amount_stop)
            if level:
                where = ("claims", "total_amount", str(name))
                yield self.finding(
                    "amount_scale",
                    level,
                    where,
                    own,
                    usual,
                    self.settings.amount_warn,
                    series=np.exp(row) / 100,
                )

    def _level(self, value: float, warn: float, stop: float) -> str:
        return "stop" if value >= stop else "warn" if value >= warn else ""

    def codes(self) -> Iterator[Finding]:
        """Money on codes never seen before, and usual money on codes that are gone."""
        for column, frame in self.profile.codes.items():
            table = "lines" if column == "item_code" else "claims"
            now = frame[frame["month"] == self.month].set_index("code")["cents"]
            known = frame[frame["month"].isin(self.before)]
            if now.empty or known.empty:
                continue
            new = float(now[~now.index.isin(set(known["code"]))].sum()) / max(float(now.sum()), 1.0)
            level = self._level(new, self.settings.codes_warn, self.settings.codes_stop)
            if level:
                where = (table, column, "")
                yield self.finding("new_codes", level, where, new, 0.0, self.settings.codes_warn, ".1%")
            every = (
                known[known["month"].isin(self.recent)]
                .groupby("code")
                .agg(cents=("cents", "sum"), months=("month", "nunique"))
            )
            gone = every[(every["months"] == RECENT) & ~every.index.isin(set(now.index))]
            lost = float(gone["cents"].sum()) / max(float(every["cents"].sum()), 1.0)
            level = self._level(lost, self.settings.codes_warn, self.settings.codes_stop)
            if level:
                where = (table, column, "")
                yield self.finding("lost_codes", level, where, lost, 0.0, self.settings.codes_warn, ".1%")

    def repeats(self) -> Iterator[Finding]:
        """Claims that are there twice under another id."""
        months = self.profile.institutions.groupby("month")[["claims", "repeats"]].sum()
        shares = months["repeats"] / months["claims"]
        own, usual = float(shares[self.month]), float(shares[self.recent].median())
        level = self._level(own - 2 * usual, self.settings.repeats_warn, self.settings.repeats_stop)
        if level:
            days = self.profile.days[self.profile.days["month"] == self.month]
            worst = days.sort_values(["repeats", "day"], ascending=[False, True]).iloc[0]
            place = str(pd.Timestamp(int(worst["day"]) * 86_400, unit="s").date())
            where = ("claims", "claim_id", place)
            yield self.finding(
                "repeated_claims", level, where, own, usual, self.settings.repeats_warn, ".1%", shares
            )

    def refunds(self) -> Iterator[Finding]:
        """Refunds that should be there by the months before."""
        months = self.profile.institutions.groupby("month")[["claims", "refunds"]].sum()
        past = months.loc[self.recent]
        rate = float(past["refunds"].sum()) / max(float(past["claims"].sum()), 1.0)
        claims, own = (float(months.loc[self.month, c]) for c in ("claims", "refunds"))
        expected = rate * claims
        if expected >= EXPECTED and own < self.settings.missing_share * expected:
            where = ("claims", "total_amount", "")
            level = "stop" if own == 0 and expected >= 2 * EXPECTED else "warn"
            yield self.finding(
                "refunds_missing",
                level,
                where,
                own,
                expected,
                self.settings.missing_share,
                ",.0f",
                months["refunds"],
            )

    def population(self) -> Iterator[Finding]:
        """Shares of kinds of claims, against the months before and the same month last year."""
        for name, frame in self.profile.groups.items():
            shares = frame.pivot_table(
                index="value", columns="month", values="rows", fill_value=0, aggfunc="sum"
            )
            if self.month not in shares:
                continue
            now, usual = shares[self.month], shares[[m for m in self.recent if m in shares]].sum(axis=1)
            index = stability(now.to_numpy(float), usual.to_numpy(float))
            if self.season is not None and self.season in shares:
                index = min(index, stability(now.to_numpy(float), shares[self.season].to_numpy(float)))
            level = self._level(index, self.settings.population_warn, self.settings.population_stop)
            if level:
                grown = (now / max(now.sum(), 1) - usual / max(usual.sum(), 1)).abs()
                table = "claims" if name == "visit_type" else "patients"
                column = {"person": "sex, birth_date"}.get(name, name)
                where = (table, column, str(grown.idxmax()))
                yield self.finding("population", level, where, index, 0.0, self.settings.population_warn)


def stability(now: np.ndarray, usual: np.ndarray) -> float:
    """Population stability index of two histograms, half a row added to each bin (Siddiqi 2006).

    >>> stability(np.array([50.0, 50.0]), np.array([500.0, 500.0]))
    0.0
    >>> round(stability(np.array([900.0, 100.0]), np.array([500.0, 500.0])), 2)
    0.88
    """
    p = (now + 0.5) / (now + 0.5).sum()
    q = (usual + 0.5) / (usual + 0.5).sum()
    return round(float(((p - q) * np.log(p / q)).sum()), 12) + 0.0
