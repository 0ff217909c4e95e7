"""Scoring with a feature store: the same runs, and only the new month is built."""

import json

from tests.conftest import MONTH, NEXT
from tests.run_differences import differences


def built(run):
    """Months whose claim features a run computed and kept."""
    ran = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["measured"]["queries"]
    return [q["name"].removeprefix("store claim ") for q in ran if q["name"].startswith("store claim ")]


def test_two_months_in_a_row(own_model, sample, scored, tmp_path):
    store = tmp_path / "features"
    text = own_model.config.read_text(encoding="utf-8")
    named = f'[engine]\nfeature_store = "{store.as_posix()}"\n'
    own_model.config.write_text(text.replace("[engine]\n", named), encoding="utf-8")
    for month in (MONTH, NEXT):
        done = own_model.run("score", sample, "--month", month, "--out", tmp_path / "runs")
        assert done.code == 0, done.err
        found = differences(scored / month, tmp_path / "runs" / month)
        assert len(found) > 10
        assert [d for d in found if not d.same_bytes] == []
    first, second = (built(tmp_path / "runs" / month) for month in (MONTH, NEXT))
    assert MONTH in first
    assert second == [NEXT]
    assert [p.name for p in store.iterdir()] == [sample.name]
