"""The random slice: drawn the same everywhere, marked as such, exported as such."""

import pytest
from run_folders import SUBJECTS, write_run

from fraud.errors import UsageError
from fraud.suspicion import suspicion_id
from fraud.workbench import random_slice, trail
from fraud.workbench.audits import decisions
from fraud.workbench.books import Mark, Word
from fraud.workbench.cases import Given, act, take_next
from fraud.workbench.marks import marks_of
from fraud.workbench.models import Case, TrailEntry
from fraud.workbench.publishing import publish

MANY = [("patient", f"Q{i}", 100.0 + i) for i in range(20)]


@pytest.fixture
def run(tmp_path):
    """A month of 20 listed patients with 40 claims, of which 8 are drawn."""
    random_slice.choose_share("0.4", "head")
    folder = write_run(tmp_path / "runs", "2025-07", MANY)
    publish(folder, "test", words={"amount": ("费用", "amount")})
    return folder


def test_drawn_claims_are_cases_of_their_own_beside_the_list(run, browser):
    drawn = Case.objects.filter(source="random")
    assert drawn.count() == 8
    assert set(drawn.values_list("subject_kind", flat=True)) == {"claim"}
    assert Case.objects.filter(month="2025-07", source="ranked").count() == 20
    one = drawn.first()
    assert one.suspicion_id == suspicion_id("claim", one.subject_id)
    assert one.top_reason.startswith("随机抽查")
    assert one.steps.get().text == "2025-07 随机抽查"
    page = browser("auditor").get(f"/cases/{one.pk}/")
    assert page.status_code == 200
    assert TrailEntry.objects.filter(action="published").last().details.count('"drawn": 8') == 1
    assert trail.verify().whole


def test_the_draw_is_the_run_s_and_nobody_s_choice(run):
    ids = [f"Q{i}-{x}" for i in range(20) for x in "ab"]
    from fraud.workbench.models import Run

    fingerprint = Run.objects.get(month="2025-07").fingerprint
    again = random_slice.draw(reversed(ids), fingerprint, 8)
    assert set(again) == set(Case.objects.filter(source="random").values_list("subject_id", flat=True))
    assert set(random_slice.draw(ids, "another run", 8)) != set(again)
    counts = dict.fromkeys(ids, 0)
    for i in range(500):
        for claim in random_slice.draw(ids, str(i), 8):
            counts[claim] += 1
    assert all(60 < n < 145 for n in counts.values())  # 100 each, by chance


def test_a_listed_claim_that_is_drawn_keeps_its_place(tmp_path):
    random_slice.choose_share("1", "head")
    publish(write_run(tmp_path / "runs", "2025-07", [("claim", "Z-a", 50.0)]), "test")
    # one claim is drawn of Z-a-a and Z-a-b, none of which is the listed Z-a
    assert Case.objects.filter(month="2025-07").count() == 2
    rows = [{"subject_kind": "claim", "subject_id": "Y-a", "rank": 1, "month": "2025-07"}]
    folder = write_run(tmp_path / "more", "2025-08", [("patient", "Y", 10.0)])
    fingerprint = next(str(i) for i in range(99) if random_slice.draw(["Y-a", "Y-b"], str(i), 1) == ["Y-a"])
    drawn, beside = random_slice.drawn_beside({"Y-a"}, 1, folder, fingerprint, "2025-08")
    random_slice.mark_drawn(rows, drawn)
    assert rows + beside == [
        {"subject_kind": "claim", "subject_id": "Y-a", "rank": 1, "month": "2025-07", "random": True}
    ]


def test_no_share_no_slice(tmp_path):
    publish(write_run(tmp_path, "2025-07", MANY), "test")
    assert not Case.objects.filter(source="random").exists()


def test_a_drawn_claim_with_an_open_case_is_not_drawn_over_it(run, tmp_path):
    one = Case.objects.filter(source="random").first()
    random_slice.choose_share("1", "head")
    publish(write_run(tmp_path / "next", "2025-08", MANY), "test")
    assert Case.objects.filter(subject_id=one.subject_id).count() == 1
    one.refresh_from_db()
    assert one.month == "2025-07"


def test_decisions_say_that_they_were_random(run, people):
    case = Case.objects.filter(source="random").first()
    case = act(case.pk, "take", people["auditor"], case.version)
    act(case.pk, "clear", people["auditor"], case.version, Given(reason="records_support"))
    assert [(d["subject_id"], d["reason"]) for d in decisions()] == [(case.subject_id, "random")]


