"""Rule records: loaded whole or refused whole, and never hit on an unknown value."""

import numpy as np
import pandas as pd
import pytest

from fraud.errors import UsageError
from fraud.features.catalog import CATALOG
from fraud.rules.batch import evaluate
from fraud.rules.records import load_rules, parse_rules, rule_set_version

FEATURE = next(iter(CATALOG))
ROW = {
    "code": "R1", "name_zh": "规则", "name_en": "rule", "explanation_zh": "说明", "explanation_en": "text",
    "result": "violation", "impossible": True, "feature": FEATURE, "operator": ">=", "threshold": 1.0,
    "clause": "条例第三十八条", "source": "test", "version": "1", "effective_from": "2021-05-01",
}  # fmt: skip


def test_built_in_records_load_and_speak_both_languages():
    rules = load_rules()
    assert len({r.code for r in rules}) == len(rules) >= 8
    assert any(r.impossible for r in rules)


def test_every_mistake_is_reported_at_once():
    bad = [{**ROW, "operator": "~", "result": "maybe", "extra": 1}, {**ROW, "feature": "no_such"}]
    del bad[0]["clause"]
    with pytest.raises(UsageError) as caught:
        parse_rules(bad, "mine.toml")
    text = "\n".join(caught.value.problems)
    for part in ("rule 1", "extra", "clause", "operator", "result", "no_such", "used twice"):
        assert part in text


def test_unknown_values_never_hit_and_absent_features_are_named():
    rules = parse_rules([ROW, {**ROW, "code": "R2", "impossible": False, "feature": list(CATALOG)[1]}], "t")
    frame = pd.DataFrame({FEATURE: [2.0, np.nan, 0.0]})
    hits, skipped = evaluate(frame, rules)
    assert hits["rule_hits"].tolist() == [("R1",), (), ()]
    assert hits["impossible"].tolist() == [True, False, False]
    assert list(skipped) == ["R2"]


def test_version_changes_with_content_only():
    one = parse_rules([ROW], "a")
    assert rule_set_version(one) == rule_set_version(parse_rules([dict(reversed(ROW.items()))], "b"))
    assert rule_set_version(one) != rule_set_version(parse_rules([{**ROW, "threshold": 2.0}], "a"))
