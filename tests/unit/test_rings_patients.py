"""Rings: candidates, false-discovery rates, ids over time, words, and the whole on planted towns."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.errors import UsageError
from fraud.rings import find
from fraud.rings.alike import buyers, groups, likeness
from fraud.rings.communities import communities
from fraud.rings.evidence import stability
from fraud.rings.identity import identify
from fraud.rings.meetings import VIEWS
from fraud.rings.model import RingModels, load_models, q_values
from fraud.rings.stages import choose, observe
from fraud.rings.suspects import Suspects, among, company
from fraud.rings.words import explanations, kind
from fraud.schema import month_number
from fraud.settings import EngineSettings, RingSettings
from fraud.synthetic import generate

FIRST, LAST = month_number("2025-01"), month_number("2025-08")


# -- parts -----------------------------------------------------------------------------------------


def test_two_cliques_with_a_bridge_are_two_communities():
    people = np.arange(100, 112)
    pairs = [(i, j) for block in (range(6), range(6, 12)) for i in block for j in block if i < j] + [(5, 6)]
    a, b = np.array(pairs).T
    found = set(communities(people, a, b, np.ones(len(a)), (0.5,)))
    assert found == {tuple(range(100, 106)), tuple(range(106, 112))}


def test_overlapping_candidates_leave_the_better_one():
    candidates = [np.arange(10), np.arange(2, 12), np.arange(20, 30)]
    assert choose(candidates, np.array([0.5, 0.9, 0.4]), np.ones(3)) == [1, 2]


def test_q_values_do_not_depend_on_how_frequent_fraud_is():
    models = RingModels({}, {}, np.sort(np.linspace(0, 0.9, 100)), 1_000_000, {})
    alone = q_values(np.array([0.95]), models, 100_000)[1]
    assert alone[0] == pytest.approx(0.1)  # a tenth of the one innocent crowd allowed for
    many = q_values(np.full(20, 0.95), models, 100_000)[1]
    assert many.max() == pytest.approx(0.1 / 20)


def test_q_values_are_monotone_and_at_most_one():
    models = RingModels({}, {}, np.sort(np.random.default_rng(1).random(500)), 100_000, {})
    score = np.array([0.99, 0.2, 0.9, 0.05])
    _, q = q_values(score, models, 100_000)
    assert (np.diff(q[np.argsort(-score)]) >= 0).all()
    assert q.max() <= 1


def test_a_ring_keeps_its_id_through_joins_and_leaves():
    first = {0: frozenset("abcdef"), 1: frozenset("uvwxyz")}
    named = identify(first, None)
    assert {s for _, s in named.values()} == {"new"}
    before = pd.DataFrame(
        [(named[r][0], "patient", m) for r, own in first.items() for m in sorted(own)],
        columns=["ring_id", "member_kind", "member_id"],
    )
    again = identify({0: frozenset("uvwxy"), 1: frozenset("abcdefgh"), 2: frozenset("klmn")}, before)
    assert again[0] == (named[1][0], "persisting")
    assert again[1] == (named[0][0], "growing")
    assert again[2][1] == "new"


def test_a_candidate_knows_those_that_are_nearly_the_same():
    sets = [np.arange(10), np.arange(9), np.arange(20), np.arange(50, 60)]
    told = stability(sets)
    assert told["stable_7"].tolist() == [1, 1, 0, 0]
    assert told["stable_5"].tolist() == [2, 1, 1, 0]
    assert told["held_by"].tolist() == [1, 1, 0, 0]
    assert told["holds"].tolist() == [0, 0, 2, 0]


def test_suppliers_of_one_fence_are_a_candidate():
    bought = pd.DataFrame({"person": [1, 1, 2, 2, 3, 3, 9], "item": [5, 6, 5, 6, 5, 6, 7]})
    bought = bought.assign(claims=2, many=0)
    usual = pd.DataFrame({"item": [5, 6, 7], "people": [5, 5, 4000], "many": 1})
    suppliers = pd.DataFrame({"fence": [1, 1], "person": [1, 2]})
    alike = buyers(bought, usual, 10_000, lambda people: np.zeros(len(people), dtype=np.int64))
    found = set(groups(alike, suppliers))
    assert (1, 2) in found
    assert (1, 2, 3) in found  # who buys like them joins
    told = likeness([np.array([1, 2, 3]), np.array([1, 9])], alike)
    assert told["alike_claims"].tolist() == pytest.approx([1.0, 0.0], abs=1e-5)
    assert told["kept_claims"].tolist() == pytest.approx([1.0, 0.0])
    assert told["alike_many"].tolist() == [0.0, 0.0]  # nobody took much


def test_company_counts_suspected_partners():
    ties = pd.DataFrame(
        {"person": [1, 2, 3], "place": [1, 1, 1], "first": [0.9, 0.8, 0.1], "place_people": 10}
    )
    ties = ties.assign(top_doctor=[4, 4, 5], top_operator=np.nan, top_item=7)
    none = pd.DataFrame({c: pd.Series(dtype="int64") for c in ("a", "b", "place", "meetings")})
    none = none.assign(expected=0.0, weight=0.0)
    pairs = dict.fromkeys((v.name for v in VIEWS), none)
    pairs["minutes"] = pd.DataFrame(
        {"a": [1, 1], "b": [2, 8], "place": 1, "meetings": 3, "expected": 0.5, "weight": 4.0}
    )
    edges = among(ties, pairs)
    assert len(edges) == 1  # the tie of person 8 is not suspected
    seen = company(Suspects(ties, edges))
    assert seen["near_minutes"].tolist() == pytest.approx([3.2, 3.6, 0.0])
    assert seen["same_doctor"].tolist() == pytest.approx([0.8, 0.9, 0.0])


def _claims(**columns):
    base = {
        "person": [1, 2, 3, 4] * 3,
        "day": np.repeat([10, 38, 66], 4),
        "diagnosis": "I10",
        "household_id": None,
        "employer_id": None,
        "address": None,
        "out_of_region": 0,
        "is_stay": 0,
        "kind": "primary",
    }
    return pd.DataFrame(base | columns)


def test_innocent_reasons_say_how_much_they_explain():
    tried = {e["code"]: e for e in explanations(_claims(household_id=["h1", "h1", "h2", None] * 3))}
    assert tried["family"]["share"] == 0.5
    assert tried["family"]["explains"]
    assert tried["pick_up"]["share"] == 1.0  # every four weeks
    assert tried["dialysis"]["share"] == 0.0
    dialysis = {e["code"]: e for e in explanations(_claims(diagnosis="Z49"))}
    assert dialysis["dialysis"]["explains"]


def test_kinds_follow_the_claims():
    place = [{"member_kind": "institution", "member_id": "x", "role": "pharmacy"}]
    assert kind(_claims(kind="pharmacy"), place) == "pharmacy_ring"
    assert kind(_claims(is_stay=1), place) == "stay_ring"
    assert kind(_claims(out_of_region=1), []) == "away_ring"
    assert kind(_claims(), []) == "tour_ring"


def test_absent_models_are_named(tmp_path):
    with pytest.raises(UsageError, match="reference.json"):
        load_models(tmp_path)


# -- the whole -------------------------------------------------------------------------------------


def _found(dataset, work, **settings):
    with open_engine(EngineSettings(), work) as engine:
        engine.open_dataset(dataset)
        return find(engine, FIRST, LAST, RingSettings(**settings))


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Blatant card pools and doctor rings in a small city."""
    folder = tmp_path_factory.mktemp("rings")
    schemes = ("card_pool", "doctor_patient_ring")
    generate(
        folder / "town", patients=2500, months=8, seed=31, camouflage=0.1, schemes=schemes, prevalence=1.5
    )
    return folder


