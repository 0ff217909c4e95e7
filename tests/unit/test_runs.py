"""The monthly script's promises: whole or not there, one writer, the same bytes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fraud import runs
from fraud.errors import DataError, EngineError, UsageError
from fraud.runs import RUN_TABLES, RunFolder, StageClock
from fraud.runs import folder as folder_module

MONTH = "2026-07"

WRITER = """
import sys, time
from pathlib import Path
from fraud.runs import RunFolder
out, text, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with RunFolder(out, "2026-07") as run:
    for i in range(40):
        (run.part / f"f{i:02d}.txt").write_text(text * 2000)
        time.sleep(pause)
        if i == 0:
            print("writing", flush=True)
    run.write_manifest({"fingerprint": text})
print("done", flush=True)
"""


def write(out: Path, text: str = "a", fail: bool = False) -> None:
    with RunFolder(out, MONTH) as run:
        (run.part / "claims.txt").write_text(text)
        if fail:
            raise DataError("gate failed")
        run.write_manifest({"fingerprint": text, "totals": {"claims": len(text)}}, {"seconds": time.time()})


def whole(out: Path) -> str | None:
    """Fingerprint of the run in place, having checked that it is whole; None where there is none."""
    final = out / MONTH
    if not final.exists():
        return None
    mark = json.loads((final / "manifest.json").read_text())["fingerprint"]
    with RunFolder(out, MONTH) as run:
        assert run.matches(mark)
    return mark


def leftovers(out: Path) -> list[str]:
    return sorted(p.name for p in out.iterdir() if ".part-" in p.name or p.name.endswith(".old"))


def test_publishes_whole_and_leaves_nothing_behind(tmp_path):
    write(tmp_path)
    write(tmp_path, "bb")
    assert whole(tmp_path) == "bb"
    assert (tmp_path / MONTH / "claims.txt").read_text() == "bb"
    assert leftovers(tmp_path) == []


def test_failure_publishes_nothing_and_keeps_the_earlier_run(tmp_path):
    with pytest.raises(DataError):
        write(tmp_path, fail=True)
    assert not (tmp_path / MONTH).exists()
    write(tmp_path)
    with pytest.raises(DataError):
        write(tmp_path, "bb", fail=True)
    assert whole(tmp_path) == "a"
    assert leftovers(tmp_path) == []


def test_leaving_without_a_manifest_publishes_nothing(tmp_path):
    with RunFolder(tmp_path, MONTH) as run:
        (run.part / "x").write_text("x")
    assert not (tmp_path / MONTH).exists()


@pytest.mark.parametrize(("allowed", "published"), [([], False), (["max_future"], True)])
def test_failed_gate_is_never_published_unless_allowed(tmp_path, allowed, published):
    def attempt():
        with RunFolder(tmp_path, MONTH) as run:
            (run.part / "quality.json").write_text('{"passed": false}')
            run.write_manifest({"fingerprint": "x", "allowed": allowed})

    if published:
        attempt()
    else:
        with pytest.raises(DataError, match="gate"):
            attempt()
    assert (tmp_path / MONTH).exists() is published


def test_file_changed_after_the_manifest_is_refused(tmp_path):
    with pytest.raises(EngineError, match=r"x\.txt differs"), RunFolder(tmp_path, MONTH) as run:  # noqa: PT012
        (run.part / "x.txt").write_text("x")
        run.write_manifest({"fingerprint": "x"})
        (run.part / "x.txt").write_text("y")
    assert not (tmp_path / MONTH).exists()


def test_matches_only_the_same_unharmed_run(tmp_path):
    write(tmp_path)
    with RunFolder(tmp_path, MONTH) as run:
        assert run.matches("a")
        assert not run.matches("b")
        (run.final / "claims.txt").write_text("harmed")
        assert not run.matches("a")


@pytest.mark.parametrize("exchange", [True, False], ids=["swap", "two renames"])
def test_killed_at_any_moment_then_completed(tmp_path, exchange):
    script = (
        WRITER if exchange else "import fraud.runs.folder as f\nf._exchange = lambda a, b: False\n" + WRITER
    )
    rng = np.random.default_rng(11)
    write(tmp_path, "first")
    for i in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), f"run{i}", "0.004"], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(float(rng.uniform(0, 0.25)))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert whole(tmp_path) is not None
        assert leftovers(tmp_path) == []
    write(tmp_path, "last")
    assert whole(tmp_path) == "last"


@pytest.mark.parametrize("step", ["part.rename", "final.rename", "rmtree"])
def test_kill_between_the_two_renames_is_recovered(tmp_path, step):
    """Stops the process inside the swap, at each of its steps."""
    write(tmp_path, "first")
    script = f"""
