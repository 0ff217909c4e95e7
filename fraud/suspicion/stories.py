"""Which subject tells a suspicious claim's story: ring, patient, doctor, department, institution or itself.

A subject tells a story when far more of its claims are suspicious than claims of the same visit
type and size are elsewhere. Odd claims count by their scores, so that forty likely ones outweigh
forty doubtful ones. The measure is the Poisson log-likelihood ratio of the observed sum ``k``
against the expected sum ``e``, ``k ln(k / e) - (k - e)`` (Kulldorff's scan statistic without its
constant term). Money is left out of this choice on purpose, because a wider subject always
holds more of it; money ranks the stories afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

# Narrowest first: between subjects that tell a story equally well, the first is listed. Operators
# come last: a pharmacy with one till is a pharmacy's story.
KINDS = ("patient", "doctor", "department", "institution", "operator")

POOL_PER_CAPACITY = 20
POOL_SHARE = (0.01, 0.10)
MIN_EXCESS = 0.7  # share of a story's claims that the base rate must not explain
MIN_EVIDENCE = 3.0  # log-likelihood ratio, about 20 : 1
COVERS = 0.8  # a narrower subject with this share of the claims and evidence tells the story itself
PRIOR_CLAIMS = 50.0  # weight of the citywide rate in a stratum's rate
_UNIT = 10**9  # expected counts are summed as integers, so that no sum depends on its order


def candidate_pool(
    score: np.ndarray, expected: np.ndarray, capacity: int, forced: np.ndarray | None = None
) -> np.ndarray:
    """Claims suspicious enough to be part of a suspicion.

    The union of the best claims by expected recovery and the best by score (many small claims make
    a large story), ``capacity * 20`` each but between 1 % and 10 % of the month, and never fewer
    than `capacity`.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        Probability or percentile; NaN is never a candidate.
    expected : ndarray of int, shape (n,)
        Expected recovery; any unit.
    capacity : int
        Suspicions the auditors can take.
    forced : ndarray of bool, shape (n,), optional
        Claims that are candidates whatever their score: logical impossibilities.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    n = len(score)
    low, high = (int(share * n) for share in POOL_SHARE)
    size = min(n, max(capacity, min(max(capacity * POOL_PER_CAPACITY, low), high)))
    plain = np.nan_to_num(score, nan=-1.0)
    pool = np.zeros(n, dtype=bool)
    pool[np.lexsort((-plain, -expected))[:size]] = True
    pool[np.lexsort((-expected, -plain))[:size]] = True
    pool &= (plain > 0) & (expected > 0)
    return pool if forced is None else pool | forced


def odd_claims(score: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Candidates whose score is itself unusual: these make a story, the others are merely dear.

    Twice the month's mean score, or half way from the mean to certainty where that is less (scores
    that are percentiles have a mean of one half).
    """
    mean = float(np.nanmean(score)) if np.isfinite(score).any() else 0.0
    return pool & (np.nan_to_num(score, nan=-1.0) >= min(2 * mean, (1 + mean) / 2))


@dataclass
class _Subjects:
    """Subjects of one kind with enough candidates, and their claims."""

    kind: str
    ids: np.ndarray  # sorted subject ids, shape (s,)
    code: np.ndarray  # subject of each claim, -1 for none, shape (n,)
    expected: np.ndarray  # mean weight of claims like each one elsewhere, in 1 / _UNIT, shape (n,)
    order: np.ndarray  # claims sorted by subject
    start: np.ndarray  # first position of each subject in `order`, shape (s + 1,)

    def claims(self, subject: int) -> np.ndarray:
        return self.order[self.start[subject] : self.start[subject + 1]]

    def total(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sum integer `weights` of claims `rows` by subject, exactly."""
        code = self.code[rows]
        known = code >= 0
        total = np.zeros(len(self.ids), dtype=np.int64)
        np.add.at(total, code[known], weights[known])
        return total


