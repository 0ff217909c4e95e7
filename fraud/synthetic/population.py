"""The insured people of the synthetic city: households, work, health and habits."""

from dataclasses import dataclass

import numpy as np

from fraud.synthetic.calendar import DAY
from fraud.synthetic.catalogue import Catalogue

INSURANCE = ("employee", "resident", "retired", "other")

# Five-year pyramid of a Chinese city (rounded), ages 0–4, 5–9, …, 90–94.
_PYRAMID = np.array(
    [35, 52, 58, 52, 50, 56, 72, 86, 74, 72, 84, 88, 64, 62, 46, 28, 17, 9, 4], dtype=np.float64
)

# certificate: share of holders at ages under 45, 45–59, 60–74, 75 and over
_PREVALENCE = {
    "hypertension": (0.008, 0.07, 0.18, 0.22),
    "diabetes": (0.005, 0.045, 0.10, 0.11),
    "coronary": (0.001, 0.018, 0.065, 0.11),
    "stroke": (0.001, 0.010, 0.040, 0.075),
    "copd": (0.000, 0.006, 0.025, 0.045),
    "ckd": (0.0008, 0.003, 0.007, 0.010),
    "ckd_dialysis": (0.0006, 0.002, 0.0035, 0.002),
    "cancer": (0.0015, 0.009, 0.020, 0.020),
    "hepatitis_b": (0.003, 0.008, 0.008, 0.004),
    "psychosis": (0.003, 0.005, 0.004, 0.002),
    "rheumatoid": (0.001, 0.006, 0.010, 0.008),
    "lupus": (0.001, 0.001, 0.001, 0.000),
    "parkinson": (0.000, 0.001, 0.006, 0.013),
    "epilepsy": (0.002, 0.002, 0.002, 0.002),
    "glaucoma": (0.0005, 0.002, 0.006, 0.010),
    "psoriasis": (0.001, 0.002, 0.002, 0.001),
    "transplant": (0.0003, 0.0008, 0.0006, 0.0001),
    "hemophilia": (0.0003, 0.0001, 0.0001, 0.0),
}


