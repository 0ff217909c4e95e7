"""A challenger beside the champion: it scores silently, and becomes champion on evidence or by a person."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from fraud.errors import NotTrainedError
from tests.conftest import MONTH, NEXT, UNTIL, Place, with_model

EASY = """
[promotion]
months = 2
decided = 1
confirmed = 1
lead = -1
money_margin = 1
random_decided = 999
"""


@pytest.fixture(scope="module")
def contested(once, trained, backtested, sample) -> Path:
    """A champion and a challenger, a month scored with both, and a back-test of each."""

    def fill(folder: Path) -> None:
        place = with_model(trained, folder / "place")
        other = place.folder / "other.toml"
        text = (place.folder / "small.toml").read_text(encoding="utf-8")
        other.write_text(text.replace("trees = 20\nbags", "trees = 12\nbags"), encoding="utf-8")
        runs = folder / "runs"
        said = []
        for words in (
            ["train", sample, "--until", UNTIL, "--experiment", other],
            ["score", sample, "--month", MONTH, "--out", runs],
            ["backtest", sample, "--from", MONTH, "--to", NEXT, "--model", "champion", "--out", runs],
            ["backtest", sample, "--from", UNTIL, "--to", MONTH, "--experiment", other, "--out", runs],
        ):
            done = place.run(*words)
            assert done.code == 0, done.err
            said.append(done.out)
        of_champion = f"backtest-small-{UNTIL}-{MONTH}"
        shutil.copytree(backtested / "runs" / of_champion, runs / of_champion)
        (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")

    return once("contested", fill)


@pytest.fixture
def own(contested: Path, tmp_path: Path) -> Place:
    """The same, of one's own: promoting changes the store."""
    return with_model(Place(contested / "place"), tmp_path / "place")


def promote(place: Place, sample: Path, contested: Path, *words: object):
    return place.run("promote", sample, "--out", contested / "runs", *words)


def test_training_again_makes_a_challenger(contested):
    assert "version 2 (challenger)" in json.loads((contested / "said.json").read_text())[0]


def test_the_list_is_the_champions_alone(contested, scored):
    for table in ("claims_scored", "subjects_scored", "suspicions", "rule_hits"):
        alone, beside = (
            pd.read_parquet(runs / MONTH / f"{table}.parquet") for runs in (scored, contested / "runs")
        )
        pd.testing.assert_frame_equal(alone, beside, check_exact=True)


def test_the_challenger_lies_beside_the_run(contested):
    run = contested / "runs" / MONTH
    scores = pd.read_parquet(run / "challenger_scored.parquet")
    champion = pd.read_parquet(run / "claims_scored.parquet")
    own = scores[scores["subject_kind"] == "claim"]
    assert sorted(own["subject_id"]) == sorted(champion["claim_id"])
    assert set(scores["subject_kind"]) == {"claim", "patient", "doctor", "department", "institution"}
    told = json.loads((run / "challenger.json").read_text(encoding="utf-8"))
    assert (told["version"], told["until"], told["experiment"]) == ("2", UNTIL, "other")
    assert 0 < told["top"][0]["share"] <= 1
    assert told["champion"]["listed"] == len(pd.read_parquet(run / "suspicions.parquet"))
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["challenger"]["version"] == "2"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "挑战者" in page
    assert manifest["model"]["version"] == "1"


def test_a_model_is_tested_as_it_is(contested):
    folder = contested / "runs" / f"backtest-small-v1-{MONTH}-{NEXT}"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["model"]["version"], manifest["model"]["until"]) == ("1", UNTIL)
    scores = pd.read_parquet(folder / "backtest_scores.parquet")
    run = pd.read_parquet(contested / "runs" / MONTH / "claims_scored.parquet").set_index("claim_id")
    same = scores[scores["month"] == MONTH].set_index("subject_id")
    assert same["p_supervised"].equals(run.loc[same.index, "p_supervised"])


