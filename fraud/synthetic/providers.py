"""Institutions, departments, doctors and operators of the synthetic city."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fraud.synthetic.catalogue import Catalogue, read_rows

KINDS = ("tertiary", "secondary", "primary", "pharmacy", "other")
TITLES = ("主任医师", "副主任医师", "主治医师", "住院医师")


class Role(NamedTuple):
    """What institutions of a role have in common; a row of ``data/roles.csv``."""

    kind: str
    private_share: float
    specialties: tuple[str, ...]
    at_least: int
    one_more_per: int  # patients
    beds: int


ROLES: dict[str, Role] = {
    r["role"]: Role(
        r["kind"],
        float(r["private_share"]),
        tuple(r["specialties"].split()),
        int(r["at_least"]),
        int(r["one_more_per"]),
        int(r["beds"]),
    )
    for r in read_rows("roles.csv")
}
_NAMES = {r["specialty"]: r["name"] for r in read_rows("specialties.csv")}


@dataclass
class Providers:
    """Institutions and who works there, as arrays.

    Attributes
    ----------
    kind, role : ndarray of int8
        Index into ``KINDS`` and into the keys of ``ROLES``.
    private : ndarray of bool
    district : ndarray of int
        District of the city; -1 for institutions away.
    beds : ndarray of int
    price_level : ndarray of float
        Price of services against the reference list.
    weight : ndarray of float
        Attractiveness.
    dept_of : ndarray, shape (institutions, specialties)
        Department that treats a specialty; -1 at pharmacies.
    dept_*, doctor_* : ndarray
    doctor_start : ndarray
        Doctors of department d are ``doctor_start[d]`` to ``doctor_start[d + 1]``.
    operator_start : ndarray
        The same for the operators of an institution.
    """

    kind: np.ndarray
    role: np.ndarray
    private: np.ndarray
    district: np.ndarray
    x: np.ndarray
    y: np.ndarray
    beds: np.ndarray
    price_level: np.ndarray
    weight: np.ndarray
    dept_of: np.ndarray
    dept_institution: np.ndarray
    dept_specialty: np.ndarray
    dept_name: list[str]
    doctor_department: np.ndarray
    doctor_title: np.ndarray
    doctor_weight: np.ndarray
    doctor_start: np.ndarray
    operator_start: np.ndarray
    by_role: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of institutions."""
        return len(self.kind)

    def doctors_of(self, institution: int) -> np.ndarray:
        """Doctors who work at an institution."""
        return np.flatnonzero(self.dept_institution[self.doctor_department] == institution)

    def departments_of(self, institution: int) -> np.ndarray:
        """Departments of an institution."""
        return np.flatnonzero(self.dept_institution == institution)


def institution_counts(patients: int) -> dict[str, int]:
    """Institutions of each role in a city of so many insured patients."""
    return {name: role.at_least + patients // role.one_more_per for name, role in ROLES.items()}


def _departments(
    roles: np.ndarray, kinds: np.ndarray, catalogue: Catalogue
) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    specialty = {s: i for i, s in enumerate(catalogue.specialties)}
    institution: list[int] = []
    special: list[int] = []
    names: list[str] = []
    dept_of = np.full((len(roles), len(specialty)), -1, dtype=np.int32)
    for i, role in enumerate(roles):
        listed = list(ROLES.values())[role].specialties
        first = len(institution)
        for name in listed:
            dept_of[i, specialty[name]] = len(institution)
            institution.append(i)
            special.append(specialty[name])
            names.append(_NAMES[name])
        if listed:
            fallback = dept_of[i, specialty["general"]] if "general" in listed else first
            dept_of[i, dept_of[i] < 0] = fallback
    return np.array(institution, dtype=np.int32), np.array(special, dtype=np.int16), names, dept_of


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def build_providers(
    patients: int, districts: int, catalogue: Catalogue, rng: np.random.Generator
) -> Providers:
    """Draw the institutions, departments and doctors of a city.

    Parameters
    ----------
    patients : int
        Insured patients of the city; the number of institutions grows with it.
    districts : int
    catalogue : Catalogue
    rng : numpy.random.Generator

    Returns
    -------
    Providers
    """
    counts = institution_counts(patients)
    role = np.concatenate([np.full(n, i, dtype=np.int8) for i, n in enumerate(counts.values())])
    specs = [list(ROLES.values())[r] for r in role]
    n = len(role)
    kind = np.array([KINDS.index(s.kind) for s in specs], dtype=np.int8)
    private = rng.random(n) < np.array([s.private_share for s in specs])
    away = role == list(ROLES).index("away")
    district = np.where(away, -1, (np.arange(n) + rng.integers(0, districts, n)) % districts)
    beds = np.array([s.beds for s in specs])
    beds = np.round(beds * rng.uniform(0.7, 1.4, n)).astype(np.int64)
    base = np.array([1.0, 0.86, 0.72, 1.0, 0.85])[kind]
    price = np.round(base * np.where(private, rng.uniform(0.95, 1.15, n), rng.uniform(0.97, 1.03, n)), 3)
    weight = np.round(rng.lognormal(0.0, 0.5, n), 3)
    dept_institution, dept_specialty, names, dept_of = _departments(role, kind, catalogue)
    per_dept = np.array([2, 1, 2, 0, 2])[kind[dept_institution]] + rng.integers(0, 3, len(dept_institution))
    doctor_department = np.repeat(np.arange(len(per_dept)), per_dept)
    operators = np.array([6, 4, 2, 2, 2])[kind] + rng.integers(0, 2, n)
    return Providers(
        kind=kind,
        role=role,
        private=private,
        district=district,
        x=np.round(rng.random(n), 4),
        y=np.round(rng.random(n), 4),
        beds=beds,
        price_level=price,
        weight=weight,
        dept_of=dept_of,
        dept_institution=dept_institution,
        dept_specialty=dept_specialty,
        dept_name=names,
        doctor_department=doctor_department.astype(np.int32),
        doctor_title=rng.choice(4, len(doctor_department), p=[0.15, 0.25, 0.35, 0.25]).astype(np.int8),
        doctor_weight=np.round(rng.lognormal(0.0, 0.55, len(doctor_department)), 3),
        doctor_start=_starts(per_dept),
        operator_start=_starts(operators),
        by_role={r: np.flatnonzero(role == i) for i, r in enumerate(ROLES)},
    )
