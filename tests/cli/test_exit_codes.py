"""Exit codes: 2 wrong usage or settings, 3 input data refused, 4 nothing trained yet, 5 engine failure."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import MONTH, Place, command

WRONG_USAGE = {
    "no command of this name": (["guess"], "No such command"),
    "no month": (["score", "DATASET"], "Missing option '--month'"),
    "thirteenth month": (
        ["score", "DATASET", "--month", "2025-13"],
        "'2025-13' is not a month; write YYYY-MM",
    ),
    "month of another form": (["train", "DATASET", "--until", "2025/05"], "'2025/05' is not a month"),
    "no settings file": (
        ["check", "DATASET", "--config", "absent.toml"],
        "absent.toml: no such settings file",
    ),
    "no experiment": (["train", "DATASET", "--until", MONTH, "--experiment", "x.toml"], "x.toml: no such"),
    "no such profile": (["ingest", "DATASET", "OUT", "--profile", "nhsa2"], "canonical, kc2x"),
    "nameless check": (
        ["score", "DATASET", "--month", MONTH, "--out", "OUT", "--allow", "luck"],
        "volume_low",
    ),
    "output is a file": (["score", "DATASET", "--month", MONTH, "--out", "FILE"], "cannot be written"),
}


@pytest.mark.parametrize("case", sorted(WRONG_USAGE))
def test_wrong_usage_is_2_and_says_what_to_write(case, sample, place, tmp_path):
    words, message = WRONG_USAGE[case]
    out, file = tmp_path / "out", tmp_path / "file"
    file.touch()
    names = {"DATASET": sample, "OUT": out, "FILE": file}
    words = [names.get(w, w) for w in words]
    done = command(*words) if "--config" in words or words[0] == "guess" else place.run(*words)
    assert (done.code, message in done.err) == (2, True), done.err
    assert not out.exists() or visible(out) == []


def test_all_wrong_settings_are_named(place, sample):
    place.settings('[list]\ncapacity = 0\ncolour = "red"\n[gate]\nmax_future = 2\n')
    done = place.run("check", sample)
    assert done.code == 2
    for name in ("list.capacity", "list.colour", "gate.max_future"):
        assert f"[{name}]" in done.err
    place.config.write_text("[engine\n")
    assert "not valid TOML" in place.run("check", sample).err


def test_unreadable_memory_limit_is_a_wrong_setting(place, sample):
    place.config.write_text('[engine]\nmemory_limit = "plenty"\n')
    assert place.run("check", sample).code == 2


def test_no_dataset(place, tmp_path):
    for words in (
        ["score", tmp_path / "none", "--month", MONTH],
        ["train", tmp_path / "none", "--until", MONTH],
    ):
        done = place.run(*words, *(["--out", tmp_path / "out"] if words[0] == "score" else []))
        assert done.code == 3
        assert "no such dataset folder" in done.err


def test_missing_columns_are_all_named(place, sample, tmp_path):
    dataset = shutil.copytree(sample, tmp_path / "city")
    drop_columns(dataset, "claims", "fund_amount", "started_at")
    drop_columns(dataset, "lines", "amount")
    for words in (
        ["check"],
        ["train", "--until", MONTH],
        ["score", "--month", MONTH, "--out", tmp_path / "out"],
    ):
        done = place.run(words[0], dataset, *words[1:])
        assert done.code == 3
        for name in ("claims", "fund_amount", "started_at", "lines", "amount"):
            assert name in done.err
    assert visible(tmp_path / "out") == []


def test_month_without_claims(place, sample, tmp_path):
    done = place.run("score", sample, "--month", "2026-01", "--out", tmp_path / "out")
    assert done.code == 3
    assert "no claims were settled in 2026-01; the dataset holds 2025-01 to 2025-06" in done.err
    assert visible(tmp_path / "out") == []
    done = place.run("train", sample, "--until", "2024-06")
    assert done.code == 3
    assert "2024-06" in done.err


def test_audited_data_without_a_model(place, sample, tmp_path):
    done = place.run("score", sample, "--month", MONTH, "--out", tmp_path / "out")
    assert done.code == 4
    assert "Train one with `fraud train`" in done.err
    assert visible(tmp_path / "out") == []


def test_unknown_model(own_model, sample, tmp_path):
    done = own_model.run("score", sample, "--month", MONTH, "--out", tmp_path / "out", "--model", "7")
    assert done.code == 4
    assert "version 7: it has versions 1" in done.err
    assert visible(tmp_path / "out") == []


def test_data_that_lost_columns_since_training(own_model, sample, tmp_path):
    dataset = shutil.copytree(sample, tmp_path / "city")
    drop_columns(dataset, "claims", "doctor_id")
    drop_columns(dataset, "doctors")
    done = own_model.run("score", dataset, "--month", MONTH, "--out", tmp_path / "out")
    assert done.code == 4
    assert "doctor_" in done.err
    assert visible(tmp_path / "out") == []


def test_too_little_memory_is_an_engine_failure(place: Place, sample, tmp_path):
    place.config.write_text('[engine]\nmemory_limit = "4MB"\nthreads = 1\n')
    done = place.run("check", sample)
    assert done.code == 5
    assert "memory_limit" in done.err


def drop_columns(dataset, table, *columns):
    """Rewrite a table without columns; without any named, remove the table."""
    path = dataset / f"{table}.parquet"
    if not columns:
        path.unlink()
        return
    data: pa.Table = pq.read_table(path)
    pq.write_table(data.drop_columns(list(columns)), path)


def visible(folder):
    """What a person sees in a folder of runs."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
