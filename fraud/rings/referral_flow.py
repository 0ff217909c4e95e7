"""Chance model of referrals: a gravity null by diagnosis, and who really sent a patient.

Expected links of a pair are what its sender gives and its receiver takes, diagnosis by diagnosis
(elsewhere, and without what is explained as paid for), times how much more than that the two
institutions exchange anyway. A patient may have seen several doctors before: an
expectation–maximisation run shares each arrival out among the pairs and chance, so that a doctor is
not suspected for the patients that a colleague sends.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaln
from scipy.stats import nbinom

from fraud.rings.referral_links import Links

COST_SHIFT = 0.8
"""Standard deviations by which a referred patient's cost is taken to exceed that of peers."""
SPARSE = 0.5
"""Patients taken off a pair's referred ones each round: pairs that explain little end at none."""
ROUNDS, STEPS = 3, 20
FLOOR = 0.1
"""Least expected links of a pair."""
HOUSES = 1.0
"""Links of prior belief that two institutions exchange what gravity says."""
LEAST_HOUSE = 0.7
"""Institutions that exchange less than gravity says lower the expectation no further than this."""
RETURN = 0.5
"""Share of the flow in the opposite direction that is expected as well: shared regular patients."""
OTHERS, OTHERS_MOST, OTHERS_FROM = 0.5, 10.0, 2.0
"""A receiver with one paying sender is likelier to have another: share of the best other sender's
evidence that is added, the most of it, and the evidence from which on a pair is helped."""
DISPERSIONS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 50.0])


@dataclass
class _Index:
    """Numbers in place of names: doctors, their institutions, diagnoses within a catchment."""

    pairs: pd.DataFrame
    k: np.ndarray  # pair of each link
    x: np.ndarray  # arrival of each link
    column: np.ndarray  # diagnosis within a catchment of each link
    sent: sp.csr_matrix  # doctors × columns
    received: sp.csr_matrix
    house: np.ndarray  # institution of each doctor
    flows: sp.csr_matrix  # institutions × institutions
    weight: np.ndarray  # of each link: patients who come to a doctor on one day count as one
    z: np.ndarray


def pair_table(found: Links) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pairs with what was expected of them, and links with the share each pair has in them.

    Returns
    -------
    pairs : DataFrame
        sender, receiver, n (patients), days (days of arrival), back (patients in the opposite
        direction), expected (links by chance), own (links no other sender explains), referred
        (links estimated to be referrals), flow (log-likelihood ratio of the flow alone), excess
        (mean cost over peers, standard deviations), evidence (log-likelihood ratio of flow and
        cost together), standing (evidence, and half of that of the receiver's best other sender: what
        pairs are ranked by), p_value (negative binomial).
    links : DataFrame
        `found.links` with pair (row of `pairs`), own (chance that no other sender explains it) and
        paid (chance that it is a referral of this pair).
    """
    if not len(found.links):
        return _empty_pairs(), found.links.assign(pair=0, own=0.0, paid=0.0)
    index = _index(found)
    pairs, q = index.pairs, len(index.pairs)
    honest = np.ones(len(index.k))
    referred = np.zeros(0)
    expected = np.zeros(q)
    for _ in range(ROUNDS):
        expected = _expected(index, honest)
        if not len(referred):
            referred = np.maximum(pairs["days"].to_numpy() - expected, 0.0)
        referred, odds, total = _share_out(index, referred, expected)
        honest = 1 - odds / (1 + total[index.x])
    own = 1 - (total[index.x] - odds) / (1 + total[index.x])
    gain = np.log1p(total[index.x]) - np.log1p(np.maximum(total[index.x] - odds, 0.0))
    weighed = own * index.weight
    n = np.bincount(index.k, weighed, q)
    dispersion = dispersion_of(pairs["days"].to_numpy(), expected)
    pairs = pairs.assign(
        expected=expected,
        own=n,
        referred=np.bincount(index.k, 1 - honest, q),
        flow=_poisson_gain(n, expected),
        excess=np.bincount(index.k, weighed * index.z, q) / (n + 1),
        evidence=np.bincount(index.k, index.weight * gain, q) - referred,
        p_value=nbinom.sf(np.ceil(n - 1e-6) - 1, dispersion, dispersion / (dispersion + expected)),
    )
    pairs = pairs.assign(standing=_standing(pairs))
    return pairs.drop(columns=["s", "r"]), found.links.assign(pair=index.k, own=own, paid=1 - honest)


def _standing(pairs: pd.DataFrame) -> np.ndarray:
    """Evidence and, for pairs that have some, half of that of the receiver's best other sender."""
    evidence = pairs["evidence"].clip(lower=0.0)
    best = evidence.groupby(pairs["receiver"]).transform("max")
    rest = evidence.where(evidence.groupby(pairs["receiver"]).rank(method="first", ascending=False) > 1, 0.0)
    second = rest.groupby(pairs["receiver"]).transform("max")
    other = np.where(evidence.to_numpy() >= best.to_numpy(), second, best)
    more = OTHERS * np.minimum(other, OTHERS_MOST) * (evidence.to_numpy() > OTHERS_FROM)
    return pairs["evidence"].to_numpy() + more


