"""The monthly script's promises: the same bytes, whole or not there, resumable, nothing looked ahead."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tests.conftest import MONTH, NEXT, train

PARQUET = (
    "claims_scored", "subjects_scored", "suspicions", "rings", "ring_members", "ring_claims", "ring_edges",
)  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    """Contents of a run folder; the manifest without what is measured."""
    found = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
    manifest = json.loads(found["manifest.json"])
    manifest.pop("measured")
    found["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return found


def differing(left: Path, right: Path) -> list[str]:
    mine, theirs = files(left), files(right)
    return sorted(n for n in mine.keys() | theirs.keys() if mine.get(n) != theirs.get(n))


def scraps(folder: Path) -> list[str]:
    """What a killed or failed run left behind."""
    if not folder.exists():
        return []
    return [p.name for p in folder.iterdir() if p.is_dir() and p.name.startswith(".")]


def whole(folder: Path) -> bool:
    """Whether a run folder holds every file of its manifest, unharmed."""
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    named = {o["name"]: o["sha256"] for o in manifest["outputs"]}
    real = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    real.pop("manifest.json")
    return named == real


def test_run_again_touches_nothing(own_model, sample, scored, tmp_path):
    out = shutil.copytree(scored, tmp_path / "runs")
    before = {p: p.stat().st_mtime_ns for p in sorted(out.rglob("*")) if p.is_file()}
    done = own_model.run("score", sample, "--month", NEXT, "--out", out)
    assert done.code == 0, done.err
    assert {p: p.stat().st_mtime_ns for p in sorted((out / NEXT).rglob("*"))} == {
        p: t for p, t in before.items() if p.parent.name == NEXT
    }
    assert "suspicions.xlsx" in done.out


def _wait_until(ready, process: subprocess.Popen, seconds: float = 300) -> bool:
    """Wait for a moment of a run; False where the process ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    raise AssertionError("the moment did not come")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_at_any_moment_then_run_again_gives_the_same_bytes(own_model, sample, scored, tmp_path):
    """Also: with two threads instead of one, and in a process with another hash seed."""
    own_model.settings(threads=2)
    out = tmp_path / "runs"
    moments = {
        "working": lambda: any(out.glob(".work-*/*")),
        "features": lambda: any(out.glob(".work-*/features_*.parquet")),
        "writing": lambda: any(out.glob(f".{MONTH}.part-*/*.parquet")),
    }
    dice = random.Random(20250501)
    for name, ready in moments.items():
        process = own_model.start("score", sample, "--month", MONTH, "--out", out)
        if _wait_until(ready, process):
            time.sleep(dice.random() * (0.2 if name == "writing" else 1.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        final = out / MONTH
        assert not final.exists() or whole(final), name
    process = own_model.start("score", sample, "--month", MONTH, "--out", out)
    _, error = process.communicate()
    assert process.returncode == 0, error
    assert scraps(out) == []
    assert differing(out / MONTH, scored / MONTH) == []


def truncated(dataset: Path, target: Path) -> Path:
    """The dataset as it stood when `MONTH` had ended: no later claim, no later decision."""
    shutil.copytree(dataset, target)
    later = f"TIMESTAMP '{NEXT}-01'"
    early = f"claim_id IN (SELECT claim_id FROM '{dataset}/claims.parquet' WHERE settled_at < {later})"
    for table, keep in {
        "claims": f"settled_at < {later}",
        "lines": early,
        "diagnoses": early,
        "audits": f"decided_at < {later}",
    }.items():
        source = f"SELECT * FROM '{dataset}/{table}.parquet' WHERE {keep}"
        duckdb.sql(source).write_parquet(str(target / f"{table}.parquet"))
    return target


def test_nothing_later_reaches_a_model_or_a_score(place, trained, sample, scored, tmp_path):
    """Later claims and decisions change no byte; and training twice gives the same model."""
    dataset = truncated(sample, tmp_path / "city")
    assert train(place, dataset).code == 0
    assert model_hashes(place.folder) == model_hashes(trained.folder)
    out = tmp_path / "runs"
    done = place.run("score", dataset, "--month", MONTH, "--out", out)
    assert done.code == 0, done.err
    for name in PARQUET:
        file = f"{name}.parquet"
        assert (out / MONTH / file).read_bytes() == (scored / MONTH / file).read_bytes(), name


def model_hashes(folder: Path) -> dict[str, str]:
    """Hashes of the files of the one model in a store."""
    import hashlib

    (model,) = (p.parent for p in folder.glob("models/**/model/about.json"))
    return {
        str(p.relative_to(model)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(model.rglob("*"))
        if p.is_file()
    }


CLAIM_COLUMNS = (
    "claim_id, patient_id, institution_id, department_id, doctor_id, visit_type, started_at, ended_at, "
    "diagnosis_code, total_amount, fund_amount"
)


def thin(sample: Path, target: Path, where: str = "true") -> Path:
    """A dataset of one CSV file with few columns: nothing optional, no audits."""
    target.mkdir()
    source = f"SELECT {CLAIM_COLUMNS} FROM '{sample}/claims.parquet' WHERE {where} ORDER BY claim_id"
    duckdb.sql(source).write_csv(str(target / "claims.csv"))
    return target


@pytest.fixture(scope="session")
def label_free(once, sample):
    """Runs of one CSV file of claims with a tenth of the month's volume, accepted by name."""
    from tests.conftest import settle

    def fill(folder):
        place = settle(folder / "place")
        few = f"started_at < '{MONTH}-01' OR claim_id[-1] = '0'"
        dataset = thin(sample, folder / "csv", few)
        out = folder / "runs"
        done = place.run("score", dataset, "--month", MONTH, "--out", out, "--allow", "volume_low")
        assert done.code == 0, done.err

    return once("label-free", fill) / "runs" / MONTH


def test_one_csv_file_of_claims_without_labels_is_enough(label_free):
    import pandas as pd

    listed = pd.read_parquet(label_free / "suspicions.parquet")
    assert len(listed) > 0
    assert all(len(r) for r in listed["reasons"])
    claims = pd.read_parquet(label_free / "claims_scored.parquet")
    assert claims["p_supervised"].isna().all()
    assert claims["score"].equals(claims["anomaly"])
    manifest = json.loads((label_free / "manifest.json").read_text(encoding="utf-8"))
    assert any("label-free" in n for n in manifest["notes"])
    assert any("label-free" in n for n in manifest["notes"]) == (
        "label-free" in (label_free / "report.html").read_text(encoding="utf-8")
    )
    assert len(manifest["skipped"]) > 50
    assert all(manifest["skipped"].values())
    assert scraps(label_free.parent) == []


def test_what_was_allowed_is_written_down(label_free):
    manifest = json.loads((label_free / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["allowed"] == ["volume_low"]
    quality = json.loads((label_free / "quality.json").read_text(encoding="utf-8"))
    assert [c["check"] for c in quality["gate"] if not c["passed"]] == ["volume_low"]
    assert "volume_low" in (label_free / "report.html").read_text(encoding="utf-8")


def test_a_check_that_was_not_allowed_still_refuses(place, sample, tmp_path):
    dataset = thin(sample, tmp_path / "csv", f"started_at < '{MONTH}-01' OR claim_id[-1] = '0'")
    out = tmp_path / "runs"
    done = place.run("score", dataset, "--month", MONTH, "--out", out, "--allow", "orphans")
    assert done.code == 3
    assert "--allow volume_low" in done.err
    assert not (out / MONTH).exists()


SMALL_FILES = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from fraud.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files")
def test_a_disk_that_fills_while_features_are_built(place, sample, tmp_path):
    out, dataset = tmp_path / "runs", thin(sample, tmp_path / "csv")
    place.settings("[gate]\nmin_volume_ratio = 0\n")
    parquet = tmp_path / "dataset"
    assert place.run("ingest", dataset, parquet).code == 0
    words = [sys.executable, "-c", SMALL_FILES, 30_000, "score", parquet, "--month", MONTH]
    words += ["--out", out, "--config", place.config]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert "ree disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (out / MONTH).exists()
    assert scraps(out) == []


def test_a_disk_that_fills_while_the_run_is_written(own_model, sample, scored, tmp_path, monkeypatch):
    import errno

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fraud.pipeline.publishing.write_xlsx", full)
    out = shutil.copytree(scored, tmp_path / "runs")
    before = files(out / MONTH)
    own_model.settings("[list]\ncapacity = 5\n")
    done = own_model.run("score", sample, "--month", MONTH, "--out", out)
    assert done.code == 5
    assert "full; free space and run again" in done.err
    assert files(out / MONTH) == before
    assert scraps(out) == []
