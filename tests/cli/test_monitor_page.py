"""``fraud monitor``: one page from what lies there, nothing from later, no crash where little lies there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.schema import AUDITS
from tests.cli.test_backtest import until
from tests.conftest import MONTH, NEXT, UNTIL, Done, Place

BACKTEST = f"backtest-small-{UNTIL}-{MONTH}"


@pytest.fixture
def runs(scored: Path, backtested: Path, tmp_path: Path) -> Path:
    """Two months and a back-test, of one's own."""
    out = tmp_path / "runs"
    for month in (MONTH, NEXT):
        shutil.copytree(scored / month, out / month)
    shutil.copytree(backtested / "runs" / BACKTEST, out / BACKTEST)
    return out


def monitor(place: Place, dataset: Path, out: Path, *words: object) -> Done:
    return place.run("monitor", dataset, "--out", out, *words)


def figures(out: Path, month: str) -> dict:
    return json.loads((out / f"monitor-{month}" / "monitor.json").read_text(encoding="utf-8"))


def outcomes(place: Place, out: Path, confirmed: bool, months: tuple[str, ...] = (MONTH,)) -> Path:
    """A file of decisions about everything that was listed, all alike."""
    listed = pd.concat([pd.read_parquet(out / m / "suspicions.parquet") for m in months])
    rows = [
        {"subject_kind": kind, "subject_id": subject, "outcome": "confirmed" if confirmed else "cleared",
         "reason": "ranked", "decided_at": pd.Timestamp(f"{NEXT}-20 10:00")}
        for kind, subject in zip(listed["subject_kind"], listed["subject_id"], strict=True)
    ]  # fmt: skip
    path = place.folder / "outcomes.parquet"
    pq.write_table(pa.Table.from_pylist(rows, AUDITS.arrow()), path)
    return path


def test_page_and_figures_of_the_latest_month(own_model, sample, runs):
    done = monitor(own_model, sample, runs)
    assert done.code in (0, 3), done.err
    folder = runs / f"monitor-{NEXT}"
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "monitor.html", "monitor.json"]
    told = figures(runs, NEXT)
    assert told["months"] == [MONTH, NEXT]
    assert told["model"]["version"] == "1"
    assert told["age"]["months"] == 2
    assert told["promised"]["roc_auc"]["low"] <= told["promised"]["roc_auc"]["value"]
    assert told["backtest"]["folder"] == BACKTEST
    assert not told["backtest"]["as_it_is"]
    assert {c["code"] for c in told["checks"]} >= {"hit_rate", "ranking_amount", "promise", "drift", "age"}
    page = (folder / "monitor.html").read_text(encoding="utf-8")
    for said in (*(c["zh"] for c in told["checks"]), *(a["zh"] for a in told["advice"])):
        assert said.replace("“", "&#34;")[:12] in page or said[:12] in page
    for anchor in ("verdict", "how", "shifted", "challenger", "burden", "change", "about"):
        assert f'id="{anchor}"' in page
    assert "://" not in page.replace("http://www.w3.org/2000/svg", ""), "nothing is loaded from elsewhere"
    assert "monitor.html" in done.out


def test_again_gives_the_same_bytes(own_model, sample, runs):
    def written() -> list[bytes]:
        monitor(own_model, sample, runs)
        return [(runs / f"monitor-{NEXT}" / n).read_bytes() for n in ("monitor.html", "monitor.json")]

    first = written()
    own_model.settings(threads=2)
    assert written() == first


def cut(dataset: Path, folder: Path, month: str) -> Path:
    """The dataset as it stood when a month ended, audits included."""
    short = until(dataset, folder, month)
    audits = pq.read_table(dataset / "audits.parquet")
    known = audits.to_pandas()["decided_at"] <= pd.Period(month, "M").end_time
    pq.write_table(audits.filter(known.to_numpy()), short / "audits.parquet")
    return short


