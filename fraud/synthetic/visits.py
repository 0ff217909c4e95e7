"""Visits: what happened, before anything is charged. One array per field."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fraud.schema import VISIT_TYPES

VISIT_TYPE = {name: i for i, name in enumerate(VISIT_TYPES)}
STAY_CODES = np.array([VISIT_TYPE[n] for n in ("inpatient", "day_surgery", "maternity")])

# field -> (dtype, value when the maker of the visit says nothing)
FIELDS: dict[str, tuple[Any, Any]] = {
    "patient": (np.int32, -1),
    "institution": (np.int32, -1),
    "department": (np.int32, -1),
    "doctor": (np.int32, -1),
    "operator": (np.int32, -1),  # -1: whoever is on duty
    "visit_type": (np.int8, 0),
    "start": (np.int64, 0),  # seconds since 1970
    "end": (np.int64, 0),
    "settle": (np.int64, 0),
    "dx": (np.int16, -1),
    "seed": (np.uint64, 0),  # decides the basket; 0: drawn
    "regimen": (np.int64, -1),  # decides which drugs of a class; -1: the patient's own
    "drug_mult": (np.float32, 1.0),
    "exam_mult": (np.float32, 1.0),  # exams and labs
    "treat_mult": (np.float32, 1.0),
    "supply": (np.float32, 0.0),  # days of medicine wanted; 0: by custom
    "out_of_region": (np.bool_, False),
    "invoice": (np.int64, -1),  # -1: the institution's next number
    "round_to": (np.int32, 0),  # cents the total is a multiple of; 0: none
    "scheme": (np.int8, 0),  # 0 honest, else 1 + index of the scheme
    "group": (np.int32, -1),
    "whole": (np.bool_, False),  # the whole claim should be recovered
    "nuisance": (np.int8, 0),
    "bed": (np.int32, -1),
    "child": (np.bool_, False),  # under 18 on the day
    "comorbid": (np.int16, -1),  # a further diagnosis on the claim
    "serial": (np.int64, -1),
}


class Visits:
    """Columns of visits, all of one length; see ``FIELDS``.

    Examples
    --------
    >>> v = Visits.make(2, patient=[1, 2], dx=0)
    >>> len(v), v.scheme.tolist()
    (2, [0, 0])
    """

    __slots__ = tuple(FIELDS)

    patient: np.ndarray
    institution: np.ndarray
    department: np.ndarray
    doctor: np.ndarray
    operator: np.ndarray
    visit_type: np.ndarray
    start: np.ndarray
    end: np.ndarray
    settle: np.ndarray
    dx: np.ndarray
    seed: np.ndarray
    regimen: np.ndarray
    drug_mult: np.ndarray
    exam_mult: np.ndarray
    treat_mult: np.ndarray
    supply: np.ndarray
    out_of_region: np.ndarray
    invoice: np.ndarray
    round_to: np.ndarray
    scheme: np.ndarray
    group: np.ndarray
    whole: np.ndarray
    nuisance: np.ndarray
    bed: np.ndarray
    child: np.ndarray
    comorbid: np.ndarray
    serial: np.ndarray

    @classmethod
    def make(cls, n: int, **columns: Any) -> "Visits":
        """`n` visits with the given columns (arrays or scalars) and defaults elsewhere."""
        out = cls()
        for name, (dtype, default) in FIELDS.items():
            value = columns.pop(name, default)
            array = np.empty(n, dtype=dtype)
            array[...] = value
            setattr(out, name, array)
        if columns:
            raise TypeError(f"unknown visit fields: {sorted(columns)}")
        return out

    @classmethod
    def concat(cls, parts: Sequence["Visits"]) -> "Visits":
        """All visits of the parts, in order."""
        if not parts:
            return cls.make(0)
        out = cls()
        for name in FIELDS:
            setattr(out, name, np.concatenate([getattr(p, name) for p in parts]))
        return out

    def take(self, rows: np.ndarray) -> "Visits":
        """Rows by index or mask, as a copy."""
        out = Visits()
        for name in FIELDS:
            setattr(out, name, getattr(self, name)[rows])
        return out

    def put(self, rows: np.ndarray, **columns: Any) -> None:
        """Change columns of some rows in place."""
        for name, value in columns.items():
            getattr(self, name)[rows] = value

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def is_stay(self) -> np.ndarray:
        """Which visits are stays (a bed is used)."""
        return np.isin(self.visit_type, STAY_CODES)
