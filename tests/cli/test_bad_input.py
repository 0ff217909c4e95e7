"""Each kind of bad input at the command line: a clear error or a quarantine row, nothing half-written."""

import gzip

import pyarrow.parquet as pq
import pytest

HEADER = "claim_id,patient_id,institution_id,doctor_id,visit_type,started_at,total_amount,fund_amount\n"
SECRET = "PSN-SECRET-7"
MONTH = "2026-04"


def row(claim, month=4, patient=SECRET, day=5, total="100.00", visit="outpatient", name="d1"):
    return f"{claim},{patient},h1,{name},{visit},2026-{month:02d}-{day:02d},{total},60\n"


def months(per_month=100):
    """Four even months."""
    return [row(f"{m}-{i}", month=m, day=1 + i % 28) for m in (1, 2, 3, 4) for i in range(per_month)]


def dataset(tmp_path, *rows, header=HEADER, encoding="utf-8"):
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "claims.csv").write_bytes((header + "".join(rows)).encode(encoding))
    return folder


REFUSED = {
    "a missing column": (
        [row(1).replace(",60", "")],
        HEADER.replace(",fund_amount", ""),
        "missing: fund_amount",
    ),
    "a wrong type": (
        [row(i, total="many") for i in range(9)],
        HEADER,
        "total_amount is not readable: 9 rows",
    ),
    "an empty file": ([], "", "claims.csv: the file is empty"),
    "a header alone": ([], HEADER, "there is a header and no row"),
    "a claim without a patient, in every row": (
        [row(i, patient="") for i in range(9)],
        HEADER,
        "patient_id is empty",
    ),
}


@pytest.mark.parametrize("verb", ["check", "ingest", "score", "train"])
@pytest.mark.parametrize("case", sorted(REFUSED))
def test_refused_with_3_and_nothing_written(case, verb, place, tmp_path):
    rows, header, message = REFUSED[case]
    folder, out = dataset(tmp_path, *rows, header=header), tmp_path / "out"
    words = {
        "check": [folder],
        "ingest": [folder, out],
        "score": [folder, "--month", MONTH, "--out", out],
        "train": [folder, "--until", MONTH],
    }[verb]
    done = place.run(verb, *words)
    assert done.code == 3
    assert message in done.err
    assert SECRET not in done.err + done.out
    assert not out.exists() or [p.name for p in out.iterdir() if not p.name.startswith(".")] == []
    left = [p.name for p in tmp_path.rglob("*") if "work-" in p.name or ".part" in p.name]
    assert [n for n in left if not n.endswith("lock")] == []


QUARANTINED = {
    "a broken row": ("bad,row\n", "wrong number of fields"),
    "a wrong type": (row("bad", total="many"), "total_amount is not readable"),
    "a future date": (row("bad").replace("2026-04", "2206-04"), "started_at is in the future"),
    "a claim without a patient": (row("bad", patient=""), "patient_id is empty"),
    "a repeated key": (row("4-1", total="7"), "the key claim_id repeats with other values"),
}


@pytest.mark.parametrize("case", sorted(QUARANTINED))
def test_one_bad_row_is_quarantined_with_its_reason(case, place, tmp_path):
    bad, reason = QUARANTINED[case]
    rows = months()
    rows.insert(200, bad)
    place.settings("[gate]\nmax_future = 0.01\n")
    out = tmp_path / "out"
    done = place.run("ingest", dataset(tmp_path, *rows), out)
    assert done.code == 0, done.err + done.out
    assert SECRET not in done.err + done.out
    kept = pq.read_table(out / "quarantine" / "claims.parquet").to_pylist()
    assert {q["reason"] for q in kept} == {reason}
    assert 202 in {q["row"] for q in kept}
    assert pq.read_metadata(out / "claims.parquet").num_rows == 401 - len(kept)
    assert (out / "quality.html").exists()


def test_identical_rows_are_kept_once(place, tmp_path):
    out = tmp_path / "out"
    assert place.run("ingest", dataset(tmp_path, *months(), row("4-1", day=2)), out).code == 0
    assert pq.read_metadata(out / "claims.parquet").num_rows == 400


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8-sig"])
def test_chinese_text_in_the_encodings_of_hospitals(encoding, place, tmp_path):
    out = tmp_path / "out"
    rows = [*months(), row("zh", name="张三")]
    assert place.run("ingest", dataset(tmp_path, *rows, encoding=encoding), out).code == 0
    assert "张三" in pq.read_table(out / "claims.parquet")["doctor_id"].to_pylist()


def test_a_cut_off_archive_is_refused(place, tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    whole = gzip.compress((HEADER + "".join(months())).encode())
    (folder / "claims.csv.gz").write_bytes(whole[: len(whole) // 2])
    done = place.run("ingest", folder, tmp_path / "out")
    assert done.code == 3
    assert "claims.csv.gz" in done.err
    assert not (tmp_path / "out").exists()


def test_a_damaged_parquet_file_is_refused(place, tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    (folder / "claims.parquet").write_bytes(b"PAR1 not really")
    done = place.run("score", folder, "--month", MONTH, "--out", tmp_path / "out")
    assert done.code == 3
    assert "claims.parquet" in done.err


GATES = {
    "a tenth of the usual volume": (
        [*months(100)[:300], *months(10)[30:]],
        "volume_low",
    ),
    "too many bad rows": ([*months(), *(row(f"x{i}", patient="") for i in range(40))], "quarantined"),
    "too many future dates": (
        [*months(), *(row(f"x{i}").replace("2026-04", "2206-04") for i in range(8))],
        "future",
    ),
}


@pytest.mark.parametrize("case", sorted(GATES))
def test_a_failed_gate_publishes_nothing_and_says_where_to_read(case, place, tmp_path):
    rows, check = GATES[case]
    folder, out = dataset(tmp_path, *rows), tmp_path / "out"
    done = place.run("score", folder, "--month", MONTH, "--out", out)
    assert done.code == 3
    page = out / "refused" / MONTH / "quality.html"
    assert f"--allow {check}" in done.err
    assert str(page) in done.err
    assert page.stat().st_size > 1000
    assert SECRET not in done.err
    assert [p.name for p in out.iterdir() if not p.name.startswith(".")] == ["refused"]
    done = place.run("check", folder, "--month", MONTH, "--report", tmp_path / "report")
    assert done.code == 3
    assert f"FAIL {check}" in done.out
    assert (tmp_path / "report" / "quality.html").exists()