import os, shutil
import fraud.runs.folder as f
from pathlib import Path
f._exchange = lambda a, b: False
real, gone = Path.rename, shutil.rmtree
def rename(self, target):
    if {step!r} == "final.rename" or ({step!r} == "part.rename" and ".part-" in self.name):
        os._exit(9)
    return real(self, target)
def rmtree(path, **rest):
    if {step!r} == "rmtree":
        os._exit(9)
    gone(path, **rest)
Path.rename, f.shutil.rmtree = rename, rmtree
with f.RunFolder(Path({str(tmp_path)!r}), "2026-07") as run:
    (run.part / "claims.txt").write_text("second")
    run.write_manifest({{"fingerprint": "second"}})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    with RunFolder(tmp_path, MONTH):
        pass
    assert whole(tmp_path) == ("second" if step == "rmtree" else "first")
    assert leftovers(tmp_path) == []
    write(tmp_path, "third")
    assert whole(tmp_path) == "third"


def test_second_writer_of_the_month_is_refused_and_other_months_are_not(tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "one", "0.02"], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout.readline() == "writing\n"
    with pytest.raises(UsageError, match="another process"):
        write(tmp_path)
    with RunFolder(tmp_path, "2026-08"):
        pass
    assert writer.stdout.readline() == "done\n"
    writer.wait()
    writer.stdout.close()
    assert whole(tmp_path) == "one"


def test_waiting_writer_gets_its_turn(tmp_path):
    with RunFolder(tmp_path, MONTH), pytest.raises(UsageError), RunFolder(tmp_path, MONTH, wait=0.1):
        pass
    with RunFolder(tmp_path, MONTH, wait=1):
        pass


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"), RunFolder(tmp_path / "file", MONTH):
        pass


def test_exchange_says_when_it_cannot(tmp_path):
    assert not folder_module._exchange(tmp_path / "absent", tmp_path)


def claims(rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "claim_id": [f"00{i}" for i in range(rows)],
            "month": MONTH,
            "score": [0.1, 0.2, np.nan][:rows],
            "anomaly": 0.5,
            "rule_hits": [["R1"], [], None][:rows],
            "ring_id": "",
            "amount_at_risk": [0.1, 12345678.9, -5.25][:rows],
            "expected_recovery": [0.01, np.nan, 0.0][:rows],
            "unknown": 1,
        }
    )


def test_tables_have_the_contract_columns_and_exact_money(tmp_path):
    path = runs.write_table(claims(), "claims_scored", tmp_path)
    table = pq.read_table(path)
    assert table.schema.equals(RUN_TABLES["claims_scored"].arrow())
    assert [str(v) for v in table["amount_at_risk"].to_pylist()] == ["0.10", "12345678.90", "-5.25"]
    assert table["expected_recovery"].to_pylist()[1] is None
    assert table["score"].null_count == 1
    assert table["p_supervised"].null_count == 3
    assert table["rule_hits"].to_pylist() == [["R1"], [], []]


@pytest.mark.parametrize("name", RUN_TABLES)
def test_empty_tables_have_the_right_schema(tmp_path, name):
    table = pq.read_table(runs.write_table(None, name, tmp_path))
    assert table.num_rows == 0
    assert table.schema.equals(RUN_TABLES[name].arrow())


def test_missing_required_columns_are_named(tmp_path):
    with pytest.raises(ValueError, match="month, score"):
        runs.write_table(claims().drop(columns=["month", "score"]), "claims_scored", tmp_path)


def suspicions() -> pd.DataFrame:
    reason = {
        "code": "x",
        "sentence_zh": "=1+1",
        "sentence_en": "odd",
        "value": np.float64(2),
        "baseline": float("nan"),
        "peer_group": "g",
        "peer_n": 10.0,
        "percentile": 0.99,
        "contribution": 1,
    }
    return pd.DataFrame(
        {
            "rank": [1, 2],
            "suspicion_id": ["S-1", "S-2"],
            "month": MONTH,
            "subject_kind": ["claim", "doctor"],
            "subject_id": ["=HYPERLINK(1)", "0007"],
            "score": [0.5, 0.25],
            "amount_at_risk": [100.0, 10.0],
            "expected_recovery": [50.0, 2.5],
            "status_vs_last_month": "new",
            "reasons": [[reason], []],
            "evidence_claim_ids": [["-1", "2"], []],
            "rationale_hash": "h",
        }
    )