def _empty_pairs() -> pd.DataFrame:
    columns = (
        "n", "days", "back", "expected", "own", "referred", "flow", "excess", "evidence", "p_value",
        "standing",
    )  # fmt: skip
    frame = pd.DataFrame({"sender": pd.Series(dtype=str), "receiver": pd.Series(dtype=str)})
    return frame.assign(**{c: pd.Series(dtype=float) for c in columns})


def _index(found: Links) -> _Index:
    doctors = pd.Index(found.doctors["doctor_id"])
    house, houses = pd.factorize(found.doctors["institution_id"], sort=True)
    flow = found.houses
    places = pd.Index(houses)
    flows = sp.csr_matrix(
        (
            flow["n"].to_numpy(float),
            (places.get_indexer(flow["sender_house"]), places.get_indexer(flow["receiver_house"])),
        ),
        shape=(len(places), len(places)),
    )
    _, catchment = connected_components(flows, directed=False)
    diagnoses = pd.Index(sorted(set(found.sent["diagnosis"]) | set(found.received["diagnosis"])))

    def columns(doctor: np.ndarray, diagnosis: pd.Series) -> np.ndarray:
        return catchment[house[doctor]] * len(diagnoses) + diagnoses.get_indexer(diagnosis)

    def margin(rows: pd.DataFrame) -> sp.csr_matrix:
        who = doctors.get_indexer(rows["doctor_id"])
        shape = (len(doctors), (catchment.max() + 1) * len(diagnoses))
        return sp.csr_matrix((rows["n"].to_numpy(float), (who, columns(who, rows["diagnosis"]))), shape=shape)

    links = found.links
    s, r = doctors.get_indexer(links["sender"]), doctors.get_indexer(links["receiver"])
    code = s.astype(np.int64) * len(doctors) + r
    pairs = links.groupby(["sender", "receiver"], sort=True).agg(
        n=("patient_id", "size"), days=("day", "nunique")
    )
    pairs = pairs.reset_index()
    pairs["s"], pairs["r"] = doctors.get_indexer(pairs["sender"]), doctors.get_indexer(pairs["receiver"])
    key = pd.Index(pairs["s"].to_numpy(np.int64) * len(doctors) + pairs["r"])
    back = pd.Series(pairs["n"].to_numpy(), key)
    reverse = pairs["r"].to_numpy(np.int64) * len(doctors) + pairs["s"]
    pairs["back"] = back.reindex(reverse).fillna(0).to_numpy(int)
    same_day = links.groupby(["sender", "receiver", "day"])["day"].transform("size")
    return _Index(
        pairs, key.get_indexer(code), pd.factorize(links["claim_id"])[0], columns(s, links["diagnosis"]),
        margin(found.sent), margin(found.received), house, flows, 1 / same_day.to_numpy(float),
        links["z"].to_numpy(float),
    )  # fmt: skip


