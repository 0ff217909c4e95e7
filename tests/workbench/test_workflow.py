"""Only legal steps are possible, none without what it needs, and people's words stay apart from scores."""

import pytest

from fraud.workbench import trail
from fraud.workbench.cases import Conflict, Given, Refused, act, allowed
from fraud.workbench.models import Account, Case, Step, TrailEntry
from fraud.workbench.roles import PERMISSIONS
from fraud.workbench.workflow import REASONS, START, STATES, TRANSITIONS, Transition, from_state


def complete(step: Transition, before: int = 10_000) -> Given:
    """Everything that a step may ask for."""
    amounts = {"set": 5_000, "lower": before - 1, "adjust": before, "recovered": before}
    return Given(
        reason=next(iter(REASONS[step.reasons])) if step.reasons else "",
        text="说明",
        clause="条例第三十八条",
        amount_cents=amounts.get(step.amount),
        assignee="auditor_2" if step.names else "",
    )


def in_state(case: Case, state: str) -> Case:
    Case.objects.filter(pk=case.pk).update(state=state, amount_cents=10_000)
    case.refresh_from_db()
    return case


@pytest.mark.parametrize("state", STATES)
def test_every_pair_of_state_and_step(case, people, state):
    legal = {t.code for t in from_state(state)}
    for step in TRANSITIONS.values():
        in_state(case, state)
        steps, rows = Step.objects.count(), TrailEntry.objects.count()
        if step.code in legal:
            done = act(case.pk, step.code, people["everything"], case.version, complete(step))
            assert done.state == step.target
            assert (Step.objects.count(), TrailEntry.objects.count()) == (steps + 1, rows + 1)
        else:
            with pytest.raises(Refused):
                act(case.pk, step.code, people["everything"], case.version, complete(step))
            case.refresh_from_db()
            assert case.state == state
            assert (Step.objects.count(), TrailEntry.objects.count()) == (steps, rows)


def test_the_table_is_sound():
    reached, todo = {START}, [START]
    while todo:
        for step in from_state(todo.pop()):
            if step.target not in reached:
                reached.add(step.target)
                todo.append(step.target)
    assert reached == set(STATES)
    assert [s for s in STATES if not from_state(s)] == ["archived"]
    assert {t.permission for t in TRANSITIONS.values()} <= set(PERMISSIONS)
    assert {s for t in TRANSITIONS.values() for s in t.sources} <= set(STATES)


@pytest.mark.parametrize("code", [t.code for t in TRANSITIONS.values() if t.code != "take"])
def test_a_step_without_what_it_needs_is_refused_with_everything_named(case, people, code):
    step = TRANSITIONS[code]
    in_state(case, step.sources[0])
    wanted = sum(
        [bool(step.reasons), step.text, step.clause, step.names, step.amount in ("set", "lower", "recovered")]
    )
    if not wanted:
        act(case.pk, code, people["everything"], case.version)
        return
    with pytest.raises(Refused) as refused:
        act(case.pk, code, people["everything"], case.version)
    assert len(refused.value.problems) == wanted
    case.refresh_from_db()
    assert case.state == step.sources[0]


@pytest.mark.parametrize(
    ("code", "cents"),
    [
        ("confirm", 0),
        ("confirm", -5),
        ("confirm", 10**16),
        ("reduce", 10_000),
        ("reduce", 0),
        ("recover", 10_001),
    ],
)
def test_amounts_out_of_range(case, people, code, cents):
    step = TRANSITIONS[code]
    in_state(case, step.sources[0])
    given = Given(
        reason=next(iter(REASONS[step.reasons])) if step.reasons else "", text="x", amount_cents=cents
    )
    with pytest.raises(Refused):
        act(case.pk, code, people["everything"], case.version, given)


def test_the_reason_other_wants_words(case, people):
    in_state(case, "first_review")
    with pytest.raises(Refused):
        act(case.pk, "clear", people["everything"], case.version, Given(reason="other"))
    assert (
        act(
            case.pk, "clear", people["everything"], case.version, Given(reason="other", text="见病历")
        ).outcome
        == "cleared"
    )