def test_a_cleared_one_keeps_reason_and_end_and_comes_back_marked(run, people, tmp_path, browser):
    case = Case.objects.filter(source="random").first()
    case = act(case.pk, "take", people["auditor"], case.version)
    case = act(case.pk, "clear", people["auditor"], case.version, Given(reason="chemotherapy"))
    random_slice.choose_share("1", "head")
    publish(write_run(tmp_path / "next", "2025-08", [*MANY, *SUBJECTS]), "test")
    new = Case.objects.filter(subject_id=case.subject_id).exclude(pk=case.pk).first()
    if new is None:  # not drawn again: draw until it is
        folder = write_run(tmp_path / "again", "2025-09", MANY[:1])
        row = random_slice._row(
            {"claim_id": case.subject_id, "month": "2025-09", "score": 0.1, "amount_at_risk": 1,
             "expected_recovery": 1}, case,
        )  # fmt: skip
        assert row["status_vs_last_month"] == "previously_cleared"
        assert folder.is_dir()
    else:
        assert new.status == "previously_cleared"
    case.refresh_from_db()
    assert (case.outcome, case.steps.get(action="clear").reason) == ("cleared", "chemotherapy")
    assert case.decided_at is not None


def test_marks_of_what_listed_a_case(run):
    ranked = Case.objects.get(subject_id="Q3")
    own = set(Mark.objects.filter(case=ranked).values_list("kind", "code"))
    assert own == {
        ("rule", "P-DUP-DRUG"),
        ("detector", "rules"),
        ("detector", "anomaly"),
        ("reason", "amount"),
    }
    drawn = Case.objects.filter(source="random").first()
    assert set(Mark.objects.filter(case=drawn).values_list("kind", "code")) == {("detector", "random")}
    assert Word.objects.get(pk="amount").zh == "费用"
    ring = {"subject_kind": "ring", "reasons": [], "rank": 1}
    assert marks_of(ring, [], []) == {("detector", "rings")}
    claim = {"subject_kind": "claim", "rank": 1, "reasons": [{"code": "x", "contribution": 1.0}]}
    snoozed = [{"rule": "R", "snoozed": True}]
    assert marks_of(claim, [{"p_supervised": 0.1}], snoozed) == {("detector", "supervised"), ("reason", "x")}


@pytest.mark.parametrize("told", ["", "x", "-1", "1.5", "nan"])
def test_shares_that_are_none(database, told):
    with pytest.raises(UsageError):
        random_slice.choose_share(told, "head")


@pytest.mark.parametrize(("share", "every"), [("0.05", 21), ("0.25", 5), ("1", 2)])
def test_take_next_serves_the_slice_in_the_head_s_proportion(people, tmp_path, share, every):
    random_slice.choose_share("1", "head")
    many = [("patient", f"Q{i:02d}", 100.0 + i) for i in range(60)]
    publish(write_run(tmp_path / "runs", "2025-07", many), "test")
    random_slice.choose_share(share, "head")
    Case.objects.filter(month="2025-06").update(state="first_review")
    auditors = [people["auditor"], people["auditor_2"]]
    served = [take_next(auditors[n % 2]).source for n in range(63)]  # whoever asks
    assert [n for n, source in enumerate(served, 1) if source == "random"] == list(range(every, 64, every))


def test_the_slice_is_served_by_the_draw_and_not_by_the_score(people, run):
    random_slice.choose_share("1", "head")
    took = []
    while case := take_next(people["auditor"]):  # neither of the two kinds keeps the other back
        took.append(case)
    drawn = [c.suspicion_id for c in took if c.source == "random"]
    assert len(drawn) == 8
    assert drawn == sorted(drawn)
    assert len(took) == 32


def test_without_a_share_the_slice_comes_last(people, run):
    random_slice.choose_share("0", "head")
    sources = []
    while case := take_next(people["auditor"]):
        sources.append(case.source)
    assert sources == ["ranked"] * 24 + ["random"] * 8


def test_a_listed_claim_that_was_drawn_keeps_its_place(people, tmp_path):
    random_slice.choose_share("0", "head")
    publish(write_run(tmp_path / "runs", "2025-07", [("claim", "Z", 9e6), ("claim", "Y", 8e6)]), "test")
    Case.objects.filter(subject_id="Z").update(source="random")
    assert [take_next(people["auditor"]).subject_id for _ in "12"] == ["Z", "Y"]
