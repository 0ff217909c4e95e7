"""From orders to money: prices, policy scope, deductibles, reimbursement and refunds, in cents."""

from dataclasses import dataclass

import numpy as np

from fraud.synthetic.calendar import DAY
from fraud.synthetic.city import KIND, City
from fraud.synthetic.hashing import uniform
from fraud.synthetic.orders import Orders
from fraud.synthetic.visits import VISIT_TYPE, Visits

# Fund's share of the eligible amount above the deductible, by insurance type (employee, resident,
# retired, other), in thousandths.
_RATE = {
    "chronic": (880, 800, 910, 930),
    "visit": (650, 520, 730, 850),
    "pharmacy": (650, 500, 720, 800),
    "tertiary": (860, 680, 890, 920),
    "secondary": (890, 780, 910, 930),
    "low": (920, 850, 940, 950),
}
_STAY_DEDUCTIBLE = np.array([80_000, 50_000, 20_000, 0, 30_000])  # by kind of institution, cents
_YEAR_DEDUCTIBLE = np.array([20_000, 10_000, 15_000, 0])  # ordinary visits, by insurance type


@dataclass
class Bill:
    """Amounts of claims and lines in cents; the last claims may be refunds of earlier ones.

    Attributes
    ----------
    visits : Visits
        One row per claim.
    orders : Orders
        One row per line, `visit` pointing at the claim.
    price, amount, line_eligible : ndarray of int64, shape (lines,)
    total, eligible, fund, loss : ndarray of int64, shape (claims,)
    refund_of : ndarray of int64, shape (claims,)
        Row of the claim that is taken back; -1 otherwise.
    """

    visits: Visits
    orders: Orders
    price: np.ndarray
    amount: np.ndarray
    line_eligible: np.ndarray
    total: np.ndarray
    eligible: np.ndarray
    fund: np.ndarray
    loss: np.ndarray
    refund_of: np.ndarray


