"""Generate a synthetic city's claims, month by month."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from fraud.errors import UsageError
from fraud.synthetic.audits import Auditors
from fraud.synthetic.beds import Wards
from fraud.synthetic.billing import Bill, make_bill
from fraud.synthetic.calendar import DAY, Month
from fraud.synthetic.city import City, build_city
from fraud.synthetic.demand import ordinary_visits
from fraud.synthetic.hashing import mix, pick
from fraud.synthetic.nuisance import LOOK_ALIKES, NUISANCES, Nuisance
from fraud.synthetic.orders import make_orders
from fraud.synthetic.schemes import EXTRA_SCHEMES, SCHEMES, Scheme
from fraud.synthetic.tables import (
    TRUTH,
    DatasetWriter,
    cents,
    claims_table,
    diagnoses_table,
    group_ids,
    ids,
    lines_table,
    patients_table,
    provider_tables,
    words,
)
from fraud.synthetic.visits import Visits

Progress = Callable[[str, int, int], None]
SCHEME_NAMES = tuple(s.name for s in SCHEMES)
EXTRA_SCHEME_NAMES = tuple(s.name for s in EXTRA_SCHEMES)
NUISANCE_NAMES = tuple(k.name for k in NUISANCES)
LOOK_ALIKE_NAMES = tuple(k.name for k in LOOK_ALIKES)
FRAUD_SHARE = 0.0125
_LEAST = 4  # claims of a scheme, however small the city
_AFTER_DEATH = ("impersonation", "ghost_dialysis")


def generate(
    out: Path,
    *,
    patients: int,
    months: int,
    seed: int,
    camouflage: float = 0.4,
    start: str = "2025-01",
    schemes: Sequence[str] | None = None,
    audit_rate: float = 0.02,
    unaudited_schemes: Sequence[str] = (),
    prevalence: float = 1.0,
    look_alikes: Sequence[str] = (),
    progress: Progress | None = None,
) -> None:
    """Write a synthetic dataset that obeys the contract, and the truth about it.

    Parameters
    ----------
    out : Path
        Folder to write; replaced when complete. ``out/truth`` holds what no detector may read.
    patients : int
        Insured people, at least 100.
    months : int
        Months of claims.
    seed : int
        The same arguments give the same bytes.
    camouflage : float
        0 (blatant) to 1 (as well hidden as still pays).
    start : str
        First month, ``YYYY-MM``.
    schemes : sequence of str, optional
        Names of the schemes that take place; all but the extra ones by default, none for ``()``.
    audit_rate : float
        Share of claims that auditors look at.
    unaudited_schemes : sequence of str
        Schemes whose claims are never audited.
    prevalence : float
        Multiplies the usual share of fraudulent claims (about 1.25 %).
    look_alikes : sequence of str
        Names of extra innocent look-alikes (``"composed_circle"``), beside the usual ones.
    progress : callable, optional
        Called with a stage, the steps done and the steps in all.

    Raises
    ------
    UsageError
        When an argument makes no sense; all problems at once.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     generate(Path(folder) / "city", patients=150, months=2, seed=1)
    ...     (Path(folder) / "city" / "claims.parquet").exists()
    True
    """
    chosen = SCHEME_NAMES if schemes is None else tuple(dict.fromkeys(schemes))
    names = {"schemes": (*chosen, *unaudited_schemes), "look-alikes": tuple(look_alikes)}
    _check(patients, months, camouflage, start, names, audit_rate, prevalence)
    writer = DatasetWriter(Path(out))
    try:
        city = build_city(patients, months, seed, start)
        run = CityLife(writer, city, chosen, look_alikes, camouflage, prevalence)
        known = (*SCHEMES, *(s for s in EXTRA_SCHEMES if s.name in chosen))
        run.auditors = Auditors(run.city, audit_rate, camouflage, known, tuple(unaudited_schemes))
        for month in run.city.months:
            run.live(month)
            if progress:
                progress("months", month.index + 1, months)
        run.finish(start, months, seed)
    except BaseException:
        writer.abort()
        raise
    writer.commit()


def _check(
    patients: int,
    months: int,
    camouflage: float,
    start: str,
    names: dict[str, tuple[str, ...]],
    audit_rate: float,
    prevalence: float,
) -> None:
    problems = []
    if patients < 100:
        problems.append(f"patients is {patients}; a city needs at least 100.")
    if months < 1:
        problems.append(f"months is {months}; ask for 1 or more.")
    if not 0 <= camouflage <= 1:
        problems.append(f"camouflage is {camouflage}; it lies between 0 (blatant) and 1 (hidden).")
    if not 0 <= audit_rate <= 1:
        problems.append(f"audit_rate is {audit_rate}; it is a share between 0 and 1.")
    if prevalence < 0:
        problems.append(f"prevalence is {prevalence}; it cannot be negative.")
    kinds = {"schemes": (*SCHEME_NAMES, *EXTRA_SCHEME_NAMES), "look-alikes": LOOK_ALIKE_NAMES}
    for what, known in kinds.items():
        unknown = sorted(set(names[what]) - set(known))
        if unknown:
            problems.append(f"unknown {what}: {', '.join(unknown)}. Known: {', '.join(known)}.")
    try:
        np.datetime64(start, "M")
    except ValueError:
        problems.append(f"start is {start!r}; write a month as YYYY-MM.")
    if problems:
        raise UsageError(problems)


class CityLife:
    """What passes from month to month of a city: `generate` lives it, experiments may steer its schemes."""

    auditors: Auditors

    def __init__(
        self,
        writer: DatasetWriter,
        city: City,
        chosen: Sequence[str],
        look_alikes: Sequence[str],
        camouflage: float,
        prevalence: float,
    ) -> None:
        self.writer, self.city = writer, city
        self.wards = Wards(city)
        self.pending = Visits.make(0)
        self.spent = np.zeros(city.people.n, dtype=np.int64)
        self.invoices = pick(400_000, np.arange(city.providers.n), city.seed, 91)
        self.stay_from = np.zeros(city.people.n, dtype=np.int64)
        self.stay_until = np.zeros(city.people.n, dtype=np.int64)
        self.serial = self.claims = self.lines = 0
        self.nuisances: list[Nuisance] = [
            k(city, i + 1, city.rng("nuisance", k.name))
            for i, k in enumerate((*NUISANCES, *LOOK_ALIKES))
            if k in NUISANCES or k.name in look_alikes
        ]
        self.schemes: list[Scheme] = self._schemes(chosen, camouflage, prevalence)

    def _schemes(self, chosen: Sequence[str], camouflage: float, prevalence: float) -> list[Scheme]:
        p, months = self.city.people, len(self.city.months)
        rate = p.chronic_rate + p.acute_rate + p.pharmacy_rate + p.stay_rate
        expected = float(np.round(rate.sum(), 3)) * months * 1.12
        total = sum(s.share for s in SCHEMES)
        made = []
        for i, kind in enumerate((*SCHEMES, *EXTRA_SCHEMES)):
            budget = max(_LEAST, round(expected * FRAUD_SHARE * prevalence * kind.share / total))
            if kind.name in chosen and prevalence > 0:
                made.append(kind(self.city, i + 1, budget, camouflage, self.city.rng("scheme", kind.name)))
        return made

    def live(self, month: Month) -> None:
        """Everything that happens in a month, and what is settled in it."""
        if month.number == 1:
            self.spent[:] = 0
        city = self.city
        rng = city.rng("month", month.index)
        ordinary = ordinary_visits(city, month)
        for nuisance in self.nuisances:
            nuisance.gather(month, ordinary, city.rng("gather", nuisance.name, month.index))
        parts = [ordinary]
        parts += [k.visits(month, city.rng("nuisance", k.name, month.index)) for k in self.nuisances]
        honest = self._possible(Visits.concat(parts), rng)
        honest = city.place(honest, rng)
        for nuisance in self.nuisances:
            nuisance.label(month, honest)
        fraud = [s.visits(month, honest, city.rng("scheme", s.name, month.index)) for s in self.schemes]
        new = Visits.concat([honest, *[self._living(s, f) for s, f in zip(self.schemes, fraud, strict=True)]])
        new.serial[:] = self.serial + rng.permutation(len(new))
        self.serial += len(new)
        self.wards.assign(new)
        pool = Visits.concat([self.pending, new])
        due = pool.settle < month.end
        self.pending = pool.take(~due)
        self._settle(month, pool.take(due), rng)

    def _living(self, scheme: Scheme, v: Visits) -> Visits:
        if scheme.name in _AFTER_DEATH or not len(v):
            return v
        return v.take(self.city.people.alive(v.patient, v.start))

    def _possible(self, v: Visits, rng: np.random.Generator) -> Visits:
        """Drop honest visits of the dead, overlapping stays, and most visits during a stay."""
        v = v.take(self.city.people.alive(v.patient, v.start))
        died = (self.city.people.death[v.patient] + 1) * DAY - 3600
        v.end = np.minimum(v.end, np.maximum(died, v.start))
        stay = v.is_stay
        rows = np.flatnonzero(stay)
        rows = rows[np.lexsort((v.end[rows], v.start[rows], v.patient[rows]))]
        who, begin, end = v.patient[rows], v.start[rows], v.end[rows]
        ok = begin >= self.stay_until[who]
        ok[1:] &= (who[1:] != who[:-1]) | (begin[1:] >= end[:-1])
        inside = self._inside(v)
        rows, who = rows[ok], who[ok]
        self.stay_from[who], self.stay_until[who] = v.start[rows], v.end[rows]
        keep = ~stay & ~((inside | self._inside(v)) & (rng.random(len(v)) < 0.97))
        keep[rows] = True
        return v.take(keep)

    def _inside(self, v: Visits) -> np.ndarray:
        return (v.start >= self.stay_from[v.patient]) & (v.start < self.stay_until[v.patient])

    def _settle(self, month: Month, v: Visits, rng: np.random.Generator) -> None:
        city = self.city
        orders = make_orders(city, v)
        for scheme in self.schemes:
            orders = scheme.alter(v, orders, city.rng("alter", scheme.name, month.index))
        orders = orders.take_sorted()
        bill = _by_settlement(make_bill(city, v, orders, self.spent, rng, month.end))
        self._number_invoices(bill.visits, rng)
        self.writer.write("claims", claims_table(city, bill, self.claims, rng))
        self.writer.write("lines", lines_table(city, bill, self.claims, self.lines, rng))
        self.writer.write("diagnoses", diagnoses_table(city, bill, self.claims))
        self._truth(bill)
        self.auditors.month(month, bill, self.claims, city.rng("audits", month.index))
        self.claims += len(bill.visits)
        self.lines += len(bill.orders)

    def _number_invoices(self, v: Visits, rng: np.random.Generator) -> None:
        """Give the next numbers of each institution's book; gaps for other people's invoices."""
        auto = np.flatnonzero(v.invoice < 0)
        if not len(auto):
            return
        auto = auto[np.argsort(v.institution[auto], kind="stable")]
        where = v.institution[auto]
        away = self.city.providers.district[where] < 0
        gap = np.where(away, rng.integers(40, 4_000, len(auto)), rng.integers(1, 9, len(auto)))
        running = np.cumsum(gap)
        first = np.flatnonzero(np.concatenate([[True], where[1:] != where[:-1]]))
        counts = np.diff(np.concatenate([first, [len(where)]])).astype(np.int64)
        base = np.repeat((running - gap)[first], counts)
        number = self.invoices[where] + running - base
        np.maximum.at(self.invoices, where, number)
        series = 1_000 + pick(9_000, where, self.city.seed, 92)
        v.invoice[auto] = series * 1_000_000 + number % 1_000_000

    def _truth(self, b: Bill) -> None:
        v = b.visits
        real = b.refund_of < 0
        rows = np.flatnonzero((v.scheme > 0) & real)
        schemes = words((*SCHEME_NAMES, *EXTRA_SCHEME_NAMES), v.scheme[rows] - 1)
        table = [
            ids("S", self.claims + rows, 10),
            schemes,
            cents(b.loss[rows]),
            pa.array(group_ids(schemes.to_pylist(), v.group[rows]), pa.string()),
        ]
        self.writer.write("truth/claims", pa.Table.from_arrays(table, schema=TRUTH["claims"]))
        rows = np.flatnonzero((v.nuisance > 0) & (v.scheme == 0) & real)
        circles = {(k.code, i): name for k in self.nuisances for i, name in k.circle_names().items()}
        keys = zip(v.nuisance[rows].tolist(), v.group[rows].tolist(), strict=True)
        table = [
            ids("S", self.claims + rows, 10),
            words((*NUISANCE_NAMES, *LOOK_ALIKE_NAMES), v.nuisance[rows] - 1),
            pa.array([circles.get(key) for key in keys], pa.string()),
        ]
        self.writer.write("truth/nuisance", pa.Table.from_arrays(table, schema=TRUTH["nuisance"]))

    def finish(self, start: str, months: int, seed: int) -> None:
        """Write what does not depend on the month."""
        rng = self.city.rng("tables")
        self.writer.write("patients", patients_table(self.city, rng))
        for name, table in provider_tables(self.city, rng).items():
            self.writer.write(name, table)
        self.writer.write("audits", self.auditors.table(self.schemes))
        self.writer.write("truth/groups", groups_table(self.schemes))
        if any(g.blocks for s in self.schemes for g in s.groups):
            self.writer.write("truth/blocks", blocks_table(self.schemes))
        self.writer.text(
            "dataset.toml",
            f'name = "synthetic city, seed {seed}"\ncurrency = "CNY"\nregion = "synthetic"\n'
            f'profile = "canonical"\nfirst_month = "{start}"\nmonths = {months}\n',
        )


def _by_settlement(b: Bill) -> Bill:
    """Sort claims by the time of settlement (ties by a number that means nothing), lines by claim."""
    v = b.visits
    order = np.lexsort((mix(v.serial, 93), b.refund_of, v.settle))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    claim = place[b.orders.visit]
    lines = np.lexsort((b.orders.item, b.orders.second, claim))
    orders = b.orders.take(lines)
    orders.visit = claim[lines]
    refund_of = b.refund_of[order]
    return Bill(
        v.take(order),
        orders,
        b.price[lines],
        b.amount[lines],
        b.line_eligible[lines],
        b.total[order],
        b.eligible[order],
        b.fund[order],
        b.loss[order],
        np.where(refund_of >= 0, place[refund_of], -1),
    )


def groups_table(schemes: Sequence[Scheme]) -> pa.Table:
    """Truth about the gangs."""
    letter = {
        "patient": ("P", 7),
        "doctor": ("D", 6),
        "institution": ("H", 5),
        "department": ("K", 6),
        "operator": ("O", 6),
    }
    rows: list[tuple[str, str, str, str, str]] = []
    for scheme in schemes:
        for group in scheme.groups:
            (name,) = group_ids([scheme.name], np.array([group.number]))
            for kind, number, role in dict.fromkeys(group.members):
                prefix, width = letter[kind]
                rows.append((str(name), scheme.name, kind, f"{prefix}{number:0{width}d}", role))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    return pa.Table.from_arrays([pa.array(c, pa.string()) for c in columns], schema=TRUTH["groups"])


def blocks_table(schemes: Sequence[Scheme]) -> pa.Table:
    """Truth about the ways of working of gangs that draw theirs."""
    rows = [
        (*group_ids([scheme.name], np.array([group.number])), block, choice)
        for scheme in schemes
        for group in scheme.groups
        for block, choice in group.blocks.items()
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 3
    return pa.Table.from_arrays([pa.array(c, pa.string()) for c in columns], schema=TRUTH["blocks"])
