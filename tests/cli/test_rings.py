"""`fraud rings` and the rings inside `fraud score`: files, promises, exit codes."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.cli.test_promises import differing, scraps, whole
from tests.cli.test_run_folder import COLUMNS
from tests.conftest import MONTH, NEXT
from tests.unit import ring_frames

FIRST, LAST = "2025-01", "2025-06"
FOLDER = f"rings-{FIRST}-{LAST}"
TABLES = ("rings", "ring_members", "ring_claims", "ring_edges")
SPAN = ("--from", FIRST, "--to", LAST)


@pytest.fixture
def claims(sample):
    return pq.read_table(sample / "claims.parquet").to_pandas()


@pytest.fixture
def found(monkeypatch, claims):
    """Two rings made by hand instead of what the sample holds; returns how they were asked for."""
    asked = []

    def find(engine, first, last, settings=None, previous=None, progress=None):
        asked.append({"first": first, "last": last, "settings": settings, "previous": previous})
        return ring_frames.of_claims(claims, f"{last // 12}-{last % 12 + 1:02d}")

    monkeypatch.setattr("fraud.rings.find", find)
    return asked


def read(folder, table):
    return pq.read_table(folder / f"{table}.parquet").to_pandas()


def test_folder_of_rings(place, sample, tmp_path, found):
    done = place.run("rings", sample, *SPAN, "--out", tmp_path)
    assert done.code == 0, done.err
    folder = tmp_path / FOLDER
    assert whole(folder)
    assert {p.name for p in folder.iterdir()} == {
        *(f"{t}.parquet" for t in TABLES), "rings.html", "plotly.min.js", "manifest.json",
    }  # fmt: skip
    for table in TABLES:
        assert pq.read_schema(folder / f"{table}.parquet").names == COLUMNS[table].split()
    assert read(folder, "rings")["ring_id"].tolist() == [ring_frames.PHARMACY, ring_frames.DOCTORS]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["months"] == [FIRST, LAST]
    assert manifest["settings"]["history_months"] == 12
    assert manifest["skipped"] == {"rings: addresses": "patients.address"}
    assert manifest["measured"]["ring_seconds"] == {"meetings": 1.5}
    assert {i["table"] for i in manifest["inputs"]} == {p.stem for p in sample.glob("*.parquet")}
    assert (found[0]["last"] - found[0]["first"], found[0]["previous"]) == (5, None)


def test_command_says_what_was_done_and_where_to_look(place, sample, tmp_path, found):
    done = place.run("rings", sample, *SPAN, "--out", tmp_path)
    assert "经办人 O0815" in done.out.replace("\n", "")
    assert str(tmp_path / FOLDER / "rings.html") in done.out.replace("\n", "")
    assert "药店" in done.out


def test_sample_gives_the_same_bytes_twice(place, sample, tmp_path):
    for out in ("one", "two"):
        done = place.run("rings", sample, *SPAN, "--out", tmp_path / out)
        assert done.code == 0, done.err
    assert differing(tmp_path / "one" / FOLDER, tmp_path / "two" / FOLDER) == []
    assert scraps(tmp_path / "one") == []


def test_run_again_touches_nothing(place, sample, tmp_path, found):
    for _ in range(2):
        assert place.run("rings", sample, *SPAN, "--out", tmp_path).code == 0
    assert len(found) == 1
    place.settings("[rings]\nmax_q = 0.05\n")
    assert place.run("rings", sample, *SPAN, "--out", tmp_path).code == 0
    assert len(found) == 2


def test_failure_leaves_the_earlier_folder(place, sample, tmp_path, found, monkeypatch):
    assert place.run("rings", sample, *SPAN, "--out", tmp_path).code == 0

    def fail(*_):
        raise OSError(28, "No space left on device")

    place.settings("[rings]\nmax_q = 0.05\n")
    monkeypatch.setattr("fraud.pipeline.collusion.write_rings_page", fail)
    assert place.run("rings", sample, *SPAN, "--out", tmp_path).code == 5
    assert whole(tmp_path / FOLDER)
    assert scraps(tmp_path) == []


def test_no_ring_is_an_answer(place, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("fraud.rings.find", lambda *_: ring_frames.none_found())
    done = place.run("rings", sample, *SPAN, "--out", tmp_path)
    assert (done.code, "0 found" in done.out) == (0, True)
    assert "没有发现团伙" in (tmp_path / FOLDER / "rings.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("span", "code", "message"),
    [
        (("--from", "2025-01"), 2, "Missing option '--to'"),
        (("--from", "2025-1", "--to", "2025-06"), 2, "'2025-1' is not a month"),
        (("--from", "2025-06", "--to", "2025-01"), 2, "before --from"),
        (("--from", "2024-11", "--to", "2025-06"), 3, "no claims were settled in 2024-11"),
        (("--from", "2024-01", "--to", "2026-01"), 3, "no claims were settled in 2026-01"),
    ],
)
def test_refused(place, sample, tmp_path, span, code, message):
    out = tmp_path / "out"
    done = place.run("rings", sample, *span, "--out", out)
    assert (done.code, message in done.err) == (code, True), done.err
    assert not out.exists() or [p.name for p in out.iterdir() if not p.name.startswith(".")] == []


def test_no_dataset(place, tmp_path):
    done = place.run("rings", tmp_path / "none", *SPAN, "--out", tmp_path / "out")
    assert (done.code, "no such dataset folder" in done.err) == (3, True)


def test_rings_are_suspicions_of_the_month(own_model, sample, tmp_path, found):
    out = tmp_path / "runs"
    for month in (MONTH, NEXT):
        done = own_model.run("score", sample, "--month", month, "--out", out)
        assert done.code == 0, done.err
        _check_month(out / month)
    assert found[0]["previous"] is None
    before = read(out / MONTH, "ring_members")[["ring_id", "member_kind", "member_id"]]
    pd.testing.assert_frame_equal(found[1]["previous"], before)
    manifest = json.loads((out / NEXT / "manifest.json").read_text(encoding="utf-8"))
    named = {
        o["name"]: o["sha256"] for o in json.loads((out / MONTH / "manifest.json").read_text())["outputs"]
    }
    assert manifest["previous_rings"] == named["ring_members.parquet"]


def _check_month(run):
    """Rings, scored claims and list agree, and no money counts twice."""
    scored, listed = read(run, "claims_scored"), read(run, "suspicions")
    evidence = read(run, "ring_claims")
    assert (scored["ring_id"] != "").sum() == 24
    named = evidence[evidence["claim_id"].isin(scored["claim_id"])].set_index("claim_id")["ring_id"]
    assert scored.set_index("claim_id")["ring_id"].loc[named.index].equals(named)
    rings = listed[listed["subject_kind"] == "ring"].set_index("subject_id")
    for ring in read(run, "rings").to_dict("records"):
        row = rings.loc[ring["ring_id"]]
        own = scored[(scored["ring_id"] == ring["ring_id"]) & (scored["amount_at_risk"].astype(float) > 0)]
        assert row["score"] == ring["score"]
        assert row["amount_at_risk"] == own["amount_at_risk"].sum()
        assert set(row["evidence_claim_ids"]) == set(own["claim_id"])
        assert row["reasons"][0]["sentence_zh"] == json.loads(ring["evidence"])["summary_zh"]
        assert any(r["code"].startswith("ring_explanation_") for r in row["reasons"])
        assert f'href="rings.html#{ring["ring_id"]}"' in (run / "report.html").read_text(encoding="utf-8")
    assert not listed["evidence_claim_ids"].explode().duplicated().any()