def _sums(index: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Exact integer sums by index (float64 holds integers up to 2**53)."""
    return np.rint(np.bincount(index, weights=values.astype(np.float64), minlength=n)).astype(np.int64)


def prices(city: City, v: Visits, o: Orders) -> np.ndarray:
    """Return unit prices in cents: services by level of care, drugs nearly alike everywhere, limits kept."""
    c, providers = city.catalogue, city.providers
    where = v.institution[o.visit]
    drug = c.category_is(o.item, "drug", "herb", "consumable")
    pharmacy = providers.kind[where] == KIND["pharmacy"]
    spread = np.where(pharmacy, 0.10, 0.03)
    own = 1.0 + spread * (uniform(where, o.item, 41) - 0.4)
    own = np.where(drug, own, providers.price_level[where])
    price = np.rint(c.base_price[o.item] * own * o.price_mult).astype(np.int64)
    limit = c.price_limit[o.item]
    sloppy = uniform(where, o.item, 42) < 0.004
    return np.where((limit > 0) & ~sloppy, np.minimum(price, limit), price)


def _round_totals(v: Visits, o: Orders, price: np.ndarray) -> np.ndarray:
    """Change one single-unit price of the claims that ask for a round total."""
    wanted = v.round_to[o.visit]
    if not wanted.any():
        return price
    single = np.flatnonzero((wanted > 0) & (o.quantity == 1))
    visit, last = np.unique(o.visit[single][::-1], return_index=True)
    row = single[::-1][last]
    total = _sums(o.visit, price * o.quantity, len(v))[visit]
    price = price.copy()
    price[row] += -total % v.round_to[visit]
    return price


def reimbursement(city: City, v: Visits, eligible: np.ndarray, spent: np.ndarray) -> np.ndarray:
    """Work out what the fund pays of each claim.

    Parameters
    ----------
    city : City
    v : Visits
    eligible : ndarray of int64
        Cents within policy scope.
    spent : ndarray of int64, shape (people,)
        Eligible cents already counted towards this year's deductible; updated in place.
    """
    kind = city.providers.kind[v.institution]
    insurance = city.people.insurance[v.patient]
    stay = v.is_stay
    chronic = v.visit_type == VISIT_TYPE["chronic"]
    rate = np.array(_RATE["visit"])[insurance]
    rate = np.where(chronic, np.array(_RATE["chronic"])[insurance], rate)
    rate = np.where(v.visit_type == VISIT_TYPE["pharmacy"], np.array(_RATE["pharmacy"])[insurance], rate)
    low = np.array(_RATE["low"])[insurance]
    by_kind = np.where(kind == 0, np.array(_RATE["tertiary"])[insurance], low)
    by_kind = np.where(kind == 1, np.array(_RATE["secondary"])[insurance], by_kind)
    rate = np.where(stay, by_kind, rate) - 100 * v.out_of_region
    order = np.lexsort((v.settle, v.patient))
    counts = np.where(stay | chronic, 0, eligible)[order]
    who = v.patient[order]
    running = np.cumsum(counts)
    first = np.concatenate([[True], who[1:] != who[:-1]]) if len(who) else np.zeros(0, dtype=bool)
    base = np.maximum.accumulate(np.where(first, running - counts, 0))
    before = spent[who] + running - counts - base
    limit = _YEAR_DEDUCTIBLE[insurance[order]]
    own = np.minimum(before + counts, limit) - np.minimum(before, limit)
    deductible = np.empty_like(own)
    deductible[order] = own
    np.add.at(spent, who, counts)
    deductible = np.where(stay, _STAY_DEDUCTIBLE[kind], np.where(chronic, 0, deductible))
    return np.maximum(eligible - deductible, 0) * rate // 1000


def make_bill(
    city: City, v: Visits, o: Orders, spent: np.ndarray, rng: np.random.Generator, until: int
) -> Bill:
    """Charge orders, settle claims and add refunds.

    Parameters
    ----------
    city : City
    v, o : Visits, Orders
    spent : ndarray of int64, shape (people,)
        See `reimbursement`.
    rng : numpy.random.Generator
    until : int
        Refunds are settled before this second.
    """
    c = city.catalogue
    price = _round_totals(v, o, prices(city, v, o))
    amount = price * o.quantity
    limit = np.where(c.price_limit[o.item] > 0, np.minimum(c.price_limit[o.item], price), price)
    thousandths = np.rint(c.eligible_rate[o.item] * 1000).astype(np.int64)
    line_eligible = np.sign(amount) * (np.abs(limit * o.quantity) * thousandths // 1000)
    total, eligible = _sums(o.visit, amount, len(v)), _sums(o.visit, line_eligible, len(v))
    fund = reimbursement(city, v, eligible, spent)
    bad = _sums(o.visit, np.where(o.bad, line_eligible, 0), len(v))
    part = np.clip(bad, 0, np.maximum(eligible, 0)) * fund // np.maximum(eligible, 1)
    loss = np.where(v.scheme > 0, np.where(v.whole, fund, part), 0)
    bill = Bill(v, o, price, amount, line_eligible, total, eligible, fund, loss, np.full(len(v), -1))
    return _refunds(bill, rng, until)


def _refunds(b: Bill, rng: np.random.Generator, until: int) -> Bill:
    """Take some claims back a few days later: the same lines with negative quantities."""
    settle = b.visits.settle + rng.integers(DAY // 24, 9 * DAY, len(b.visits))
    rows = np.flatnonzero(
        (rng.random(len(b.visits)) < 0.004) & (settle < until) & (b.total > 0) & ~b.visits.is_stay
    )
    if not len(rows):
        return b
    n = len(b.visits)
    again = b.visits.take(rows)
    again.settle = settle[rows]
    new = np.full(n, -1)
    new[rows] = n + np.arange(len(rows))
    lines = np.flatnonzero(new[b.orders.visit] >= 0)
    back = b.orders.take(lines)
    back.quantity, back.visit = -back.quantity, new[back.visit]
    back.second = again.settle[back.visit - n]
    loss = b.loss.copy()
    loss[rows] = 0  # already given back
    join = lambda a, x: np.concatenate([a, x])  # noqa: E731
    return Bill(
        visits=Visits.concat([b.visits, again]),
        orders=Orders.concat([b.orders, back]),
        price=join(b.price, b.price[lines]),
        amount=join(b.amount, -b.amount[lines]),
        line_eligible=join(b.line_eligible, -b.line_eligible[lines]),
        total=join(b.total, -b.total[rows]),
        eligible=join(b.eligible, -b.eligible[rows]),
        fund=join(b.fund, -b.fund[rows]),
        loss=join(loss, np.zeros(len(rows), dtype=np.int64)),
        refund_of=join(b.refund_of, rows),
    )