def _strata(claims: pd.DataFrame, cents: np.ndarray) -> np.ndarray:
    """Visit type × half-decade of the amount, as small integers."""
    band = np.floor(2 * np.log10(np.maximum(cents, 1) / 100)).astype(np.int64)
    band = np.clip(band, 0, 15)
    visit = pd.factorize(claims["visit_type"], sort=True)[0] + 1 if "visit_type" in claims else 0
    return np.unique(visit * 16 + band, return_inverse=True)[1]


def _eligible(
    claims: pd.DataFrame, odd: np.ndarray, weight: np.ndarray, stratum: np.ndarray, least: int
) -> Iterator[_Subjects]:
    strata = int(stratum.max()) + 1
    of_odd = np.bincount(stratum, weights=weight, minlength=strata)
    of_all = np.bincount(stratum, minlength=strata).astype(float)
    citywide = weight.mean()
    for kind in KINDS:
        if f"{kind}_id" not in claims:
            continue
        ids = pd.Series(claims[f"{kind}_id"].to_numpy(dtype=object, na_value=""))
        named = (ids != "").to_numpy(dtype=bool)
        counts = ids[odd & named].value_counts()
        keep = np.array(sorted(counts.index[counts >= least]), dtype=object)
        code = pd.Index(keep).get_indexer(ids) if len(keep) else np.full(len(claims), -1)
        code[~named] = -1
        # The rate elsewhere: the subject's own claims are taken out of its strata.
        rows = np.flatnonzero(code >= 0)
        pair = code[rows] * strata + stratum[rows]
        own_all = np.bincount(pair, minlength=len(keep) * strata)
        own_odd = np.bincount(pair, weights=weight[rows], minlength=len(keep) * strata)
        rate = (of_odd[stratum[rows]] - own_odd[pair] + PRIOR_CLAIMS * citywide) / (
            of_all[stratum[rows]] - own_all[pair] + PRIOR_CLAIMS
        )
        expected = np.zeros(len(claims), dtype=np.int64)
        expected[rows] = np.rint(rate)
        order = rows[np.argsort(code[rows], kind="stable")]
        start = np.searchsorted(code[order], np.arange(len(keep) + 1))
        yield _Subjects(kind, keep, code, expected, order, start)


class _Ledger:
    """Observed and expected weight of every subject's odd claims, over the claims not yet told."""

    def __init__(self, kinds: list[_Subjects], weight: np.ndarray, alive: np.ndarray, least: int) -> None:
        self.kinds, self.weight, self.alive, self.least = kinds, weight, alive, least
        self.odd = weight > 0
        rows = np.flatnonzero(alive)
        self.count = [k.total(rows, self.odd[rows].astype(np.int64)) for k in kinds]
        self.observed = [k.total(rows, weight[rows]) for k in kinds]
        self.expected = [k.total(rows, k.expected[rows]) for k in kinds]
        # A wider subject must also outweigh having looked at all of its kind; a patient's claims
        # are folded for being one patient's.
        tested = [1 if k.kind == "patient" else max(len(k.ids), 1) for k in kinds]
        self.floor = MIN_EVIDENCE + np.log(tested)
        self.evidence = [self._evidence(i, slice(None)) for i in range(len(kinds))]

    def _evidence(self, i: int, which: slice | np.ndarray) -> np.ndarray:
        k = self.observed[i][which] / _UNIT
        e = np.maximum(self.expected[i][which] / _UNIT, 1e-9)
        ratio = k * np.log(np.maximum(k, e) / e) - (k - e)
        tells = (self.count[i][which] >= self.least) & (k - e >= MIN_EXCESS * k) & (ratio >= self.floor[i])
        return np.where(tells, ratio, 0.0).round(9)  # the last bits of a logarithm differ by machine

    def best(self) -> tuple[int, int] | None:
        """Kind and subject with the most evidence, or the narrower one that tells the same story."""
        tops = [(float(e.max()), i) if len(e) else (0.0, i) for i, e in enumerate(self.evidence)]
        evidence, i = max(tops, key=lambda t: (t[0], -t[1]), default=(0.0, 0))
        if evidence <= 0:
            return None
        subject = int(self.evidence[i].argmax())
        rows = self.kinds[i].claims(subject)
        rows = rows[self.alive[rows] & self.odd[rows]]
        for narrower in range(i):
            code = self.kinds[narrower].code[rows]
            code = code[code >= 0]
            if len(code):
                counts = np.bincount(code)
                one = int(counts.argmax())
                if counts[one] >= COVERS * len(rows) and self.evidence[narrower][one] >= COVERS * evidence:
                    return narrower, one
        return i, subject

    def take(self, rows: np.ndarray) -> None:
        """Remove claims from every subject's counts."""
        self.alive[rows] = False
        for i, kind in enumerate(self.kinds):
            self.count[i] -= kind.total(rows, self.odd[rows].astype(np.int64))
            self.observed[i] -= kind.total(rows, self.weight[rows])
            self.expected[i] -= kind.total(rows, kind.expected[rows])
            code = kind.code[rows]
            touched = np.unique(code[code >= 0])
            self.evidence[i][touched] = self._evidence(i, touched)