def test_a_whole_case_from_list_to_recovered_with_an_appeal_that_reduces(case, people):
    score, expected = case.score, case.expected_cents
    auditor, senior, head = people["auditor"], people["senior_auditor"], people["head"]
    walk = [
        ("take", auditor, Given()),
        ("want_evidence", auditor, Given(reason="medical_record", text="调病历")),
        ("evidence_in", auditor, Given(text="病历已到")),
        ("confirm", auditor, Given(reason="duplicate_prescription", amount_cents=100_000)),
        ("send", auditor, Given()),
        ("appeal", auditor, Given(text="机构称已退费")),
        ("review_again", auditor, Given()),
        ("reduce", senior, Given(reason="new_evidence", amount_cents=60_000)),
        ("conclude", head, Given(clause="条例第三十八条（二）")),
        ("recover", head, Given(amount_cents=60_000)),
        ("archive", senior, Given()),
    ]
    for action, who, given in walk:
        case = act(case.pk, action, who, case.version, given)
    assert (case.state, case.outcome, case.open) == ("archived", "confirmed", False)
    assert (case.amount_cents, case.recovered_cents) == (60_000, 60_000)
    assert (case.scheme, case.clause) == ("duplicate_prescription", "条例第三十八条（二）")
    assert (case.score, case.expected_cents) == (score, expected)
    reduced = case.steps.get(action="reduce")
    assert (reduced.actor, reduced.amount_before, reduced.amount_after) == ("senior_auditor", 100_000, 60_000)
    assert [s.action for s in case.steps.order_by("id")] == ["listed", *(a for a, _, _ in walk)]
    assert trail.verify().whole


def test_a_withdrawn_suspicion_is_concluded_as_cleared(case, people):
    in_state(case, "second_review")
    everything = people["everything"]
    case = act(case.pk, "withdraw", everything, case.version, Given(reason="clause", text="条款不适用"))
    case = act(case.pk, "conclude", everything, case.version, Given(clause="—"))
    assert (case.outcome, case.amount_cents) == ("cleared", 0)


def test_second_review_takes_somebody_else(case, people):
    senior, head = people["senior_auditor"], people["head"]
    case = act(case.pk, "take", senior, case.version)
    case = act(case.pk, "confirm", senior, case.version, Given(reason="upcoding", amount_cents=5))
    case = in_state(case, "second_review")
    assert "uphold" not in {t.code for t in allowed(case, senior)}
    with pytest.raises(Refused):
        act(case.pk, "uphold", senior, case.version, Given(reason="nothing_new"))
    assert act(case.pk, "uphold", head, case.version, Given(reason="nothing_new")).state == "upheld"


def test_an_auditor_reviews_only_the_own_cases(case, people):
    case = act(case.pk, "assign", people["head"], case.version, Given(assignee="auditor_2"))
    assert case.assignee == people["auditor_2"]
    assert allowed(case, people["auditor"]) == ()
    with pytest.raises(Refused):
        act(case.pk, "clear", people["auditor"], case.version, Given(reason="season"))
    act(case.pk, "clear", people["auditor_2"], case.version, Given(reason="season"))


def test_nobody_is_given_a_case_who_may_not_review(case, people):
    for name in ("read_only", "administrator", "nobody", ""):
        with pytest.raises(Refused):
            act(case.pk, "assign", people["head"], case.version, Given(assignee=name))


def test_what_was_changed_meanwhile_is_not_overwritten(case, people):
    seen = case.version
    act(case.pk, "take", people["auditor"], seen)
    with pytest.raises(Conflict):
        act(case.pk, "take", people["auditor_2"], seen)
    case.refresh_from_db()
    assert case.assignee == people["auditor"]


def test_disabled_accounts_take_no_step(case, people):
    Account.objects.filter(username="auditor").update(is_active=False)
    with pytest.raises(Refused):
        act(case.pk, "take", Account.objects.get(username="auditor"), case.version)
