# ruff: noqa: E501 (one line per case)
"""Pseudonyms: the SQL and the Python forms agree, kinds are separate, nothing leaks."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import UsageError
from fraud.ingest.store import Store
from fraud.privacy import (
    KEY_VARIABLE,
    PREFIXES,
    RedactingFilter,
    key_pads,
    kind_of,
    pseudonym,
    pseudonym_key,
    redact,
    suppress,
)
from fraud.settings import EngineSettings

KEYS = st.binary(min_size=16, max_size=100)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(EngineSettings(memory_limit="300MB", threads=1), tmp_path_factory.mktemp("store"))
    yield store
    store.close()


@given(value=VALUES, key=KEYS, kind=st.sampled_from(sorted(PREFIXES)))
@settings(max_examples=80, deadline=None)
def test_sql_and_python_give_the_same_pseudonym(store, value, key, kind):
    sql = "SELECT fraud_keyed(CAST(? AS VARCHAR), CAST(? AS VARCHAR), CAST(? AS VARCHAR), CAST(? AS BLOB), CAST(? AS BLOB))"
    row = store.connection.execute(sql, [value, kind, PREFIXES[kind], *key_pads(key)]).fetchone()
    assert row[0] == pseudonym(value, kind, key)


@given(VALUES, VALUES, KEYS)
@settings(max_examples=100)
def test_different_values_and_kinds_differ(one, other, key):
    assert (pseudonym(one, "patient", key) == pseudonym(other, "patient", key)) == (one == other)
    assert pseudonym(one, "patient", key)[1:] != pseudonym(one, "doctor", key)[1:]


@given(VALUES, KEYS)
@settings(max_examples=50)
def test_a_pseudonym_is_text_a_spreadsheet_leaves_alone(value, key):
    made = pseudonym(value, "phone", key)
    assert made[0].isalpha()
    assert len(made) == 25


def test_kinds_by_column_name():
    assert kind_of("patient_id") == "patient"
    assert kind_of("other_doctor_id") == "doctor"
    assert kind_of("household_id") == "household"
    assert kind_of("address") == "address"
    assert kind_of("invoice_no") is None
    assert kind_of("subject_id") is None


def test_the_key_comes_from_the_environment():
    assert pseudonym_key({}) is None
    assert pseudonym_key({KEY_VARIABLE: "x" * 16}) == b"x" * 16
    with pytest.raises(UsageError, match="at least 16") as error:
        pseudonym_key({KEY_VARIABLE: "hunter2"})
    assert "hunter2" not in str(error.value)


def test_redaction():
    assert redact("mysql://u:pw@h/db?password=abc&x=1") == "mysql://***@h/db?password=***&x=1"
    number = "".join(["330101", "1960", "0102", "0011"])
    assert redact(f"patient {number} phone 138{'0' * 8}") == "patient [id number] phone [phone]"
    assert redact("C00001234 2026-03-05 total 1234.50") == "C00001234 2026-03-05 total 1234.50"
    record = logging.LogRecord("x", logging.INFO, "f", 1, "at %s", ("a://b:c@d",), None)
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "at a://***@d"


@given(st.integers(0, 10**6))
def test_small_counts_are_suppressed(count):
    text = suppress(count)
    assert text == "<5" if 0 < count < 5 else text == str(count)