def test_weak_evidence_is_refused_with_its_numbers(own, contested, sample):
    done = promote(own, sample, contested)
    assert done.code == 3
    assert "version 2 against champion 1 is not promoted" in done.err
    assert "2 months were compared, 3 are needed" in done.err
    assert "--by NAME --reason TEXT" in done.err
    assert "first model" in promote(own, sample, contested, "--history").out


def test_without_back_tests_there_is_no_evidence(own, sample, tmp_path):
    done = own.run("promote", sample, "--out", tmp_path / "none")
    assert done.code == 3
    assert "fraud backtest" in done.err


def test_enough_evidence_promotes_and_one_command_goes_back(own, contested, sample):
    own.settings(EASY)
    done = promote(own, sample, contested)
    assert done.code == 0, done.err
    assert "average precision: champion" in done.out
    assert "version 2 (before: version 1)" in done.out
    again = promote(own, sample, contested)
    assert (again.code, "alias or version challenger" in again.err) == (4, True)
    back = promote(own, sample, contested, "--back", "--by", "Wang")
    assert back.code == 0, back.err
    assert "version 1 (before: version 2)" in back.out
    lines = [json.loads(line) for line in (own.folder / "models/switches.jsonl").read_text().splitlines()]
    assert [(line["before"], line["after"], line["kind"]) for line in lines] == [
        ("", "1", "first"), ("1", "2", "promoted"), ("2", "1", "back"),
    ]  # fmt: skip
    assert len(lines[1]["evidence"]["files"]) == 2
    assert lines[1]["evidence"]["figures"]["all"]["decided"] > 0
    assert lines[2]["by"] == "Wang"
    nothing = promote(own, sample, contested, "--back")
    assert (nothing.code, "no former champion" in nothing.err) == (4, True)


def test_a_named_person_decides_without_evidence(own, sample, tmp_path):
    alone = own.run("promote", sample, "--by", "Li")
    assert (alone.code, "go together" in alone.err) == (2, True)
    done = own.run("promote", sample, "--by", "Li", "--reason", "新机构", "--out", tmp_path / "none")
    assert done.code == 0, done.err
    shown = own.run("promote", sample, "--history").out
    assert "Li" in shown and "新机构" in shown


def test_changed_scores_are_no_evidence(own, contested, sample, tmp_path):
    own.settings(EASY)
    runs = shutil.copytree(contested / "runs", tmp_path / "runs")
    folder = next(runs.glob("backtest-other-*"))
    scores = pd.read_parquet(folder / "backtest_scores.parquet")
    scores.assign(score=1.0).to_parquet(folder / "backtest_scores.parquet")
    done = own.run("promote", sample, "--out", runs)
    assert (done.code, "not the file its manifest names" in done.err) == (3, True)


def test_a_model_is_not_tested_on_its_training(own, sample, tmp_path):
    span = ["--from", UNTIL, "--to", NEXT]
    done = own.run("backtest", sample, *span, "--model", "champion", "--out", tmp_path)
    assert (done.code, "was trained until" in done.err) == (2, True)


def test_a_broken_challenger_does_not_stop_the_month(own, sample, tmp_path, monkeypatch):
    from fraud import tracking

    load = tracking.load_model

    def refuse(name: str, alias: str, *rest: object, **more: object) -> object:
        if alias == "2":
            raise NotTrainedError("its files are gone.")
        return load(name, alias, *rest, **more)

    monkeypatch.setattr(tracking, "load_model", refuse)
    done = own.run("score", sample, "--month", MONTH, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    run = tmp_path / "runs" / MONTH
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["challenger"] == {}
    assert "challenger v2 did not score: its files are gone." in manifest["notes"]
    assert not (run / "challenger_scored.parquet").exists()


def test_training_to_promote_needs_a_person(place, sample):
    done = place.run("train", sample, "--until", UNTIL, "--promote")
    assert (done.code, "--by NAME" in done.err) == (2, True)
