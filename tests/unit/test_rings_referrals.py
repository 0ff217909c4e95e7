"""Doctor rings: a planted one is found, and the innocent flows beside it are not."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.features import facts
from fraud.features.scope import Scope
from fraud.rings.referral_flow import dispersion_of
from fraud.rings.referrals import referral_rings
from fraud.schema import TABLES, month_number
from fraud.settings import EngineSettings

LAST = month_number("2025-12")
CLINICS, HOSPITALS = 6, 3
START = dt.datetime(2025, 1, 6, 9)


class Town:
    """Claims of a small town: two doctors in each clinic, three in each hospital."""

    def __init__(self, seed=0, people=600):
        self.rng = np.random.default_rng(seed)
        self.rows = []
        for patient in range(people):
            self.honest(patient)

    def visit(self, patient, doctor, day, cost=100.0, kind="outpatient", diagnosis="I10"):
        start = START + dt.timedelta(days=int(day), minutes=int(self.rng.integers(0, 400)))
        place = doctor.split("-")[0]
        money = Decimal(f"{cost * self.rng.lognormal(0, 0.3):.2f}")
        self.rows.append((f"p{patient:04d}", place, doctor, start, kind, diagnosis, money))

    def honest(self, patient):
        """Own clinic doctor monthly, any hospital doctor now and then."""
        clinic = f"c{patient % CLINICS}-d{patient // CLINICS % 2}"
        for month in range(12):
            if self.rng.random() < 0.5:
                self.visit(patient, clinic, month * 29 + self.rng.integers(0, 20))
        for _ in range(self.rng.poisson(1.5)):
            doctor = f"h{self.rng.integers(HOSPITALS)}-d{self.rng.integers(3)}"
            self.visit(patient, doctor, self.rng.integers(0, 340), 300.0)

    def send(self, sender, receiver, patients, cost=1500.0, kind="outpatient", lag=7):
        """Patients who see the sender, and the receiver some days later."""
        for patient in patients:
            day = int(self.rng.integers(0, 320))
            self.visit(patient, sender, day, kind=kind)
            self.visit(patient, receiver, day + (lag if kind == "outpatient" else 0), cost, kind)

    def write(self, folder, doctors=True, shuffle=False):
        rows = (
            self.rows
            if not shuffle
            else [self.rows[i] for i in np.random.default_rng(1).permutation(len(self.rows))]
        )
        names = (
            "patient_id",
            "institution_id",
            "doctor_id",
            "started_at",
            "visit_type",
            "diagnosis_code",
            "total_amount",
        )
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        order = {row: i for i, row in enumerate(sorted(set(self.rows)))}
        columns["claim_id"] = [f"s{order[row]:06d}" for row in rows]
        columns["fund_amount"] = columns["total_amount"]
        columns["ended_at"] = [s + dt.timedelta(minutes=30) for s in columns["started_at"]]
        if not doctors:
            columns.pop("doctor_id")
        arrays = [pa.array(v).cast(TABLES["claims"][k].arrow) for k, v in columns.items()]
        folder.mkdir()
        pq.write_table(pa.table(arrays, names=list(columns)), folder / "claims.parquet")
        return folder


def found(dataset, work, engine="duckdb"):
    with open_engine(EngineSettings(name=engine), work) as opened:
        opened.open_dataset(dataset)
        claims = facts.build(Scope(opened, months=(LAST,)))
        return referral_rings(opened, LAST - 11, LAST, None, claims)


@pytest.fixture
def town():
    """A ring of two senders, and four innocent flows as large."""
    town = Town()
    town.send("c0-d0", "h0-d0", range(1000, 1020))
    town.send("c1-d1", "h0-d0", range(1020, 1035))
    town.send("c2-d0", "c2-d1", range(1100, 1120))  # one institution
    town.send("h1-d0", "h2-d0", range(1200, 1220), kind="inpatient")  # transfers
    for clinic in range(CLINICS):  # popular with everyone
        for doctor in range(2):
            first = 2000 + 40 * clinic + 20 * doctor
            town.send(f"c{clinic}-d{doctor}", "h1-d1", range(first, first + 12), 300.0)
    return town


@pytest.mark.parametrize(
    "engine", ["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])]
)
def test_ring_is_found_and_innocent_flows_are_not(town, tmp_path, engine):
    rings = found(town.write(tmp_path / "data"), tmp_path / "work", engine)
    assert rings.skipped == {}
    assert len(rings.rings) == 1
    doctors = rings.members[rings.members.member_kind == "doctor"]
    assert dict(zip(doctors.member_id, doctors.role, strict=True)) == {
        "h0-d0": "receiver",
        "c0-d0": "sender",
        "c1-d1": "sender",
    }
    sent = set(rings.members[rings.members.role == "member"].member_id)
    assert {f"p{i:04d}" for i in range(1000, 1035)} <= sent
    assert len(sent) <= 40
    assert list(rings.edges.meetings) >= [15]
    assert (rings.edges.meetings > 5 * rings.edges.expected).all()
    ring = rings.rings.iloc[0]
    assert ring.p_value < 0.01
    assert ring.score > 0.9
    assert ring.claims == len(rings.claims)
    assert ring.amount == pytest.approx(rings.claims.amount.sum())


def test_evidence_names_the_receiver_and_what_was_tried(town, tmp_path):
    evidence = json.loads(found(town.write(tmp_path / "data"), tmp_path / "work").rings.evidence[0])
    assert evidence["organiser"] == {"kind": "doctor", "id": "h0-d0", "role": "receiver"}
    cost = {m["code"]: m for m in evidence["measures"]}["downstream_cost"]
    assert cost["value"] > 2
    assert {e["code"] for e in evidence["explanations"]} == {
        "usual_flow", "only_specialist", "same_institution", "transfer", "follow_up",
    }  # fmt: skip
    assert not any(e["explains"] for e in evidence["explanations"])
    assert all(m["zh"] and m["en"] for m in evidence["measures"])


def test_ordinary_cost_is_no_ring_and_honest_towns_have_none(tmp_path):
    town = Town(seed=3)
    rings = found(town.write(tmp_path / "data"), tmp_path / "work")
    assert rings.rings.empty
    assert rings.tested > 0


def test_order_of_rows_changes_nothing(town, tmp_path):
    one = found(town.write(tmp_path / "a"), tmp_path / "wa")
    two = found(town.write(tmp_path / "b", shuffle=True), tmp_path / "wb")
    for name in ("rings", "members", "claims", "edges"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)


def test_a_chain_is_one_ring(tmp_path):
    town = Town()
    town.send("c0-d0", "h0-d0", range(1000, 1025))
    town.send("h0-d0", "h1-d0", range(1100, 1125))
    rings = found(town.write(tmp_path / "data"), tmp_path / "work")
    assert len(rings.rings) == 1
    doctors = rings.members[rings.members.member_kind == "doctor"]
    assert dict(zip(doctors.member_id, doctors.role, strict=True)) == {
        "h0-d0": "receiver",
        "h1-d0": "receiver",
        "c0-d0": "sender",
    }


def test_without_doctors_it_says_so(town, tmp_path):
    rings = found(town.write(tmp_path / "data", doctors=False), tmp_path / "work")
    assert rings.skipped == {"doctor_ring": ("claims.doctor_id",)}
    assert rings.rings.empty
    assert list(rings.edges.columns)[:4] == ["ring_id", "a", "b", "meetings"]


def test_an_empty_month_is_no_error(town, tmp_path):
    dataset = town.write(tmp_path / "data")
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(dataset)
        claims = facts.build(Scope(engine, months=(LAST,)))
        rings = referral_rings(engine, LAST - 300, LAST - 300, None, claims)
    assert rings.rings.empty


def test_dispersion_is_recovered_from_counts_cut_off_below():
    rng = np.random.default_rng(5)
    expected = rng.gamma(1.0, 3.0, 40_000) + 0.1
    over = rng.poisson(expected * rng.gamma(2.0, 0.5, len(expected))).astype(float)
    assert 1.0 <= dispersion_of(over[over >= 3], expected[over >= 3]) <= 4.0
    even = rng.poisson(expected).astype(float)
    assert dispersion_of(even[even >= 3], expected[even >= 3]) >= 12.0
