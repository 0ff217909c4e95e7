"""The ring benchmark measures rightly: a tiny city, fake methods, textbook methods on a planted block."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud.engines import open_engine
from fraud.schema import month_number, relation
from fraud.settings import EngineSettings
from fraud.synthetic import generate

FOLDER = Path(__file__).parents[2] / "experiments" / "rings"
# scripts import one another by bare names, which other experiments may use too: leave no trace of ours
OURS = {p.stem for p in FOLDER.glob("*.py")}
OTHERS = {name: sys.modules.pop(name) for name in OURS & set(sys.modules)}
sys.path.insert(0, str(FOLDER))
from measures import Alarm, city_counts, crowd, pooled  # noqa: E402
from methods import alarms_of_rings, known  # noqa: E402
from scale import tile  # noqa: E402
from textbook import TEXTBOOK, CoVisits, densest  # noqa: E402
from truth import LEAST, TrueRing, Truth, true_rings  # noqa: E402

sys.path.remove(str(FOLDER))
for name in OURS:
    sys.modules.pop(name, None)
sys.modules.update(OTHERS)

FIRST = month_number("2025-01")


def ring(name, members, scheme="card_pool", kind="patient_ring"):
    return TrueRing(name, scheme, kind, frozenset(members))


def alarm(members, score=1.0, **rest):
    return Alarm(frozenset(members), score, **rest)


TRUTH = Truth(
    (ring("a", "abcd"), ring("b", "efgh", "ghost_stay"), ring("r", "XYZ", "referral_ring", "doctor_ring")),
    frozenset("i"),
    {"c1": "family_visit", "c2": "family_visit", "c3": "dialysis_shift"},
    1000,
)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    path = tmp_path_factory.mktemp("rings") / "city"
    schemes = ("card_pool", "ghost_stay", "drug_resale", "referral_ring")
    generate(path, patients=1_500, months=6, seed=3, camouflage=0.2, schemes=schemes, prevalence=3.0)
    return path


def test_truth_counts_claims_of_named_members_in_the_window(city):
    truth = true_rings(city, FIRST, FIRST + 5)
    assert {r.scheme for r in truth.rings} == {"card_pool", "ghost_stay", "drug_resale", "referral_ring"}
    assert truth.people == 1_500
    claims = pd.read_parquet(city / "claims.parquet").merge(
        pd.read_parquet(city / "truth" / "claims.parquet"), on="claim_id"
    )
    groups = pd.read_parquet(city / "truth" / "groups.parquet")
    for r in truth.of_kind(doctors=False):
        counts = claims[claims["group_id"] == r.ring_id]["patient_id"].value_counts()
        assert len(r.members) >= LEAST
        assert min(counts[m] for m in r.members) >= (1 if r.scheme == "ghost_stay" else 2)
        assert r.members <= set(groups.loc[groups["group_id"] == r.ring_id, "member_id"])
    everyone = frozenset().union(*(r.members for r in truth.of_kind(doctors=False)))
    assert not everyone & truth.ignored
    assert true_rings(city, FIRST + 60, FIRST + 61).rings == ()


def test_a_perfect_method_is_perfect_and_an_empty_one_finds_nothing(city):
    truth = true_rings(city, FIRST, FIRST + 5)
    perfect = pooled([city_counts(truth, [Alarm(r.members, 1.0, r.kind, 0.01) for r in truth.rings])])
    for figure in ("f1", "matched_f1", "ring_recall", "budget_recall", "doctor_f1", "doctor_ring_recall"):
        assert perfect[figure] == pytest.approx(1.0), figure
    assert perfect["false_alarms"] == 0 and perfect["fdr_at_q_0.05"] == 0
    assert all(s["f1"] == 1 and s["ring_recall"] == 1 for s in perfect["schemes"].values())
    empty = pooled([city_counts(truth, [])])
    assert empty["f1"] == 0 and empty["ring_recall"] == 0 and empty["precision"] is None
    assert empty["alarms_per_100k"] == 0


def test_members_right_anywhere_and_members_matched():
    mixed = pooled([city_counts(TRUTH, [alarm("abce")])])  # e belongs to the other ring
    assert mixed["precision"] == 1 and mixed["recall"] == 4 / 8
    assert mixed["matched_precision"] == 3 / 4 and mixed["matched_recall"] == 3 / 8
    assert mixed["ring_recall"] == 1 / 2  # Jaccard 3/5 with a
    assert mixed["schemes"]["card_pool"]["alarm_precision"] == 3 / 4
    assert mixed["schemes"]["ghost_stay"]["recall"] == 1 / 4


def test_ignored_people_are_neither_right_nor_wrong():
    assert pooled([city_counts(TRUTH, [alarm("abcdi")])])["precision"] == 1
    assert pooled([city_counts(TRUTH, [alarm("i")])])["alarms"] == 0


def test_false_alarms_their_crowd_and_their_q_values():
    wrong = alarm("uvwxa", 0.5, q_value=0.08, claims=frozenset(["c1", "c2", "c3"]))
    right = alarm("efgh", 0.9, q_value=0.01)
    figures = pooled([city_counts(TRUTH, [right, wrong, alarm("XYZ", kind="doctor_ring")])])
    assert figures["false_alarms"] == 1 and figures["crowds"] == {"family_visit": 1}
    assert figures["fdr_at_q_0.05"] == 0 and figures["fdr_at_q_0.1"] == 1 / 2
    assert figures["doctor_f1"] == 1
    assert crowd(TRUTH, alarm("u", claims=frozenset(["c8", "c9", "c1"]))) == "ordinary"
    honest = Truth((), frozenset(), {}, 20_000)
    assert pooled([city_counts(honest, [wrong]), city_counts(honest, [])])["alarms_per_100k"] == 2.5


def test_the_budget_ends_inside_an_alarm():
    # eight true members: four wrong people first, then the half that is left of the next alarm's eight
    alarms = [alarm("uvwx", 3), alarm("abcdefgh", 2)]
    assert pooled([city_counts(TRUTH, alarms)])["budget_recall"] == pytest.approx(4 / 8)


def test_rings_as_frames_become_alarms():
    rings = pd.DataFrame(
        {
            "ring_id": ["r1", "r2"],
            "kind": ["patient_ring", "doctor_ring"],
            "score": [0.9, 0.8],
            "q_value": 0.1,
        }
    )
    members = pd.DataFrame(
        [("r1", "patient", "p"), ("r1", "doctor", "d"), ("r2", "doctor", "d"), ("r2", "patient", "q")],
        columns=["ring_id", "member_kind", "member_id"],
    )
    claims = pd.DataFrame({"ring_id": ["r1"], "claim_id": ["c"]})
    first, second = alarms_of_rings(rings, members, claims)
    assert first.members == {"p"} and first.claims == {"c"}
    assert second.members == {"d"} and second.of_doctors
    assert known("ours:a=1") and known("fraudar")
    with pytest.raises(ValueError, match="naive"):
        known("naive")


def test_a_province_is_many_cities_with_people_of_their_own(city, tmp_path):
    tile(city, tmp_path / "province", 3)
    with open_engine(EngineSettings(), tmp_path) as engine:
        engine.open_dataset(tmp_path / "province")
        claims = relation("claims")
        got = engine.to_arrow(claims.aggregate(n=claims.count(), people=claims.patient_id.nunique()))
    one = pd.read_parquet(city / "claims.parquet", columns=["patient_id"])
    assert got.to_pylist() == [{"n": 3 * len(one), "people": 3 * one["patient_id"].nunique()}]


@pytest.fixture(scope="module")
def planted():
    """200 people at random in 600 sessions; six of them together in 25 sessions of their own."""
    rng = np.random.default_rng(5)
    person, session = rng.integers(0, 200, 3_000), rng.integers(0, 600, 3_000)
    block = np.repeat(np.arange(50, 56), 25), np.tile(np.arange(600, 625), 6)
    person, session = np.concatenate([person, block[0]]), np.concatenate([session, block[1]])
    names = np.array([f"P{i:03d}" for i in range(200)])
    return CoVisits(names, person, session, np.array([f"S{i:05d}" for i in range(len(person))]))


@pytest.mark.parametrize("name", sorted(TEXTBOOK))
def test_textbook_methods_find_a_planted_block(planted, name):
    expected = {f"P{i:03d}" for i in range(50, 56)}
    level = {"shared_visits": 10.0, "louvain": 8.0}.get(name, TEXTBOOK[name].LEVELS[-1])
    found = TEXTBOOK[name](planted).alarms(level)
    assert found[0].members == expected
    assert set(planted.claim[3_000:]) <= found[0].claims
    assert found == TEXTBOOK[name](planted).alarms(level)


def test_greedy_peeling_keeps_the_densest_block():
    row = np.concatenate([np.repeat(np.arange(4), 5), np.arange(4, 30)])
    col = np.concatenate([np.tile(np.arange(5), 4), np.arange(5, 31)])
    rows, density, inside = densest(row, col, np.ones(31))
    assert rows.tolist() == [0, 1, 2, 3]
    assert density == pytest.approx(20 / 9)
    assert inside.sum() == 20