@pytest.fixture(scope="module")
def rings(town):
    return _found(town / "town", town / "work")


def test_planted_rings_are_found_and_hardly_anybody_else(town, rings):
    groups_ = pd.read_parquet(town / "town" / "truth" / "groups.parquet")
    true = set(groups_.loc[groups_["member_kind"] == "patient", "member_id"])
    named = set(rings.members.loc[rings.members["member_kind"] == "patient", "member_id"])
    assert len(rings.rings) >= 2
    assert len(named & true) >= 0.8 * len(named)


def test_the_frames_hang_together(rings):
    ids = set(rings.rings["ring_id"])
    for frame in (rings.members, rings.claims, rings.edges):
        assert set(frame["ring_id"]) <= ids
    counted = rings.claims.groupby("ring_id").agg(claims=("claim_id", "size"), amount=("amount", "sum"))
    own = rings.rings.set_index("ring_id")
    assert (own["claims"] == counted["claims"].reindex(own.index)).all()
    assert np.allclose(own["amount"], counted["amount"].reindex(own.index))
    patients = rings.members[rings.members["member_kind"] == "patient"].groupby("ring_id").size()
    assert (own["members"] == patients.reindex(own.index)).all()
    assert rings.rings["q_value"].between(0, RingSettings().max_q).all()