def reversed_later(dataset: Path, folder: Path, month: str) -> Path:
    """The dataset with every decision reversed after a month's end, and every other claim decided then."""
    shutil.copytree(dataset, folder, ignore=shutil.ignore_patterns("truth"))
    rows = pq.read_table(dataset / "audits.parquet").to_pylist()
    other = {"confirmed": "cleared", "cleared": "confirmed"}
    later = pd.Period(month, "M").end_time + pd.Timedelta(days=9)
    rows += [r | {"outcome": other[r["outcome"]], "decided_at": later.to_pydatetime()} for r in rows]
    known = {r["subject_id"] for r in rows}
    claims = sorted(set(pq.read_table(dataset / "claims.parquet")["claim_id"].to_pylist()) - known)
    late = {"subject_kind": "claim", "outcome": "confirmed", "reason": "random"}
    rows += [late | {"subject_id": c, "decided_at": later.to_pydatetime()} for c in claims]
    schema = pq.read_schema(dataset / "audits.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "audits.parquet")
    return folder


def test_nothing_later_changes_a_byte(own_model, sample, scored, backtested, runs, tmp_path):
    """Later claims, decisions, reversals, runs and back-tests: the page of the month before stays."""
    now = tmp_path / "now"
    shutil.copytree(scored / MONTH, now / MONTH)
    shutil.copytree(runs / BACKTEST, now / BACKTEST)
    monitor(own_model, cut(sample, tmp_path / "short", MONTH), now, "--month", MONTH)
    shutil.copytree(runs / BACKTEST, runs / "backtest-small-2025-04-2025-06")
    manifest = json.loads((runs / BACKTEST / "manifest.json").read_text(encoding="utf-8"))
    manifest["months"] = [UNTIL, NEXT]
    path = runs / "backtest-small-2025-04-2025-06" / "manifest.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    (runs / "refused" / NEXT).mkdir(parents=True)
    monitor(own_model, reversed_later(sample, tmp_path / "later", MONTH), runs, "--month", MONTH)
    assert figures(now, MONTH)["age"]["known"] > 10, "there is something that later decisions could change"
    for name in ("monitor.json", "monitor.html"):
        early = (now / f"monitor-{MONTH}" / name).read_text(encoding="utf-8")
        late = (runs / f"monitor-{MONTH}" / name).read_text(encoding="utf-8")
        # the commands name dataset and folder as they were typed
        early = early.replace(str(tmp_path / "short"), "DATASET").replace(str(now), "OUT")
        late = late.replace(str(tmp_path / "later"), "DATASET").replace(str(runs), "OUT")
        assert early == late


def test_a_list_that_is_cleared_altogether_asks_to_act(own_model, sample, runs):
    done = monitor(own_model, sample, runs, "--audits", outcomes(own_model, runs, confirmed=False))
    assert done.code == 3, done.err
    told = figures(runs, NEXT)
    assert told["verdict"] == "act"
    assert told["lists"][0]["decided"] == told["lists"][0]["listed"]
    assert told["together"]["confirmed"] == 0
    assert told["checks"][0]["level"] == "act"
    assert "act" in done.out


def test_a_list_that_is_confirmed_altogether_does_not(own_model, sample, runs):
    own_model.settings("[monitor]\nmaturity_months = 1\nage_months = 99\nnewer_share = 1.0\n")
    monitor(own_model, sample, runs, "--audits", outcomes(own_model, runs, confirmed=True))
    told = figures(runs, NEXT)
    assert [m["ripe"] for m in told["lists"]] == [True, False]
    assert told["lists"][0]["rate"]["value"] == 1.0
    assert {c["code"]: c["level"] for c in told["checks"]}["hit_rate"] == "good"


@pytest.mark.parametrize("kept", [(), (MONTH,)], ids=["no run", "first month"])
def test_little_or_nothing_is_told_plainly(place, own_model, sample, runs, tmp_path, kept):
    out = tmp_path / "few"
    out.mkdir()
    for month in kept:
        shutil.copytree(runs / month, out / month)
    done = monitor(own_model if kept else place, sample, out, "--month", MONTH)
    assert done.code == 0, done.err
    told = figures(out, MONTH)
    assert told["verdict"] in ("unknown", "watch")
    page = (out / f"monitor-{MONTH}" / "monitor.html").read_text(encoding="utf-8")
    assert "没有截至本月的现用模型回测" in page
    assert "fraud backtest" in page
    if not kept:
        assert f"fraud score {sample.as_posix()} --month {MONTH}" in page


def test_a_model_store_that_is_gone_is_a_note(own_model, sample, runs):
    shutil.rmtree(own_model.folder / "models")
    done = monitor(own_model, sample, runs)
    assert done.code in (0, 3), done.err
    assert figures(runs, NEXT)["notes"]


def test_without_audits_nothing_is_known(own_model, sample, runs, tmp_path):
    mute = shutil.copytree(sample, tmp_path / "mute", ignore=shutil.ignore_patterns("audits*", "truth"))
    done = monitor(own_model, mute, runs)
    assert done.code == 0, done.err
    assert figures(runs, NEXT)["verdict"] in ("unknown", "watch")


def test_a_month_is_written_as_one(own_model, sample, runs):
    done = monitor(own_model, sample, runs, "--month", "June")
    assert done.code == 2
    assert "YYYY-MM" in done.err
