"""What all fraud schemes share: groups of actors, months of activity, a budget of claims."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, draw_clock, draw_days
from fraud.synthetic.city import City
from fraud.synthetic.orders import Orders
from fraud.synthetic.visits import Visits


@dataclass
class Group:
    """One gang: who takes part and when.

    Attributes
    ----------
    number : int
        Number within the scheme.
    quota : ndarray of int64, shape (months,)
        Claims of each month.
    facts : dict
        Whatever the scheme remembers about it (place, doctor, members, …).
    members : list of (kind, id number, role)
    blocks : dict of str to str
        Building blocks of its way of working, where these are drawn.
    """

    number: int
    quota: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)
    members: list[tuple[str, int, str]] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)


class Scheme:
    """Base of the schemes.

    A scheme either adds visits (`emit` returns them) or changes honest ones in place, and may change
    the orders of its visits (`alter`). Everything else (prices, payment, identifiers, missing values)
    is the same code as for honest visits.

    Parameters
    ----------
    city : City
    code : int
        Number of the scheme in ``Visits.scheme``.
    budget : int
        Claims over the whole dataset.
    camouflage : float
        0 blatant, 1 as well hidden as pays.
    rng : numpy.random.Generator
    """

    name: ClassVar[str]
    zh: ClassVar[str]
    share: ClassVar[float] = 1.0  # of the fraudulent claims, relative to other schemes
    per_group: ClassVar[int] = 40  # claims of one group
    hidden: ClassVar[float] = 0.5  # how often auditors miss it when camouflaged

    def __init__(
        self, city: City, code: int, budget: int, camouflage: float, rng: np.random.Generator
    ) -> None:
        self.city, self.code, self.camouflage = city, code, camouflage
        self._pools: dict[tuple[str | None, float], np.ndarray] = {}
        self.groups = self._groups(budget, rng)
        for group in self.groups:
            self.plan(group, rng)

    def _groups(self, budget: int, rng: np.random.Generator) -> list[Group]:
        """Divide the budget of claims among gangs."""
        count = max(1, round(budget / self.per_group))
        parts = rng.multinomial(max(budget - count, 0), np.full(count, 1 / count)) + 1
        return [Group(g, self._quota(int(parts[g]), rng)) for g in range(count)]

    def _quota(self, claims: int, rng: np.random.Generator) -> np.ndarray:
        """Claims per month of a gang that may have begun before the first month and outlive the last.

        Beginnings are spread so that fraud is as frequent at the end as at the start: a gang's life
        that only partly overlaps the dataset brings its share of claims, scaled so that the budget
        is met on average.
        """
        months = len(self.city.months)
        span = int(rng.integers(max(1, months // 3), max(2, months)))
        begin = int(rng.integers(1 - span, months))
        first, last = max(begin, 0), min(begin + span - 1, months - 1)
        shares = rng.dirichlet(np.full(span, 6.0))[first - begin : last - begin + 1]
        wanted = claims * float(shares.sum()) * (span + months - 1) / months
        quota = np.zeros(months, dtype=np.int64)
        quota[first : last + 1] = rng.multinomial(max(1, round(wanted)), shares / shares.sum())
        return quota

    # -- what a scheme defines -----------------------------------------------------------------

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose the actors of a group."""
        raise NotImplementedError

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits | None:
        """Visits of a group in a month; or None after changing honest ones in place."""
        raise NotImplementedError

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Change the orders of the scheme's visits."""
        return o

    # -- what the generator calls --------------------------------------------------------------

    def visits(self, month: Month, honest: Visits, rng: np.random.Generator) -> Visits:
        """Make the new visits of all groups in a month (placed, marked with scheme and group)."""
        parts = []
        for group in self.groups:
            count = int(group.quota[month.index])
            made = self.emit(group, count, month, honest, rng) if count else None
            if made is not None and len(made):
                made.group[:] = group.number
                self._keep_roster(made, rng)
                parts.append(made)
        out = Visits.concat(parts)
        out.scheme[:] = self.code
        return self.city.place(out, rng) if len(out) else out

    def _keep_roster(self, v: Visits, rng: np.random.Generator) -> None:
        """Move visits to days when the named doctor works; the more so, the more camouflage."""
        careful = (v.doctor >= 0) & (rng.random(len(v)) < self.camouflage)
        for _ in range(6):
            move = careful & self.city.off_duty(v.doctor, v.start // DAY)
            v.start += move * DAY
            v.end += move * DAY

    # -- tools ---------------------------------------------------------------------------------

    def lerp(self, blatant: float, hidden: float) -> float:
        """Interpolate between the blatant and the hidden one, by the camouflage dial."""
        return blatant + (hidden - blatant) * self.camouflage

    def institution(
        self, group: Group, roles: tuple[str, ...], rng: np.random.Generator, role: str = "place"
    ) -> int:
        """Draw an institution of some roles as a member."""
        where = np.concatenate([self.city.providers.by_role[r] for r in roles])
        chosen = int(rng.choice(where))
        group.facts[role] = chosen
        group.members.append(("institution", chosen, role))
        return chosen

    def doctor(
        self,
        group: Group,
        institution: int,
        rng: np.random.Generator,
        specialties: tuple[str, ...] = (),
        role: str = "doctor",
    ) -> int:
        """Draw a doctor of an institution as a member, of one of some specialties if there are any."""
        q, c = self.city.providers, self.city.catalogue
        doctors = q.doctors_of(institution)
        wanted = [c.specialties.index(s) for s in specialties]
        good = doctors[np.isin(q.dept_specialty[q.doctor_department[doctors]], wanted)]
        chosen = int(rng.choice(good if len(good) else doctors))
        group.facts[role] = chosen
        group.facts[role + "_department"] = int(q.doctor_department[chosen])
        group.members.append(("doctor", chosen, role))
        return chosen

    def operator(self, institution: int, rng: np.random.Generator) -> int:
        """Draw an operator of an institution."""
        start = self.city.providers.operator_start
        return int(rng.integers(start[institution], start[institution + 1]))

    def recruits(
        self,
        group: Group,
        count: int,
        rng: np.random.Generator,
        *,
        neighbours: float = 0.0,
        certificate: str | None = None,
        min_age: float = 18,
        role: str = "member",
    ) -> np.ndarray:
        """Draw living people as members: some share of them from one neighbourhood or employer.

        Parameters
        ----------
        group : Group
        count : int
        rng : numpy.random.Generator
        neighbours : float
            Share that live in the same neighbourhood.
        certificate : str, optional
            Only holders of a certificate; ``"any"`` for any.
        min_age : float
        role : str
        """
        p = self.city.people
        pool = self._pool(certificate, min_age)
        count = min(count, len(pool))
        seat = int(rng.choice(pool))
        near = round(count * neighbours)
        chosen = np.zeros(0, dtype=np.int64)
        if near:
            close = pool[p.block[pool] == p.block[seat]]
            chosen = rng.choice(close, min(near, len(close)), replace=False)
        many = 4 * count + 16
        more = rng.permutation(pool) if many > len(pool) else rng.choice(pool, many)
        out = np.concatenate([chosen, more])
        _, first = np.unique(out, return_index=True)
        out = out[np.sort(first)][:count].astype(np.int64)
        group.facts[role] = out
        group.members += [("patient", int(x), role) for x in out]
        return out

    def _pool(self, certificate: str | None, min_age: float) -> np.ndarray:
        """People who may be recruited: old enough and alive throughout."""
        key = (certificate, min_age)
        if key not in self._pools:
            p, last = self.city.people, self.city.months[-1]
            old = p.age(np.arange(p.n), self.city.months[0].first) >= min_age
            ok = old & (p.death > last.first + last.days)
            if certificate == "any":
                ok &= p.certificates.any(axis=1)
            elif certificate:
                ok &= p.certificates[:, self.city.catalogue.certificates.index(certificate)]
            self._pools[key] = np.flatnonzero(ok if ok.any() else old)
        return self._pools[key]

    def moments(
        self, month: Month, count: int, rng: np.random.Generator, profile: str = "clinic"
    ) -> np.ndarray:
        """Draw starting seconds like those of honest visits."""
        return draw_days(month, count, rng, always_open=profile != "clinic") * DAY + draw_clock(
            count, rng, profile
        )

    def sessions(
        self,
        count: int,
        size: int,
        month: Month,
        rng: np.random.Generator,
        *,
        gap: float,
        spread: float,
        profile: str = "clinic",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Moments of people who come together.

        Parameters
        ----------
        count : int
            Visits.
        size : int
            People of one session.
        month : Month
        rng : numpy.random.Generator
        gap : float
            Minutes between one and the next, on average.
        spread : float
            Share of visits moved to another day and hour.
        profile : str

        Returns
        -------
        start : ndarray of int64
        session : ndarray of int64
            Number of the session of each visit.
        """
        session = np.arange(count) // max(1, size)
        base = self.moments(month, int(session[-1]) + 1, rng, profile)[session]
        start = base + np.rint(rng.exponential(gap * 60, count)).astype(np.int64) * (
            np.arange(count) % max(1, size) > 0
        )
        alone = rng.random(count) < spread
        start = np.where(alone, self.moments(month, count, rng, profile), start)
        return np.minimum(start, month.end - HOUR), session

    def pick_rows(self, honest: Visits, mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Up to `count` honest visits among those of the mask (none that another scheme has taken)."""
        rows = np.flatnonzero(mask & (honest.scheme == 0))
        return np.sort(rng.choice(rows, min(count, len(rows)), replace=False)) if len(rows) else rows

    def mark(self, honest: Visits, rows: np.ndarray, group: Group) -> None:
        """Mark honest visits as the scheme's."""
        honest.scheme[rows] = self.code
        honest.group[rows] = group.number

    def mine(self, v: Visits) -> np.ndarray:
        """Rows of the scheme's visits."""
        return np.flatnonzero(v.scheme == self.code)

    def when(self, v: Visits, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Moments of charging during visits or stays, in the hours of honest lines."""
        v_len = np.where(
            v.is_stay[rows], v.end[rows] - v.start[rows], np.minimum(v.settle[rows] - v.start[rows], 80 * 60)
        )
        second = v.start[rows] + (rng.random(len(rows)) * np.maximum(v_len, 60)).astype(np.int64)
        day = second // DAY
        clock = 7 * HOUR + (rng.random(len(rows)) * 10 * HOUR).astype(np.int64)
        in_stay = np.clip(day * DAY + clock, v.start[rows], np.maximum(v.end[rows] - 60, v.start[rows]))
        return np.where(v.is_stay[rows], in_stay, second)

    def extra(
        self,
        v: Visits,
        rows: np.ndarray,
        items: np.ndarray,
        quantity: np.ndarray | int,
        rng: np.random.Generator,
    ) -> Orders:
        """Orders to be recovered, added to visits."""
        o = Orders.make(rows, items, quantity, self.when(v, rows, rng), bad=True)
        o.days = o.quantity * self.city.catalogue.days_per_unit[items]
        return o
