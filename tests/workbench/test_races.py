"""Two people at once: no case held by two, no step done twice, no row of the trail lost."""

import threading

from django.db import connections
from run_folders import write_run

from fraud.workbench import trail
from fraud.workbench.cases import Given, Refused, act, take_next
from fraud.workbench.models import Account, Case, Step
from fraud.workbench.publishing import publish


def at_once(*jobs):
    """Run jobs in threads that start together; their results, or what they raised."""
    start, results = threading.Barrier(len(jobs)), [None] * len(jobs)

    def run(place, job):
        start.wait()
        try:
            results[place] = job()
        except Refused as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(i, job)) for i, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_auditors_never_take_one_case(tmp_path):
    many = [("patient", f"Q{i:02d}", 1000.0 + i) for i in range(20)]
    publish(write_run(tmp_path / "runs", "2025-07", many), "test")
    free = Case.objects.filter(state="unassigned").count()

    rounds = threading.Barrier(2)

    def taker(name):
        def take():
            account, taken = Account.objects.get(username=name), []
            for _ in range(free // 2):
                rounds.wait()
                taken.append(take_next(account).pk)
            return taken

        return take

    first, second = at_once(taker("auditor"), taker("auditor_2"))
    assert not set(first) & set(second)
    assert len(first) == len(second) == free // 2
    assert Step.objects.filter(action="take").count() == free
    assert trail.verify().whole


def test_take_next_gives_the_dearest_and_then_nothing(people):
    taken = []
    while (case := take_next(people["auditor"])) is not None:
        taken.append(case.subject_id)
    assert taken == ["R1", "P1", "D1", "C9"]


def test_one_of_two_decisions_about_what_both_saw_counts(case, people):
    case = act(case.pk, "take", people["auditor"], case.version)
    head, auditor = people["head"], people["auditor"]
    results = at_once(
        lambda: act(case.pk, "clear", head, case.version, Given(reason="season")),
        lambda: act(case.pk, "confirm", auditor, case.version, Given(reason="upcoding", amount_cents=5)),
    )
    assert sum(isinstance(r, Refused) for r in results) == 1
    assert case.steps.filter(action__in=["clear", "confirm"]).count() == 1
    assert trail.verify().whole