def test_evidence_says_who_organised_and_what_was_tried(rings):
    told = json.loads(rings.rings["evidence"].iloc[0])
    assert told["summary_zh"]
    assert told["summary_en"]
    assert told["measures"]
    assert {"dialysis", "family", "clinic_day"} <= {e["code"] for e in told["explanations"]}
    assert set(told["claim_ids"]) == set(
        rings.claims.loc[rings.claims["ring_id"] == rings.rings["ring_id"].iloc[0], "claim_id"]
    )


def test_same_input_same_rings(town, rings):
    again = _found(town / "town", town / "again")
    for name in ("rings", "members", "claims", "edges"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(rings, name))


def test_a_city_without_fraud_has_no_rings(tmp_path):
    generate(tmp_path / "town", patients=1500, months=6, seed=32, schemes=())
    assert len(_found(tmp_path / "town", tmp_path / "work").rings) == 0


def test_months_without_claims_give_no_rings(town, tmp_path):
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(town / "town")
        empty = find(engine, month_number("2019-01"), month_number("2019-03"))
    assert [len(f) for f in (empty.rings, empty.members, empty.claims, empty.edges)] == [0, 0, 0, 0]


def test_months_in_the_wrong_order_are_refused(town, tmp_path):
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(town / "town")
        with pytest.raises(UsageError, match="first month"):
            find(engine, LAST, FIRST)


# -- inputs that break others ----------------------------------------------------------------------


def test_a_dataset_looked_at_in_parts_gives_the_same_ties(tmp_path, monkeypatch):
    from fraud.rings import parts

    generate(tmp_path / "town", patients=300, months=3, seed=3, prevalence=5)
    kept = []
    for at_once in (4_000_000, 500):
        monkeypatch.setattr(parts, "AT_ONCE", at_once)
        with open_engine(EngineSettings(), tmp_path / f"work{at_once}") as engine:
            engine.open_dataset(tmp_path / "town")
            scope = observe(engine, FIRST, FIRST + 2)
            ties = engine.to_arrow(scope["ring_ties"]).to_pandas()
            kept.append(ties.sort_values(["person", "place"], ignore_index=True))
            files = parts.files_of(scope, "ring_ties")
            assert (len(files) > 1) == (at_once == 500)
            assert sum(pq.read_metadata(f).num_rows for f in files) == len(ties)
    pd.testing.assert_frame_equal(*kept)
    assert kept[0]["early_cents"].sum() > 0


def test_a_crowded_shop_a_shared_doctor_and_a_frequent_patient_stay_bounded(tmp_path):
    import datetime as dt

    import pyarrow as pa
    import pyarrow.parquet as pq

    from fraud.schema import TABLES

    rng = np.random.default_rng(5)
    n, begin = 30_000, dt.datetime(2025, 1, 1)
    seconds = np.sort(rng.integers(8 * 3600, 20 * 3600, n)) + rng.integers(0, 28, n) * 86_400
    patient = rng.integers(0, 9_000, n)
    patient[:500] = 77_777  # five hundred visits in a month
    rows = {
        "claim_id": [f"c{i:06d}" for i in range(n)],
        "patient_id": [f"p{p:05d}" for p in patient],
        "institution_id": ["shop"] * n,  # one pharmacy holds everything
        "doctor_id": ["d1"] * n,  # and one doctor's code
        "visit_type": ["pharmacy"] * n,
        "started_at": [begin + dt.timedelta(seconds=int(s)) for s in seconds],
        "total_amount": pa.array([f"{a:.2f}" for a in rng.lognormal(5, 1, n)]).cast(pa.decimal128(16, 2)),
        "fund_amount": pa.array(["10.00"] * n).cast(pa.decimal128(16, 2)),
    }
    schema = pa.schema([f for f in TABLES["claims"].arrow() if f.name in rows])
    (tmp_path / "town").mkdir()
    pq.write_table(pa.table(rows, schema=schema), tmp_path / "town" / "claims.parquet")
    january = month_number("2025-01")
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(tmp_path / "town")
        scope = observe(engine, january - 1, january)  # an empty month before it
        for view in VIEWS:
            queue = engine.to_arrow(scope[f"ring_queue_{view.name}"].count().as_table())[0][0].as_py()
            near = engine.to_arrow(scope[f"ring_near_{view.name}"].count().as_table())[0][0].as_py()
            assert near <= view.steps * queue
        found = find(engine, january - 1, january)
    assert len(found.rings) <= 1