def _products(a: sp.csr_matrix, b: sp.csr_matrix, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Products of row i of `a` with row j of `b`, for pairs of rows, in pieces that fit."""
    out = np.zeros(len(i))
    for begin in range(0, len(i), 50_000):
        part = slice(begin, begin + 50_000)
        out[part] = np.asarray(a[i[part]].multiply(b[j[part]]).sum(axis=1)).ravel()
    return out


def _expected(index: _Index, honest: np.ndarray) -> np.ndarray:
    """Links each pair has by chance, from the margins less what is referred and less its own."""
    pairs, k, column = index.pairs, index.k, index.column
    s, r = pairs["s"].to_numpy(), pairs["r"].to_numpy()
    taken = 1 - honest
    sent = (index.sent - sp.csr_matrix((taken, (s[k], column)), index.sent.shape)).tocsr()
    received = (index.received - sp.csr_matrix((taken, (r[k], column)), index.received.shape)).tocsr()
    total = np.asarray(sent.sum(axis=0)).ravel() + 1
    scaled = (sent @ sp.diags(1 / total)).tocsr()
    gravity = _products(scaled, received, s, r)
    code, first, inverse = np.unique(
        k.astype(np.int64) * index.sent.shape[1] + column, return_index=True, return_inverse=True
    )
    own = np.bincount(inverse, honest, len(code))
    at, of = column[first], k[first]
    gives, takes = np.asarray(sent[s[of], at]).ravel(), np.asarray(received[r[of], at]).ravel()
    others = np.maximum(gives - own, 0) * np.maximum(takes - own, 0)
    rest = np.maximum(total[at] - gives - takes + own, 1.0)  # links of neither: 2 × 2 table without the pair
    gravity += np.bincount(of, others / rest - gives * takes / total[at], len(pairs))
    gravity = np.maximum(gravity, 0.0)
    expected = gravity * _houses(index, honest, scaled, received, gravity)
    return np.maximum(expected, RETURN * (pairs["back"].to_numpy() - 1)) + FLOOR


def _houses(
    index: _Index, honest: np.ndarray, scaled: sp.csr_matrix, received: sp.csr_matrix, gravity: np.ndarray
) -> np.ndarray:
    """How many times more two institutions exchange than gravity says, the pair itself left out."""
    pairs, house = index.pairs, index.house
    member = sp.csr_matrix(
        (np.ones(len(house)), (house, np.arange(len(house)))), (index.flows.shape[0], len(house))
    )
    a, b = house[pairs["s"]], house[pairs["r"]]
    code, inverse = np.unique(a.astype(np.int64) * index.flows.shape[0] + b, return_inverse=True)
    i, j = code // index.flows.shape[0], code % index.flows.shape[0]
    expected = _products((member @ scaled).tocsr(), (member @ received).tocsr(), i, j)[inverse]
    taken = np.bincount(inverse[index.k], 1 - honest, len(code))
    observed = (np.asarray(index.flows[i, j]).ravel() - taken)[inverse]
    own = np.bincount(index.k, honest, len(pairs))
    factor = (np.maximum(observed - own, 0) + HOUSES) / (np.maximum(expected - gravity, 0) + HOUSES)
    return np.maximum(factor, LEAST_HOUSE)


def _share_out(
    index: _Index, referred: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Referrals of each pair, odds of each link against chance, and their sum over each arrival.

    Under a referral the arrival is caused by the sender; under chance the pair has `expected` such
    links. The odds of a link are therefore referred / expected, times how much likelier its cost is
    after a paid referral than before one.
    """
    likelier = np.exp(COST_SHIFT * index.z - COST_SHIFT**2 / 2)
    k, x = index.k, index.x
    arrivals = int(x.max()) + 1
    for _ in range(STEPS):
        odds = referred[k] / expected[k] * likelier
        total = np.bincount(x, odds, arrivals)
        found = np.bincount(k, index.weight * odds / (1 + total[x]), len(expected))
        referred = np.maximum(found - SPARSE, 0.0)
    odds = referred[k] / expected[k] * likelier
    return referred, odds, np.bincount(x, odds, arrivals)


def _poisson_gain(n: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio of `n` against `expected`, zero where there are fewer."""
    gain = n * np.log(np.maximum(n, 1e-9) / expected) - (n - expected)
    return np.where(n > expected, gain, 0.0)


def dispersion_of(n: np.ndarray, expected: np.ndarray, least: int = 3) -> float:
    """Shape of the negative binomial that fits the bulk of pairs, which all have `least` or more.

    The likelihood is that of counts cut off below; the top hundredth of pairs is left out, as fraud
    may be there.
    """
    ratio = (n + 1) / (expected + 1)
    bulk = (n >= least) & (ratio <= np.quantile(ratio, 0.99))
    if bulk.sum() < 50:
        return float(DISPERSIONS[2])
    n, expected = n[bulk], expected[bulk]
    fits = []
    for shape in DISPERSIONS:
        chance = shape / (shape + expected)
        logs = gammaln(n + shape) - gammaln(shape) - gammaln(n + 1)
        logs = logs + shape * np.log(chance) + n * np.log1p(-chance)
        fits.append(float(np.sum(logs - nbinom.logsf(least - 1, shape, chance))))
    return float(DISPERSIONS[int(np.argmax(fits))])
