"""Auditors: few, biased, late and sometimes wrong."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fraud.schema import TABLES
from fraud.synthetic.billing import Bill
from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.city import City
from fraud.synthetic.schemes.base import Scheme
from fraud.synthetic.tables import cents, times

RANDOM_SHARE, TIP_SHARE = 0.17, 0.2
_WRONG = 0.05
_PREFIX = {
    "claim": ("S", 10),
    "patient": ("P", 7),
    "doctor": ("D", 6),
    "department": ("K", 6),
    "institution": ("H", 5),
}


def _rank(values: np.ndarray) -> np.ndarray:
    out = np.empty(len(values))
    out[np.argsort(values, kind="stable")] = (np.arange(len(values)) + 0.5) / max(len(values), 1)
    return out


def screen(b: Bill) -> np.ndarray:
    """Score claims by a crude screen of the kind auditors sort by: money first, then a few rule-like signals.

    Returns
    -------
    ndarray of float, shape (claims,)
    """
    v, o, n = b.visits, b.orders, len(b.visits)
    money = np.zeros(n)
    for stay in (False, True):
        rows = np.flatnonzero(v.is_stay == stay)
        money[rows] = _rank(b.fund[rows])
    supply = _rank(np.bincount(o.visit, weights=o.days, minlength=n))
    key = o.visit * 10_000_000 + o.item.astype(np.int64) * 10_000 + (o.second // DAY) % 10_000
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    twice = np.zeros(n)
    twice[o.visit[first[counts > 1]]] = 1.0
    desk = v.operator.astype(np.int64) * 100_000_000 + v.settle // 600
    _, inverse, together = np.unique(desk, return_inverse=True, return_counts=True)
    crowd = _rank(together[inverse] + 0.0)
    return money + 0.5 * (supply > 0.97) + 0.45 * twice + 0.4 * (crowd > 0.985)


class Auditors:
    """Collects decisions through the months.

    Parameters
    ----------
    city : City
    rate : float
        Share of claims audited.
    camouflage : float
    schemes : sequence of Scheme types
    unaudited : sequence of str
        Schemes never audited.
    """

    def __init__(
        self,
        city: City,
        rate: float,
        camouflage: float,
        schemes: Sequence[type[Scheme]],
        unaudited: Sequence[str],
    ) -> None:
        self.city, self.rate, self.camouflage = city, rate, camouflage
        self.names = np.array([s.name for s in schemes], dtype=object)
        self.missed = np.array([0.0, *[s.hidden for s in schemes]])
        self.closed = np.array([False, *[s.name in unaudited for s in schemes]])
        self.unaudited = tuple(unaudited)
        self._known = np.array(
            [i + 1 for i, s in enumerate(schemes) if s.name not in unaudited], dtype=np.int64
        )
        self._rows: list[
            tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
        ] = []

    def month(self, month: Month, b: Bill, first_id: int, rng: np.random.Generator) -> None:
        """Choose and decide audits of the claims settled in a month."""
        v = b.visits
        open_rows = np.flatnonzero((b.refund_of < 0) & (b.total > 0) & ~self.closed[v.scheme])
        count = min(round(self.rate * len(v)), len(open_rows))
        if not count:
            return
        chosen, reason = self._choose(b, open_rows, count, rng)
        scheme = v.scheme[chosen].astype(np.int64)
        guilty = b.loss[chosen] > 0
        miss = _WRONG + 0.35 * self.camouflage * self.missed[scheme]
        u = rng.random(len(chosen))
        confirmed = np.where(guilty, u >= miss, u < _WRONG * np.where(reason == 0, 0.4, 1.0))
        if not len(self._known):
            confirmed &= guilty
        told = np.where(guilty, scheme, rng.choice(self._known, len(chosen)) if len(self._known) else 0)
        part = np.where(guilty, b.loss[chosen] * 1.0, b.fund[chosen] * rng.uniform(0.1, 0.6, len(chosen)))
        amount = np.rint(part * rng.uniform(0.75, 1.0, len(chosen))).astype(np.int64)
        decided = month.end + (rng.uniform(25, 122, len(chosen))).astype(np.int64) * DAY
        decided = decided + 9 * HOUR + rng.integers(0, 8 * HOUR, len(chosen))
        self._rows.append(
            ("claim", first_id + chosen, confirmed, np.where(confirmed, told, 0), amount, reason, decided)
        )

    def _choose(
        self, b: Bill, rows: np.ndarray, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        v = b.visits
        n_random = int(np.round(count * RANDOM_SHARE))
        n_tip = int(np.round(count * TIP_SHARE))
        score = screen(b)[rows] + rng.gumbel(0, 0.11, len(rows))
        taken = np.zeros(len(rows), dtype=bool)
        first = rng.permutation(len(rows))[:n_random]
        taken[first] = True
        guilty = (b.loss[rows] > 0) & ~taken
        shown = 1 - 0.6 * self.camouflage * self.missed[v.scheme[rows]]
        likely = np.where(guilty, 60.0 * shown, 1.0) * ~taken
        tips = np.argsort(-(np.log(np.maximum(likely, 1e-9)) + rng.gumbel(size=len(rows))), kind="stable")[
            :n_tip
        ]
        taken[tips] = True
        ranked = np.argsort(np.where(taken, np.inf, -score), kind="stable")[
            : max(0, count - len(first) - len(tips))
        ]
        chosen = np.concatenate([first, tips, ranked])
        reason = np.concatenate([np.full(len(first), 0), np.full(len(tips), 1), np.full(len(ranked), 2)])
        order = np.argsort(chosen, kind="stable")
        return rows[chosen[order]], reason[order]

    def _entities(self, schemes: Sequence[Scheme], rng: np.random.Generator) -> None:
        """Audit a few people and places: some of the guilty, more of the rest."""
        q, months = self.city.providers, self.city.months
        sizes = {
            "patient": self.city.people.n,
            "doctor": len(q.doctor_department),
            "department": len(q.dept_institution),
            "institution": q.n,
        }
        guilty: dict[str, dict[int, tuple[int, int]]] = {k: {} for k in sizes}
        closed: dict[str, set[int]] = {k: set() for k in sizes}
        for scheme in schemes:
            for group in scheme.groups:
                active = np.flatnonzero(group.quota)
                for kind, number, _ in group.members:
                    if kind not in sizes:
                        continue
                    if scheme.name in self.unaudited:
                        closed[kind].add(number)
                    else:
                        guilty[kind].setdefault(number, (scheme.code, int(active[0]) if len(active) else 0))
        for kind, size in sizes.items():
            known = [(n, *facts) for n, facts in sorted(guilty[kind].items()) if n not in closed[kind]]
            caught = [k for k in known if rng.random() < (0.10 if kind == "patient" else 0.3)]
            drawn = rng.choice(size, min(size, 2 + len(caught) * 2), replace=False).tolist()
            others = [n for n in drawn if n not in guilty[kind] and n not in closed[kind]]
            rows = [(n, s, m, True) for n, s, m in caught] + [(n, 0, 0, False) for n in others]
            for number, code, first, is_guilty in sorted(rows):
                right = rng.random() >= _WRONG + (0.2 * self.camouflage if is_guilty else 0.0)
                yes = right if is_guilty else (not right and len(self._known) > 0)
                told = code if is_guilty else int(rng.choice(self._known)) if len(self._known) else 0
                month = months[min(first + int(rng.integers(1, 5)), len(months) - 1)]
                decided = (
                    month.end + int(rng.integers(5, 120)) * DAY + 9 * HOUR + int(rng.integers(0, 8 * HOUR))
                )
                amount = int(rng.integers(200_000, 6_000_000))
                one = lambda x: np.array([x])  # noqa: E731
                self._rows.append(
                    (
                        kind,
                        one(number),
                        one(yes),
                        one(told if yes else 0),
                        one(amount),
                        one(1 if is_guilty else 2),
                        one(decided),
                    )
                )

    def table(self, schemes: Sequence[Scheme]) -> pa.Table:
        """Rows of ``audits``: what has been decided before the dataset ends, oldest first."""
        if self.rate > 0:
            self._entities(schemes, self.city.rng("entity audits"))
        last = self.city.months[-1].end
        kind = [k for k, number, *_ in self._rows for _ in number]
        subject = [
            f"{_PREFIX[k][0]}{int(i):0{_PREFIX[k][1]}d}" for k, number, *_ in self._rows for i in number
        ]
        none = [np.zeros(0, dtype=np.int64)]
        columns = [np.concatenate([r[i] for r in self._rows] or none) for i in range(2, 7)]
        yes, scheme, amount, reason, decided = columns
        yes = yes.astype(bool)
        order = np.array(
            sorted(range(len(kind)), key=lambda i: (decided[i], kind[i], subject[i])), dtype=np.int64
        )
        order = order[decided[order] < last]
        names = np.array([None, *self.names], dtype=object)
        reasons = np.array(["random", "tip", "ranked"], dtype=object)
        arrays = [
            pa.array([kind[i] for i in order], pa.string()),
            pa.array([subject[i] for i in order], pa.string()),
            pa.array(np.where(yes[order], "confirmed", "cleared"), pa.string()),
            pa.array(names[np.where(yes, scheme, 0)[order]], pa.string()),
            cents(amount[order], ~yes[order]),
            pa.array(reasons[reason[order]], pa.string()),
            times(decided[order]),
        ]
        return pa.Table.from_arrays(arrays, schema=TABLES["audits"].arrow())
