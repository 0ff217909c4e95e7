"""The city: people, providers, catalogue and calendar together, and who goes where."""

from dataclasses import dataclass, field

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, draw_clock, draw_days, make_months, weekday
from fraud.synthetic.catalogue import Catalogue, load_catalogue
from fraud.synthetic.hashing import mix, pick, uniform
from fraud.synthetic.population import Population, build_population
from fraud.synthetic.providers import KINDS, Providers, build_providers
from fraud.synthetic.visits import VISIT_TYPE, Visits

KIND = {name: i for i, name in enumerate(KINDS)}
_GENERIC_ROLES = {
    "tertiary": ["tertiary"],
    "secondary": ["secondary", "private_hospital", "tcm_hospital", "maternity_hospital"],
    "primary": ["community", "clinic"],
    "pharmacy": ["pharmacy"],
}


@dataclass
class City:
    """Everything that does not change from month to month.

    Attributes
    ----------
    seed : int
    months : list of Month
    people : Population
    providers : Providers
    catalogue : Catalogue
    """

    seed: int
    months: list[Month]
    people: Population
    providers: Providers
    catalogue: Catalogue
    _gravity: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def rng(self, *keys: int | str) -> np.random.Generator:
        """Make a generator of its own for one purpose, so that purposes do not disturb each other."""
        words = [int.from_bytes(str(k).encode()[:24], "little") % (2**63) for k in keys]
        return np.random.default_rng(np.random.SeedSequence([self.seed, *words]))

    def gravity(self, place: str) -> tuple[np.ndarray, np.ndarray]:
        """Institutions of a kind or role, and for each neighbourhood the chances of going there.

        Returns
        -------
        institutions : ndarray, shape (k,)
        cdf : ndarray, shape (blocks * k,)
            Row-wise cumulative chances, row b lifted by b so that the whole is sorted.
        """
        if place not in self._gravity:
            roles = _GENERIC_ROLES.get(place, [place])
            where = np.concatenate([self.providers.by_role[r] for r in roles])
            dx = self.people.block_x[:, None] - self.providers.x[None, where]
            dy = self.people.block_y[:, None] - self.providers.y[None, where]
            reach = 0.05 if place in ("primary", "pharmacy", "community", "clinic") else 0.35
            pull = self.providers.weight[where] / (reach * reach + dx * dx + dy * dy)
            cdf = np.cumsum(pull, axis=1)
            cdf = cdf / cdf[:, -1:]
            cdf = np.round(cdf, 9) + np.arange(len(cdf))[:, None]
            self._gravity[place] = where, cdf.ravel()
        return self._gravity[place]

    def choose_institution(
        self, patient: np.ndarray, place: str, rng: np.random.Generator, *, loyal: float = 0.85
    ) -> np.ndarray:
        """Institutions that patients go to: mostly one of their own few, near home.

        Parameters
        ----------
        patient : ndarray of int
        place : str
            A kind of institution or a role of it.
        rng : numpy.random.Generator
        loyal : float
            Share of visits to the patient's usual place.
        """
        where, cdf = self.gravity(place)
        n = len(patient)
        u = rng.random(n)
        slot = np.where(u < loyal, 0, np.where(u < loyal + (1 - loyal) * 0.6, 1, 2))
        chance = uniform(patient, slot, sum(place.encode()), self.seed)
        chance = np.where(slot == 2, rng.random(n), chance)
        row = self.people.block[patient]
        index = np.searchsorted(cdf, row + chance, side="right") - row * len(where)
        return where[np.clip(index, 0, len(where) - 1)]

    def choose_doctor(
        self, department: np.ndarray, patient: np.ndarray, day: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Doctors who see patients: often the usual one, by reputation, and on duty that weekday."""
        start = self.providers.doctor_start
        safe = np.maximum(department, 0)
        count = start[safe + 1] - start[safe]
        weight = np.cumsum(np.concatenate([[0.0], self.providers.doctor_weight]))
        own = rng.random(len(department)) < 0.6
        u = np.where(own, uniform(patient, safe, self.seed + 1), rng.random(len(department)))
        lo, hi = weight[start[safe]], weight[start[safe + 1]]
        doctor = np.searchsorted(weight, lo + u * (hi - lo), side="right") - 1
        doctor = np.clip(doctor, start[safe], start[safe + 1] - 1)
        for _ in range(2):  # off duty two weekdays in five: the next colleague
            off = self.off_duty(doctor, day)
            doctor = np.where(off, start[safe] + (doctor - start[safe] + 1) % np.maximum(count, 1), doctor)
        return np.where(department < 0, -1, doctor).astype(np.int32)

    def off_duty(self, doctor: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Whether doctors are off on the weekday of some days."""
        return uniform(doctor, weekday(day), self.seed + 2) < 0.3

    def place(self, visits: Visits, rng: np.random.Generator) -> Visits:
        """Fill in what the maker of the visits left open: department, doctor, operator, times."""
        v, n = visits, len(visits)
        specialty = self.catalogue.dx_specialty[v.dx]
        department = self.providers.dept_of[v.institution, specialty]
        v.department = np.where(v.department < 0, department, v.department).astype(np.int32)
        pharmacy = self.providers.kind[v.institution] == KIND["pharmacy"]
        v.department[pharmacy] = -1
        doctor = self.choose_doctor(v.department, v.patient, v.start // DAY, rng)
        v.doctor = np.where(v.doctor < 0, doctor, v.doctor).astype(np.int32)
        v.doctor[pharmacy & (v.doctor < 0)] = -1
        v.end = np.maximum(v.end, v.start)
        wait = rng.integers(8 * 60, 95 * 60, n)
        late = rng.random(n) < 0.02
        wait = np.where(late, wait + rng.integers(1, 4, n) * DAY, wait)
        stay_wait = rng.integers(15 * 60, 4 * HOUR, n)
        wait = np.where(v.is_stay, stay_wait, np.where(pharmacy, rng.integers(60, 900, n), wait))
        by_hand = v.out_of_region & (rng.random(n) < 0.5)
        wait = np.where(by_hand, rng.integers(4 * DAY, 70 * DAY, n), wait)
        v.settle = np.where(v.settle > 0, v.settle, v.end + wait)
        v.operator = np.where(v.operator < 0, self.operator_on_duty(v.institution, v.settle, rng), v.operator)
        v.seed = np.where(v.seed == 0, rng.integers(1, 2**63, n).astype(np.uint64), v.seed)
        v.regimen = np.where(v.regimen < 0, v.patient, v.regimen)
        v.child = self.people.age(v.patient, v.start // DAY) < 18
        return v

    def operator_on_duty(
        self, institution: np.ndarray, second: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Operators at the desk: one or two per half day and institution."""
        start = self.providers.operator_start
        count = start[institution + 1] - start[institution]
        half = second // (DAY // 2)
        window = (rng.random(len(institution)) < 0.35).astype(np.int64)
        return (start[institution] + pick(count, institution, half, window, self.seed + 3)).astype(np.int32)

    def visit_times(
        self, month: Month, n: int, rng: np.random.Generator, profile: str = "clinic"
    ) -> np.ndarray:
        """Draw the starting seconds of `n` visits in a month."""
        days = draw_days(month, n, rng, always_open=profile != "clinic")
        return days * DAY + draw_clock(n, rng, profile)

    def age_sex_ok(self, patient: np.ndarray, dx: np.ndarray, day: np.ndarray | int) -> np.ndarray:
        """Whether diagnoses are possible for people of their sex and age."""
        age = self.people.age(patient, day)
        c = self.catalogue
        sex_ok = (c.dx_sex[dx] < 0) | (c.dx_sex[dx] == self.people.female[patient])
        return sex_ok & (age >= c.dx_min_age[dx]) & (age <= c.dx_max_age[dx])

    def own_diagnosis(self, patient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a chronic diagnosis of each patient among the certificates; a common one for the others."""
        c = self.catalogue
        held = self.people.certificates[patient]
        score = np.where(held, rng.random(held.shape) + 1.0, 0.0)
        cert = np.where(held.any(axis=1), score.argmax(axis=1), -1)
        first = np.full(len(c.certificates), c.dx["I10"])
        for i in range(len(c.certificates)):
            options = np.flatnonzero(c.dx_certificate == i)
            first[i] = options[0]
        dx = np.where(cert >= 0, first[np.maximum(cert, 0)], c.dx["Z76.000"])
        cancer = cert == c.certificates.index("cancer")
        kinds = np.array([c.dx[k] for k in ("C34.900", "C18.900", "C16.900", "C50.900")])
        which = kinds[pick(3 + self.people.female[patient].astype(np.int64), patient, self.seed + 4)]
        return np.where(cancer, which, dx).astype(np.int16)


def stable_seed(*keys: np.ndarray | int) -> np.ndarray:
    """Basket seeds from keys: equal keys, equal baskets (never 0)."""
    return mix(*keys) | np.uint64(1)


def build_city(patients: int, months: int, seed: int, start: str) -> City:
    """Draw a city.

    Parameters
    ----------
    patients, months, seed : int
    start : str
        First month, ``YYYY-MM``.
    """
    catalogue = load_catalogue()
    calendar = make_months(start, months)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    districts = int(np.clip(patients // 6_000 + 3, 3, 12))
    days = calendar[-1].first + calendar[-1].days - calendar[0].first
    people = build_population(patients, districts, catalogue, calendar[0].first, days, rng)
    providers = build_providers(patients, districts, catalogue, rng)
    return City(seed, calendar, people, providers, catalogue)


__all__ = ["KIND", "VISIT_TYPE", "City", "build_city", "stable_seed"]
