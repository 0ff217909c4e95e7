# ruff: noqa: E501 (one line per case)
"""Dates, amounts and broken files: ingest's SQL against plain Python."""

import datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.ingest.store import Store, cleaned
from fraud.ingest.text import detect_dialect, detect_encoding, repair
from fraud.settings import EngineSettings

MOMENTS = st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2079, 12, 31)).map(
    lambda m: m.replace(microsecond=0)
)
FORMS = {
    "iso": lambda m: m.isoformat(" "),
    "T": lambda m: m.isoformat(),
    "slashes": lambda m: m.strftime("%Y/%m/%d %H:%M:%S"),
    "loose": lambda m: f"{m.year}/{m.month}/{m.day} {m.hour}:{m:%M:%S}",
    "dots": lambda m: f"{m.year}.{m.month}.{m.day} {m:%H:%M:%S}",
    "stamp": lambda m: m.strftime("%Y%m%d%H%M%S"),
    "spaced": lambda m: m.strftime("%Y%m%d %H:%M:%S"),
    "chinese": lambda m: f"{m.year}年{m.month}月{m.day}日 {m.hour}时{m.minute}分{m.second}秒",
    "chinese_colons": lambda m: f"{m.year}年{m.month:02}月{m.day:02}日 {m:%H:%M:%S}",
    "serial": lambda m: repr((m - datetime.datetime(1899, 12, 30)) / datetime.timedelta(days=1)),
}
DAYS = {
    "iso": "{0:%Y-%m-%d}",
    "slashes": "{0:%Y/%m/%d}",
    "plain": "{0:%Y%m%d}",
    "chinese": "{0.year}年{0.month}月{0.day}日",
    "loose": "{0.year}-{0.month}-{0.day}",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(EngineSettings(memory_limit="300MB", threads=1), tmp_path_factory.mktemp("store"))
    yield store
    store.close()


def apply(store, macro, text):
    return store.connection.execute(f"SELECT {macro}(CAST(? AS VARCHAR))", [text]).fetchone()[0]


@pytest.mark.parametrize("form", sorted(FORMS))
@given(moment=MOMENTS)
@settings(max_examples=25, deadline=None)
def test_every_form_of_a_moment(store, form, moment):
    assert apply(store, "fraud_timestamp", FORMS[form](moment)) == moment


@pytest.mark.parametrize("form", sorted(DAYS))
@given(moment=MOMENTS)
@settings(max_examples=15, deadline=None)
def test_every_form_of_a_day(store, form, moment):
    assert apply(store, "fraud_date", DAYS[form].format(moment)) == moment.date()


@pytest.mark.parametrize(
    "text", ["infinity", "epoch", "now", "2026-02-30", "20261301", "2026", "abc", "12:30", "0", "19", "2026-11-21 25:00:00", "-infinity", "20261121999999"]
)  # fmt: skip
def test_what_is_no_moment_is_null(store, text):
    assert apply(store, "fraud_timestamp", text) is None


@given(st.decimals(min_value=-(10**10), max_value=10**10, places=4))
@settings(max_examples=100, deadline=None)
def test_amounts_round_half_up_as_decimals_do(store, amount):
    expected = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert apply(store, "fraud_amount", str(amount)) == expected
    assert apply(store, "fraud_amount", f"¥{amount:,}") == expected
    if amount > 0:
        assert apply(store, "fraud_amount", f"({amount})") == -expected


@given(st.text(max_size=20))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_a_parser(store, text):
    if "\0" in text:
        return
    for macro in ("fraud_timestamp", "fraud_amount", "fraud_float", "fraud_int", "fraud_bool", "fraud_list"):
        apply(store, macro, text)


@given(st.floats(allow_nan=True, allow_infinity=True))
@settings(max_examples=60, deadline=None)
def test_only_finite_numbers_are_numbers(store, number):
    value = apply(store, "fraud_float", repr(number))
    assert value is None if number != number or abs(number) == float("inf") else value == number


@pytest.mark.parametrize("text", ["", "  ", "NULL", "NaN", "\u3000", "\tN/A ", "\\N", "\xa0"])
def test_what_means_nothing_is_null(store, text):
    sql = cleaned("SELECT CAST(? AS VARCHAR) AS c0, 1 AS z", ["c0"], "z")
    assert store.connection.execute(sql, [text]).fetchone()[0] is None


FIELD = st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n",;|\t"', exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)  # fmt: skip


@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=30),
    broken=st.integers(0, 29),
    kind=st.sampled_from(['x,"y', "x", "a,b,c,d", '"a"b,c,d', 'x,"y\n"z,1']),
)
@settings(max_examples=80, deadline=None)
def test_a_broken_record_never_takes_another_with_it(tmp_path_factory, rows, broken, kind):
    folder = tmp_path_factory.mktemp("repair")
    quoted = [",".join(f'"{v}"' if i % 2 else v for v in row) for i, row in enumerate(rows)]
    lines = [*quoted[:broken], kind, *quoted[broken:]]
    path = folder / "a.csv"
    path.write_text("\n".join(["h1,h2,h3", *lines]) + "\n", encoding="utf-8")
    found = repair(path, ",", 3, folder / "out.csv")
    kept = (folder / "out.csv").read_text(encoding="utf-8").splitlines()
    assert kept == ["h1,h2,h3", *quoted]
    assert found
    assert found[0].row == min(broken, len(rows)) + 2


@given(
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=8, max_size=40),
    st.sampled_from(["utf-8", "gb18030"]),
)
@settings(max_examples=60, deadline=None)
def test_chinese_encodings_are_told_apart(tmp_path_factory, text, encoding):
    path = tmp_path_factory.mktemp("encoding") / "a.csv"
    body = f"编号,名称\n1,{text}\n"
    path.write_bytes(body.encode(encoding))
    try:
        body.encode(encoding).decode("utf-8")
        expected = "utf-8"
    except UnicodeDecodeError:
        expected = "gb18030"
    assert detect_encoding(path) == expected
    assert detect_dialect(path).header == ("编号", "名称")