@dataclass
class Population:
    """People as arrays of one length.

    Attributes
    ----------
    female : ndarray of bool
    birth : ndarray of int64
        Day of birth, days since 1970.
    insurance : ndarray of int8
        Index into ``INSURANCE``.
    district, household, employer : ndarray of int
        An employer of -1 means none.
    block : ndarray of int
        Neighbourhood; people of one block are neighbours.
    phone : ndarray of int64
        Number standing for a telephone; relatives may share it.
    certificates : ndarray of bool, shape (people, certificates)
    death : ndarray of int64
        Day of death; a day far away for the living.
    chronic_rate, acute_rate, pharmacy_rate, stay_rate : ndarray of float
        Expected visits a month.
    block_x, block_y : ndarray of float
        Where the neighbourhoods are.
    """

    female: np.ndarray
    birth: np.ndarray
    insurance: np.ndarray
    district: np.ndarray
    household: np.ndarray
    employer: np.ndarray
    block: np.ndarray
    phone: np.ndarray
    certificates: np.ndarray
    death: np.ndarray
    chronic_rate: np.ndarray
    acute_rate: np.ndarray
    pharmacy_rate: np.ndarray
    stay_rate: np.ndarray
    block_x: np.ndarray
    block_y: np.ndarray

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.female)

    def age(self, patient: np.ndarray, day: np.ndarray | int) -> np.ndarray:
        """Age in years of people on a day."""
        return (np.asarray(day) - self.birth[patient]) / 365.25

    def alive(self, patient: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether people were alive at a moment."""
        return np.asarray(second) < (self.death[patient] + 1) * DAY


def _households(n: int, rng: np.random.Generator) -> np.ndarray:
    sizes = rng.choice([1, 2, 3, 4, 5], size=n, p=[0.24, 0.30, 0.25, 0.14, 0.07])
    return np.repeat(np.arange(n), sizes)[:n]


def _ages(household: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ages by the pyramid, made plausible inside households: couples, and children 24–36 years younger."""
    n = len(household)
    share = _PYRAMID.cumsum() / _PYRAMID.sum()
    age = np.searchsorted(share, rng.random(n)) * 5 + rng.random(n) * 5
    first = np.concatenate([[True], household[1:] != household[:-1]])
    head = age[np.maximum.accumulate(np.where(first, np.arange(n), 0))]
    head = np.where(head < 20, head + 22, head)
    place = np.arange(n) - np.maximum.accumulate(np.where(first, np.arange(n), 0))
    age = np.where(place == 0, head, age)
    spouse = (place == 1) & (rng.random(n) < 0.7)
    age = np.where(spouse, np.clip(head + rng.normal(-1, 3, n), 20, 94.9), age)
    child = (place == 2) & (rng.random(n) < 0.6) & (head > 24)
    return np.where(child, np.clip(head - rng.uniform(24, 36, n), 0.1, 70), age)


def _health(
    age: np.ndarray, female: np.ndarray, catalogue: Catalogue, rng: np.random.Generator
) -> np.ndarray:
    band = np.digitize(age, [45, 60, 75])
    out = np.zeros((len(age), len(catalogue.certificates)), dtype=bool)
    for name, shares in _PREVALENCE.items():
        p = np.array(shares)[band]
        if name == "lupus":
            p = p * female * 2
        if name == "hemophilia":
            p = p * ~female
        out[:, catalogue.certificates.index(name)] = rng.random(len(age)) < p
    dialysis, ckd = catalogue.certificates.index("ckd_dialysis"), catalogue.certificates.index("ckd")
    if out[:, dialysis].sum() < 4:  # even a village has some dialysis patients
        out[rng.choice(np.flatnonzero(age > 30), 4, replace=False), dialysis] = True
    out[:, ckd] &= ~out[:, dialysis]
    return out


def build_population(
    n: int, districts: int, catalogue: Catalogue, first_day: int, days: int, rng: np.random.Generator
) -> Population:
    """Draw the insured people of a city.

    Parameters
    ----------
    n : int
        People.
    districts : int
    catalogue : Catalogue
    first_day, days : int
        The dataset's first day (days since 1970) and length, for ages and deaths.
    rng : numpy.random.Generator

    Returns
    -------
    Population
    """
    household = _households(n, rng)
    age = _ages(household, rng)
    female = rng.random(n) < 0.5 + 0.08 * (age > 70)
    birth = first_day - np.round(age * 365.25).astype(np.int64)
    u = rng.random(n)
    working = (age >= 20) & (age < 60) & (u < 0.58)
    insurance = np.where(working, 0, np.where((age >= 58) & (u < 0.55), 2, 1)).astype(np.int8)
    insurance[(rng.random(n) < 0.01)] = 3
    employers = max(4, n // 90)
    size = np.cumsum(rng.pareto(1.3, employers) + 0.4)
    employer = np.where(working, np.searchsorted(size, rng.random(n) * size[-1]), -1)
    blocks = max(8, n // 250)
    block = rng.integers(0, blocks, household.max() + 1)[household]
    own = rng.permutation(n) + 1
    head = np.searchsorted(household, household)
    shares_phone = (age < 16) | ((age > 72) & (rng.random(n) < 0.35))
    certificates = _health(age, female, catalogue, rng)
    death = first_day + 40_000 + np.zeros(n, dtype=np.int64)
    yearly = np.where(age < 50, 0.0006, 0.0006 * np.exp((age - 50) / 10.5)) * (
        1 + 1.5 * certificates.any(axis=1)
    )
    dies = rng.random(n) < yearly * (days / 365.0)
    death[dies] = first_day + rng.integers(10, max(11, days), dies.sum())
    sick = certificates.sum(axis=1)
    habit = np.round(rng.gamma(2.6, 1 / 2.6, n), 3)
    acute = (0.42 + 0.5 * (age < 7) + 0.012 * np.clip(age - 40, 0, 45) + 0.10 * female) * habit
    return Population(
        female=female,
        birth=birth,
        insurance=insurance,
        district=(block * 7 + 3) % districts,
        household=household,
        employer=employer,
        block=block,
        phone=np.where(shares_phone, own[head], own),
        certificates=certificates,
        death=death,
        chronic_rate=np.where(
            sick > 0, (3.0 + 1.5 * np.minimum(sick, 4)) * np.round(rng.gamma(6.0, 1 / 6.0, n), 3), 0.0
        ),
        acute_rate=np.where(sick > 0, 0.35, 1.0) * acute,
        pharmacy_rate=0.16 * np.round(rng.gamma(1.5, 1 / 1.5, n), 3),
        stay_rate=(0.003 + 0.00017 * np.clip(age - 35, 0, 60) + 0.0045 * np.minimum(sick, 3))
        * (1.7 + 0.8 * (age < 4)),
        block_x=np.round(rng.random(blocks), 4),
        block_y=np.round(rng.random(blocks), 4),
    )