def test_reasons_are_structs(tmp_path):
    row = pq.read_table(runs.write_table(suspicions(), "suspicions", tmp_path))["reasons"].to_pylist()[0][0]
    assert (row["peer_n"], row["baseline"], row["value"], row["own_past"]) == (10, None, 2.0, None)


def test_csv_is_for_spreadsheets(tmp_path):
    path = runs.write_suspicions_csv(suspicions(), tmp_path)
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    frame = pd.read_csv(path, dtype=str)
    assert list(frame.columns) == [c.name for c in RUN_TABLES["suspicions"]]
    assert frame.loc[0, "subject_id"] == "'=HYPERLINK(1)"
    assert frame.loc[1, "subject_id"] == "0007"
    assert frame.loc[0, "evidence_claim_ids"] == "'-1 2"
    assert frame.loc[0, "reasons"].startswith("1. =1+1")


def test_same_frames_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs.write_table(suspicions(), "suspicions", tmp_path / name)
        runs.write_table(claims(), "claims_scored", tmp_path / name)
        runs.write_suspicions_csv(suspicions(), tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_input_facts_count_and_total_exactly(tmp_path):
    import decimal

    import pyarrow as pa

    amounts = [decimal.Decimal("0.10"), decimal.Decimal("0.20"), decimal.Decimal("-0.05")]
    table = pa.table(
        {
            "claim_id": ["1", "2", "3"],
            "total_amount": pa.array(amounts, pa.decimal128(16, 2)),
            "started_at": pa.array(pd.to_datetime(["2026-07-03", None, "2026-07-01"]), pa.timestamp("us")),
        }
    )
    folder = tmp_path / "claims"
    folder.mkdir()
    pq.write_table(table.slice(0, 2), folder / "p0.parquet")
    pq.write_table(table.slice(2), folder / "p1.parquet")
    (facts,) = runs.input_facts({"claims": folder})
    assert (facts["table"], facts["rows"]) == ("claims", 3)
    assert facts["totals"] == {
        "max(started_at)": "2026-07-03 00:00:00",
        "min(started_at)": "2026-07-01 00:00:00",
        "sum(total_amount)": "0.25",
    }
    before = facts["sha256"]
    pq.write_table(table.slice(1), folder / "p1.parquet")
    assert runs.input_facts({"claims": folder})[0]["sha256"] != before


def test_fingerprint_is_of_content_not_of_order():
    assert runs.fingerprint({"a": 1, "b": {2, 3}}) == runs.fingerprint({"b": {3, 2}, "a": 1})
    assert runs.fingerprint({"a": 1}) != runs.fingerprint({"a": 2})
    assert len(runs.code_version()["sha256"]) == 64


def test_history_and_previous_list(tmp_path):
    assert runs.previous_list(tmp_path, MONTH) is None
    assert runs.history(tmp_path, MONTH).empty
    for month in ("2026-05", "2026-06", "2026-07"):
        with RunFolder(tmp_path, month) as run:
            runs.write_table(suspicions(), "suspicions", run.part)
            run.write_manifest({"fingerprint": month, "totals": {"claims": 7}})
    assert runs.history(tmp_path, MONTH)["month"].tolist() == ["2026-05", "2026-06"]
    assert runs.previous_list(tmp_path, MONTH)["expected_recovery"].tolist() == [50.0, 2.5]


def test_clock_measures_stages_and_forwards_progress():
    heard = []
    clock = StageClock(lambda *said: heard.append(said))
    with clock.stage("one", 0, 2):
        clock.progress("inner", 1, 3)
    with pytest.raises(ZeroDivisionError), clock.stage("two"):
        1 / 0  # noqa: B018
    assert heard == [("one", 0, 2), ("inner", 1, 3)]
    assert [s["stage"] for s in clock.measured()["stages"]] == ["one", "two"]
    assert clock.measured()["peak_memory_mb"] > 10
    if sys.platform == "linux":
        assert {"read_mb", "written_mb"} <= set(clock.measured()["stages"][0])
    StageClock().progress("nobody", 0, 1)
