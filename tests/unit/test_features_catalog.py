"""The catalog: complete, well formed, and true to the contract's columns."""

import re

import pytest

from fraud.features.catalog import CATALOG, ENTITIES, GROUPS, UNITS, of_entity
from fraud.schema import TABLES

FEATURES = sorted(CATALOG.values(), key=lambda f: f.name)


def test_there_are_enough():
    assert len(CATALOG) >= 120
    assert all(len(of_entity(e)) >= 20 for e in ENTITIES)
    assert {f.group for f in FEATURES} == set(GROUPS)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
def test_entry(feature):
    assert feature.name.startswith(f"{feature.entity}_")
    assert feature.unit in UNITS
    assert feature.direction in (-1, 0, 1)
    assert feature.group in GROUPS
    assert feature.point_in_time
    for text in (feature.title_zh, feature.sentence_zh):
        assert re.search("[\u4e00-\u9fff]", text)
    for text in (feature.title_en, feature.sentence_en):
        assert text.isascii()
    for text in (feature.sentence_zh, feature.sentence_en):
        assert set(re.findall(r"{(.*?)}", text)) <= {"value", "baseline", "percentile"}
        assert text.format(value="1", baseline="2", percentile="3")
    assert ("{value}" in feature.sentence_en) == (feature.unit != "flag")
    for need in feature.needs:
        table, column = need.split(".")
        assert TABLES[table][column]


def test_titles_are_distinct_within_an_entity():
    for entity in ENTITIES:
        titles = [CATALOG[n].title_zh for n in of_entity(entity)]
        assert len(titles) == len(set(titles))
