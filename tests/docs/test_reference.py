"""The reference pages say what the code says, and nothing public is left undocumented."""

from pathlib import Path

import pytest

from fraud import reference
from fraud.features.catalog import CATALOG
from fraud.settings import Experiment, Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_page_is_what_the_code_says(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), f"docs/{name} is out of date: run make docs"


@pytest.mark.parametrize("model", [Settings, Experiment])
def test_every_setting_has_a_description(model):
    fields = list(_fields(model))
    assert fields
    assert [n for n, f in fields if not f.description] == []


def _fields(model):
    """Fields of a model and of the sections in it, however deep."""
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from _fields(field.annotation)
        else:
            yield name, field


def test_every_feature_speaks_both_languages():
    assert len(CATALOG) >= 120
    for feature in CATALOG.values():
        assert feature.title_zh and feature.title_en, feature.name
        assert feature.sentence_zh and feature.sentence_en, feature.name
        assert feature.point_in_time, feature.name
        assert any("一" <= c <= "鿿" for c in feature.sentence_zh), feature.name


def test_relative_links_in_docs_and_readme_lead_somewhere():
    import re

    broken = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
