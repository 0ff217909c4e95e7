"""Ordinary demand for care: chronic refills, acute illness, pharmacies and hospital stays."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, draw_clock, weekday
from fraud.synthetic.city import City
from fraud.synthetic.hashing import pick, uniform
from fraud.synthetic.visits import VISIT_TYPE, Visits

_AGE_BANDS = np.array([7, 15, 35, 50, 65])
_DAY_SURGERY = ("H25.900", "K40.900", "K63.500", "K64.900", "D17.900", "I83.900", "H35.300")
_TO_TERTIARY = ("oncology", "hematology", "rheumatology", "critical", "infectious")


def _repeat(rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Person indices, each as often as a Poisson draw of its rate says."""
    return np.repeat(np.arange(len(rate)), rng.poisson(rate))


def _draw_diagnoses(
    city: City, month: Month, patient: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw diagnoses by weight, season, sex and band of age."""
    c, people = city.catalogue, city.people
    season = np.array([month.season(s) for s in c.dx_season])
    age = people.age(patient, month.first)
    band = np.digitize(age, _AGE_BANDS) * 2 + people.female[patient]
    out = np.zeros(len(patient), dtype=np.int16)
    middle = np.array([3, 11, 25, 43, 58, 76])
    for b in range(2 * (len(_AGE_BANDS) + 1)):
        rows = np.flatnonzero(band == b)
        fits = (
            ((c.dx_sex < 0) | (c.dx_sex == b % 2))
            & (c.dx_min_age <= middle[b // 2])
            & (c.dx_max_age >= middle[b // 2])
        )
        cdf = np.cumsum(weight * season * fits)
        out[rows] = np.searchsorted(cdf, rng.random(len(rows)) * cdf[-1], side="right")
    return out


def _diagnoses(
    city: City, month: Month, patient: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw diagnoses by weight, season, age and sex; a cold or a fever where nothing else fits."""
    out = _draw_diagnoses(city, month, patient, weight, rng)
    for _ in range(3):
        wrong = np.flatnonzero(~city.age_sex_ok(patient, out, month.first))
        out[wrong] = _draw_diagnoses(city, month, patient[wrong], weight, rng)
    wrong = np.flatnonzero(~city.age_sex_ok(patient, out, month.first))
    out[wrong] = city.catalogue.dx["J06.900"]
    return out


def _institutions(
    city: City, patient: np.ndarray, dx: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """Institutions by the shares of tertiary, secondary and primary care; specialised ones by specialty."""
    c = city.catalogue
    special = np.isin(c.dx_specialty[dx], [c.specialties.index(s) for s in _TO_TERTIARY])
    u = rng.random(len(patient))
    u = np.where(special, u * (shares[0] + shares[1]), u)
    level = np.digitize(u, np.cumsum(shares)[:2])
    out = np.zeros(len(patient), dtype=np.int64)
    for code, place in enumerate(("tertiary", "secondary", "primary")):
        rows = level == code
        out[rows] = city.choose_institution(patient[rows], place, rng)
    for specialty, role, share in (
        ("psychiatry", "psychiatric", 0.75),
        ("ophthalmology", "eye", 0.3),
        ("rehabilitation", "rehab", 0.6),
        ("obstetrics", "maternity_hospital", 0.5),
        ("tcm", "tcm_hospital", 0.3),
    ):
        rows = (c.dx_specialty[dx] == c.specialties.index(specialty)) & (rng.random(len(patient)) < share)
        out[rows] = city.choose_institution(patient[rows], role, rng)
    return out


def usual_place(city: City, patient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Find the one place where a chronic patient is treated, now and then another one."""
    base = uniform(patient, city.seed + 12)
    place = np.where(base < 0.5, 2, np.where(base < 0.82, 1, 0))
    place = np.where(rng.random(len(patient)) < 0.03, rng.integers(0, 3, len(patient)), place)
    institution = np.zeros(len(patient), dtype=np.int64)
    for code, name in enumerate(("tertiary", "secondary", "primary")):
        rows = place == code
        institution[rows] = city.choose_institution(patient[rows], name, rng, loyal=0.975)
    return institution


def chronic_visits(city: City, month: Month, rng: np.random.Generator) -> Visits:
    """Regular visits of certificate holders: mostly the nearby community centre, on habitual weekdays."""
    people = city.people
    patient = _repeat(people.chronic_rate * month.days / 30.4, rng)
    n = len(patient)
    start = city.visit_times(month, n, rng)
    shift = (pick(5, patient, city.seed + 11) - weekday(start // DAY)) % 7
    habitual = rng.random(n) < 0.35
    moved = start + np.where(habitual, shift, 0) * DAY
    start = np.where(moved < month.end, moved, start)
    dx = city.own_diagnosis(patient, rng)
    institution = usual_place(city, patient, rng)
    chronic = rng.random(n) < 0.8
    kind = np.where(chronic, VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"])
    extra = rng.random(n)
    acute = _diagnoses(city, month, patient, city.catalogue.dx_weight_out, rng)
    dx = np.where(chronic | (extra < 0.3), dx, acute)
    return Visits.make(n, patient=patient, institution=institution, visit_type=kind, start=start, dx=dx)


def acute_visits(city: City, month: Month, rng: np.random.Generator) -> Visits:
    """Acute and occasional illness, by season, age and sex."""
    c = city.catalogue
    pull = (
        sum(month.season(s) * w for s, w in zip(c.dx_season, c.dx_weight_out, strict=True))
        / c.dx_weight_out.sum()
    )
    patient = _repeat(city.people.acute_rate * (0.6 + 0.4 * float(pull)) * month.days / 30.4, rng)
    n = len(patient)
    dx = _diagnoses(city, month, patient, c.dx_weight_out, rng)
    urgent = rng.random(n) < 0.06
    start = np.where(urgent, city.visit_times(month, n, rng, "emergency"), city.visit_times(month, n, rng))
    institution = _institutions(city, patient, dx, (0.24, 0.33, 0.43), rng)
    regular = (city.people.chronic_rate[patient] > 0) & (rng.random(n) < 0.85)
    institution[regular] = usual_place(city, patient[regular], rng)
    institution[urgent] = city.choose_institution(patient[urgent], "tertiary", rng, loyal=0.7)
    away = rng.random(n) < 0.012
    institution[away] = city.choose_institution(patient[away], "away", rng)
    kind = np.where(urgent & ~away, VISIT_TYPE["emergency"], VISIT_TYPE["outpatient"])
    return Visits.make(
        n, patient=patient, institution=institution, visit_type=kind, start=start, dx=dx, out_of_region=away
    )


def pharmacy_visits(city: City, month: Month, rng: np.random.Generator) -> Visits:
    """Purchases at pharmacies, for chronic and for small illness."""
    patient = _repeat(city.people.pharmacy_rate * month.days / 30.4, rng)
    n = len(patient)
    dx = np.where(
        rng.random(n) < 0.5,
        city.own_diagnosis(patient, rng),
        _diagnoses(city, month, patient, city.catalogue.dx_weight_out, rng),
    )
    return Visits.make(
        n,
        patient=patient,
        institution=city.choose_institution(patient, "pharmacy", rng, loyal=0.94),
        visit_type=VISIT_TYPE["pharmacy"],
        start=city.visit_times(month, n, rng, "pharmacy"),
        dx=dx,
    )


def stay_lengths(city: City, dx: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Length of stay in days, around what is usual for the diagnosis."""
    usual = city.catalogue.dx_stay[dx]
    return np.maximum(1, np.round(usual * rng.gamma(7.0, 1 / 7.0, len(dx)))).astype(np.int64)


def stays(city: City, month: Month, rng: np.random.Generator) -> Visits:
    """Hospital stays and day surgery; long psychiatric and rehabilitation stays included."""
    c = city.catalogue
    patient = _repeat(city.people.stay_rate * month.days / 30.4, rng)
    n = len(patient)
    dx = _diagnoses(city, month, patient, c.dx_weight_in, rng)
    own = city.own_diagnosis(patient, rng)
    dx = np.where((rng.random(n) < 0.35) & (own != c.dx["Z76.000"]), own, dx)
    institution = _institutions(city, patient, dx, (0.45, 0.5, 0.05), rng)
    away = rng.random(n) < 0.05
    institution[away] = city.choose_institution(patient[away], "away", rng)
    start = city.visit_times(month, n, rng)
    urgent = rng.random(n) < 0.25
    start = np.where(urgent, city.visit_times(month, n, rng, "emergency"), start)
    day = np.isin(dx, [c.dx[k] for k in _DAY_SURGERY]) & (rng.random(n) < 0.6)
    length = np.where(day, rng.integers(0, 2, n), stay_lengths(city, dx, rng))
    leaves = rng.integers(8 * HOUR, 16 * HOUR, n)
    end = (start // DAY + length) * DAY + leaves
    end = np.where(length == 0, start + rng.integers(3 * HOUR, 8 * HOUR, n), end)
    return Visits.make(
        n,
        patient=patient,
        institution=institution,
        start=start,
        end=end,
        dx=dx,
        out_of_region=away,
        visit_type=np.where(day, VISIT_TYPE["day_surgery"], VISIT_TYPE["inpatient"]),
    )


def follow_ups(stayed: Visits, rng: np.random.Generator) -> Visits:
    """Outpatient controls one to three weeks after a stay, in the same department."""
    rows = np.flatnonzero(rng.random(len(stayed)) < 0.3)
    base = stayed.take(rows)
    n = len(base)
    day = base.end // DAY + rng.integers(6, 22, n)
    start = day * DAY + draw_clock(n, rng)
    return Visits.make(
        n,
        patient=base.patient,
        institution=base.institution,
        visit_type=VISIT_TYPE["outpatient"],
        start=start,
        dx=base.dx,
        out_of_region=base.out_of_region,
    )


def ordinary_visits(city: City, month: Month) -> Visits:
    """All ordinary visits that start in a month (controls a little later)."""
    rng = city.rng("demand", month.index)
    stayed = stays(city, month, rng)
    return Visits.concat(
        [
            chronic_visits(city, month, rng),
            acute_visits(city, month, rng),
            pharmacy_visits(city, month, rng),
            stayed,
            follow_ups(stayed, rng),
        ]
    )