def assign_stories(
    claims: pd.DataFrame, cents: np.ndarray, pool: np.ndarray, odd: np.ndarray, least: int
) -> pd.DataFrame:
    """Give every candidate to the one subject that tells its story best.

    Rings come first, with all their claims. Then, again and again, the subject whose remaining odd
    claims exceed their expectation with the most evidence takes its candidates, unless a narrower
    subject covers the same story; its other claims leave the counts of wider subjects, so that a
    doctor's claims cannot also accuse the hospital. What is left are single claims; those of one
    patient at one institution are one story.

    Parameters
    ----------
    claims : DataFrame
        ``claim_id``, sorted and unique, ``score`` and, as far as known, ``ring_id``, ``visit_type`` and
        ``<kind>_id`` of `KINDS`. Empty ids group nothing.
    cents : ndarray of int, shape (n,)
        Amount at risk.
    pool : ndarray of bool, shape (n,)
        Candidates, see `candidate_pool`.
    odd : ndarray of bool, shape (n,)
        Candidates that count as evidence, see `odd_claims`.
    least : int
        Fewest odd claims that make a subject's story.

    Returns
    -------
    DataFrame
        ``subject_kind`` and ``subject_id`` (of a claim's story: empty kind, see `fold_claims`),
        indexed by row position; only claims that are part of a story.
    """
    kind = np.full(len(claims), "", dtype=object)
    subject = np.full(len(claims), "", dtype=object)
    if "ring_id" in claims:
        ring = claims["ring_id"].to_numpy(dtype=object, na_value="")
        in_ring = (ring != "") & (cents > 0)
        kind[in_ring], subject[in_ring] = "ring", ring[in_ring]
    else:
        in_ring = np.zeros(len(claims), dtype=bool)
    if odd.any():
        score = np.nan_to_num(claims["score"].to_numpy(float))
        weight = np.where(odd, np.rint(np.maximum(score, 1e-6) * _UNIT), 0).astype(np.int64)
        kinds = list(_eligible(claims, odd, weight, _strata(claims, cents), least))
        ledger = _Ledger(kinds, np.where(in_ring, 0, weight), ~in_ring, least)
        _tell(ledger, pool & ~in_ring, kind, subject)
    told = pool | in_ring
    single = told & (kind == "")
    kind[single] = "claim"
    subject[single] = claims["claim_id"].to_numpy(dtype=object)[single]
    rows = np.flatnonzero(told)
    return pd.DataFrame({"subject_kind": kind[rows], "subject_id": subject[rows]}, index=rows)


def _tell(ledger: _Ledger, pool: np.ndarray, kind: np.ndarray, subject: np.ndarray) -> None:
    """Fill `kind` and `subject` of the candidates that roll up, greedily by evidence."""
    while (found := ledger.best()) is not None:
        i, one = found
        told = ledger.kinds[i]
        rows = told.claims(one)
        rows = rows[ledger.alive[rows]]
        listed = rows[pool[rows]]
        if told.kind == "operator":  # no operators in the contract: people around a till are a ring
            kind[listed], subject[listed] = "ring", f"operator:{told.ids[one]}"
        else:
            kind[listed], subject[listed] = told.kind, told.ids[one]
        ledger.take(rows)
