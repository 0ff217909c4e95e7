"""Upcoding: a doctor starts to write down graver diagnoses than the patients have."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits

# light diagnosis -> graver one that is paid better
GRAVER = {
    "J20.900": "J18.900",
    "J06.900": "J18.900",
    "J18.900": "J96.000",
    "I10": "I50.900",
    "I25.103": "I20.000",
    "I20.000": "I21.900",
    "I69.300": "I63.900",
    "G45.900": "I63.900",
    "H81.300": "G45.900",
    "E11.900": "N18.300",
    "K29.500": "K25.900",
    "K25.900": "K92.200",
    "M54.500": "M51.200",
    "M47.800": "M51.200",
    "N39.000": "R57.200",
    "J44.900": "J96.000",
    "K80.100": "K85.900",
    "I49.900": "I48.900",
    "R51.x00": "G45.900",
    "R07.400": "I20.000",
}


class Upcoding(Scheme):
    """Stays of a few doctors are coded graver from some month on, with the care to match on paper."""

    name, zh = "upcoding", "高套编码"
    share, per_group, hidden = 0.9, 35, 0.9

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a hospital and the departments that code."""
        place = self.institution(group, ("tertiary", "secondary", "secondary", "private_hospital"), rng)
        for role in ("doctor", "second doctor"):
            self.doctor(group, place, rng, ("cardiology", "respiratory", "neurology", "general"), role=role)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits | None:
        """Recode honest stays of the doctors (then of their colleagues) to the graver diagnosis."""
        f, c = group.facts, self.city.catalogue
        graver = np.full(len(c.dx_code), -1)
        for light, grave in GRAVER.items():
            graver[c.dx[light]] = c.dx[grave]
        possible = (honest.visit_type == VISIT_TYPE["inpatient"]) & (graver[honest.dx] >= 0) & ~honest.child
        ours = possible & np.isin(honest.department, [f["doctor_department"], f["second doctor_department"]])
        rows = self.pick_rows(honest, ours, count, rng)
        if len(rows) < count:
            more = self.pick_rows(
                honest, possible & ~ours & (honest.institution == f["place"]), count - len(rows), rng
            )
            rows = np.concatenate([rows, more])
        hands = np.array([f["doctor"], f["second doctor"]])
        own = rng.random(len(rows)) > self.lerp(0.1, 0.6)
        chosen = rng.choice(hands, len(rows))
        honest.doctor[rows] = np.where(own, chosen, honest.doctor[rows])
        honest.department[rows] = np.where(
            own, self.city.providers.doctor_department[chosen], honest.department[rows]
        )
        honest.comorbid[rows] = np.where(
            rng.random(len(rows)) < self.lerp(0.9, 0.5), c.dx["I50.900"], honest.dx[rows]
        )
        honest.dx[rows] = graver[honest.dx[rows]]
        self.mark(honest, rows, group)
        missing = count - len(rows)
        return self._admitted(group, missing, month, rng) if missing > 0 else None

    def _admitted(self, group: Group, count: int, month: Month, rng: np.random.Generator) -> Visits:
        """Admit more patients with light disease, coded grave at once."""
        f = group.facts
        patient = self.recruits(group, count, rng, min_age=52, role="patient")
        n = len(patient)
        start = self.moments(month, n, rng)
        dx = rng.choice([self.city.catalogue.dx[GRAVER[k]] for k in ("I25.103", "J20.900", "G45.900")], n)
        own = rng.random(n) > self.lerp(0.1, 0.6)
        return Visits.make(
            n,
            patient=patient,
            institution=f["place"],
            visit_type=VISIT_TYPE["inpatient"],
            start=start,
            end=(start // DAY + rng.integers(4, 10, n)) * DAY + rng.integers(9 * HOUR, 16 * HOUR, n),
            dx=dx,
            department=np.where(own, f["doctor_department"], -1),
            doctor=np.where(own, f["doctor"], -1),
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Charge the care that goes with the graver code."""
        rows = self.mine(v)
        if not len(rows):
            return o
        c = self.city.catalogue
        menu = c.items_of("monitor", "oxygen", "nurse1", "bloodgas", "bnp", "pct", "consult", "bed_icu")
        each = round(self.lerp(8, 4))
        who = np.repeat(rows, each)
        what = rng.choice(menu, len(who))
        quantity = np.where(np.isin(what, c.items_of("monitor", "oxygen")), rng.integers(6, 24, len(who)), 1)
        graver = c.category_is(o.item, "drug", "surgery", "lab", "exam", "treatment")
        ours = np.zeros(len(v), dtype=bool)
        ours[rows] = True
        o.bad |= ours[o.visit] & graver & (rng.random(len(o)) < 0.25)
        return Orders.concat([o, self.extra(v, who, what, quantity, rng)])
