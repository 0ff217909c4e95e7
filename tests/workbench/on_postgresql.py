"""Several people at once on PostgreSQL; run by ``test_postgresql`` in a process of its own.

Arguments: address of the database, folder for the run, whether people only check what is there.
"""

import sys
import threading
from pathlib import Path

import pytest

from fraud.settings import WorkbenchSettings
from fraud.workbench.configure import set_up

PEOPLE, CASES, ODD = ("a", "b", "c", "d"), 40, 6


def work(folder: Path) -> None:
    from django.db import connections
    from run_folders import LEARNT, NAMES, write_run

    from fraud.workbench.accounts import save_account
    from fraud.workbench.cases import Given, Refused, act, take_next
    from fraud.workbench.models import Account
    from fraud.workbench.publishing import publish
    from fraud.workbench.scheme_cases import open_cases

    many = [("patient", f"Q{i:03d}", 100.0 + i) for i in range(CASES)]
    run = write_run(folder, "2025-06", many, learnt=True)
    start, published, taken, opened, refused = threading.Barrier(len(PEOPLE)), [], [], [], []
    for name in PEOPLE:
        save_account(name, "senior_auditor", "rivers and 7 mountains", "test")

    def person(name: str) -> None:
        account = Account.objects.get(username=name)
        start.wait()
        published.append(publish(run, name, NAMES).opened)  # all of them at once
        start.wait()
        while (case := take_next(account)) is not None:
            taken.append(case.pk)
            act(case.pk, "clear", account, case.version, Given(reason="season"))
        start.wait()
        for claims in (LEARNT[:3], LEARNT[2:6]):  # all of them want the same claims
            try:
                opened.extend(open_cases(1, claims, account))
            except Refused:
                refused.append(name)
        connections.close_all()

    threads = [threading.Thread(target=person, args=(name,)) for name in PEOPLE]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(published) == [0, 0, 0, CASES], published
    assert len(taken) == len(set(taken)) == CASES, (len(taken), len(set(taken)))
    assert len(opened) == len(set(opened)) == ODD, (opened, refused)
    assert len(refused) == 2 * len(PEOPLE) - 2


def check() -> None:
    from django.db import DatabaseError, connection
    from django.test import Client

    from fraud.workbench import trail
    from fraud.workbench.audits import decisions
    from fraud.workbench.models import Account, Step

    assert trail.verify().whole
    assert Step.objects.count() == 3 * CASES + ODD
    assert [d["outcome"] for d in decisions()] == ["cleared"] * 3 * CASES  # two claims each
    for sql in (
        "UPDATE workbench_step SET actor = 'x'",
        "DELETE FROM workbench_trailentry",
        "TRUNCATE workbench_step",
        "UPDATE workbench_comment SET actor = 'x'",
        "DELETE FROM workbench_verdict",
        "TRUNCATE workbench_attachment",
    ):
        with pytest.raises(DatabaseError, match="written once"):
            connection.cursor().execute(sql)
    client = Client()
    client.force_login(Account.objects.get(username="a"))
    assert client.get("/cases/?state=cleared&q=Q0").status_code == 200
    assert client.get("/cases/1/").status_code == 200
    assert client.get("/schemes/").status_code == client.get("/schemes/1/").status_code == 200
    for query in ("sort=due", "sort=probability&doctor=D1", "due=overdue", "q=Q001-a"):
        assert client.get(f"/cases/?{query}").status_code == 200, query
    assert client.get("/cases/drill/?by=item&state=cleared").status_code == 200


if __name__ == "__main__":
    address, folder, only_check = sys.argv[1:]
    set_up(WorkbenchSettings(database=address, allowed_hosts=("testserver",)))
    if only_check == "no":
        work(Path(folder))
    check()
