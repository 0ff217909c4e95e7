"""The audit trail cannot be changed unseen."""

import pytest
from django.db import DatabaseError, connection
from django.test import override_settings

from fraud.workbench import trail
from fraud.workbench.cases import Given, act
from fraud.workbench.models import Step, TrailEntry

TABLE = "workbench_trailentry"


@pytest.fixture
def rows(database):
    """Ten rows, the publication's among them."""
    while (row := trail.record("somebody", "viewed", "case:1", rationale=7)).number < 10:
        pass
    return row.number


def tamper(sql: str) -> None:
    """As somebody would who holds the database file: without the triggers."""
    with connection.cursor() as cursor:
        for event in ("update", "delete"):
            cursor.execute(f"DROP TRIGGER {TABLE}_{event}")
        cursor.execute(sql)


def test_an_untouched_trail_is_whole(rows):
    found = trail.verify()
    assert (found.whole, found.rows, found.head) == (True, 10, TrailEntry.objects.get(number=10).hash)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "else"),
        ("action", "x"),
        ("subject", "case:2"),
        ("details", "{}"),
        ("at", "2020"),
        ("hash", "0" * 64),
    ],
)
def test_a_changed_row_is_named(rows, column, value):
    tamper(f"UPDATE {TABLE} SET {column} = '{value}' WHERE number = 4")
    assert trail.verify().broken == 4


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        (f"DELETE FROM {TABLE} WHERE number = 4", 4),
        (f"DELETE FROM {TABLE} WHERE number = 1", 1),
        (f"DELETE FROM {TABLE} WHERE number > 8", 9),
        (f"DELETE FROM {TABLE}", 1),
        (f"INSERT INTO {TABLE} SELECT 11, at, actor, action, subject, details, hash, hash FROM {TABLE} "
         "WHERE number = 10", 11),
        (f"UPDATE {TABLE} SET number = 20 - number WHERE number IN (9, 10)", 9),
        (f"UPDATE {TABLE} SET previous = '' WHERE number = 6", 6),
    ],
)  # fmt: skip
def test_rows_removed_put_in_or_moved(rows, sql, broken):
    tamper(sql)
    found = trail.verify()
    assert (found.whole, found.broken) == (False, broken)


def test_a_cut_off_end_shows_against_a_noted_head_even_if_the_head_was_cut_too(rows):
    noted = trail.verify().head
    before = TrailEntry.objects.get(number=8).hash
    tamper(f"DELETE FROM {TABLE} WHERE number > 8")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE workbench_trailhead SET number = 8, hash = '{before}'")
    assert trail.verify().whole
    assert trail.verify(expect=noted).broken == 9


def test_a_chain_forged_without_the_secret_does_not_verify(rows):
    with override_settings(SECRET_KEY="x" * 50):
        assert trail.verify().broken == 1


@pytest.mark.parametrize("table", [TABLE, "workbench_step"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET actor = 'x'", "DELETE FROM {}"])
def test_the_database_itself_refuses(rows, table, verb):
    with pytest.raises(DatabaseError, match="written once"), connection.cursor() as cursor:
        cursor.execute(verb.format(table))


@pytest.mark.parametrize("model", [TrailEntry, Step])
def test_the_models_refuse(rows, model):
    row = model.objects.first()
    with pytest.raises(TypeError):
        row.save()
    with pytest.raises(TypeError):
        row.delete()


@pytest.fixture
def decided(case, people):
    """A case with two steps that the trail records."""
    case = act(case.pk, "take", people["auditor"], case.version)
    return act(
        case.pk, "confirm", people["auditor"], case.version, Given(reason="upcoding", amount_cents=900)
    )


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE workbench_step SET amount_after = 9 WHERE action = 'confirm'", "was changed"),
        ("UPDATE workbench_step SET text = 'x' WHERE action = 'take'", "was changed"),
        ("DELETE FROM workbench_step WHERE action = 'confirm'", "is missing"),
        ("UPDATE workbench_step SET action = 'clear' WHERE action = 'listed' AND case_id = 3", "in no row"),
        ("UPDATE workbench_case SET state = 'cleared' WHERE subject_id = 'P1'", "not in the state"),
    ],
)
def test_decisions_changed_behind_the_trail_s_back(decided, sql, why):
    assert trail.verify().whole
    with connection.cursor() as cursor:
        for event in ("update", "delete"):
            cursor.execute(f"DROP TRIGGER workbench_step_{event}")
        cursor.execute(sql)
    assert why in trail.verify().why
