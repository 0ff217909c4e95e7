"""The worked example of docs/ingest.md runs as it is written."""

import datetime
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fraud.errors import DataError
from fraud.ingest import ingest
from fraud.ingest.profile import Join, Part, Unpivot, built_in_profiles
from fraud.privacy import KEY_VARIABLE, SHORTEST_KEY
from fraud.settings import EngineSettings, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text(encoding="utf-8")
SETTINGS = Settings(engine=EngineSettings(memory_limit="500MB", threads=1))


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture
def hospital(tmp_path):
    source = tmp_path / "export"
    source.mkdir()
    visits, items = blocks("csv")
    (source / "visits.csv").write_text(visits, encoding="gb18030")
    (source / "items.csv").write_text(items, encoding="gb18030")
    for name, text in zip(("first.toml", "hospital.toml"), blocks("toml"), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return source


def test_step_one_names_what_is_missing(hospital, tmp_path):
    with pytest.raises(DataError) as error:
        ingest(hospital, tmp_path / "out", profile=tmp_path / "first.toml", settings=SETTINGS)
    assert error.value.problems == (blocks("text")[0].strip(),)


def test_the_whole_profile_does_what_the_page_says(hospital, tmp_path):
    report = ingest(hospital, tmp_path / "out", profile=tmp_path / "hospital.toml", settings=SETTINGS)
    claims = {c["claim_id"]: c for c in pq.read_table(tmp_path / "out" / "claims.parquet").to_pylist()}
    lines = pq.read_table(tmp_path / "out" / "lines.parquet").to_pylist()
    assert sorted(claims) == ["0007", "0008", "0009"]
    assert claims["0007"]["started_at"] == datetime.datetime(2026, 3, 5, 8, 30)
    assert str(claims["0007"]["total_amount"]) == "1200.50"
    assert {line["claim_id"] for line in lines} == set(claims)
    assert report.ingest["claims"]["issues"] == {"visit_type": {"unknown": 1}}
    assert report.ingest["lines"]["issues"] == {"category": {"unknown": 1}}
    quarantine = pq.read_table(tmp_path / "out" / "quarantine" / "claims.parquet").to_pylist()
    assert [(q["file"], q["row"], q["reason"]) for q in quarantine] == [
        ("visits.csv", 5, "patient_id is empty")
    ]
    assert report.tables["claims"]["total_differs_from_lines"] == 0


def test_the_page_names_every_profile_and_key():
    from fraud.ingest.profile import _PART_KEYS

    for name in (*built_in_profiles(), KEY_VARIABLE, str(SHORTEST_KEY), *_PART_KEYS):
        assert name in PAGE, name
    for model in (Part, Join, Unpivot):
        assert model.__doc__
