"""Rule sets: loaded whole or refused whole, a user's folder over the built-in one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from fraud.errors import UsageError
from fraud.rules.rule_set import BUILT_IN, load_rule_set
from fraud.rules.vocabulary import Item, Selectors, diagnosis_problems, item_problems
from tests.rule_tables import apply, write

RULE = """
[defaults]
source = "test"
version = "1"
effective_from = "2021-05-01"
clause = "条例第三十八条"
"""
ROW = """
[[rule]]
code = "{code}"
name_zh = "规则"
name_en = "rule"
explanation_zh = "说明"
explanation_en = "text"
result = "violation"
kind = "limit"
items = "class:G03DA"
sex = "F"
{more}
"""


def folder(path: Path, *rules: str, tables: dict[str, str] | None = None) -> Path:
    (path / "knowledge").mkdir(parents=True)
    (path / "mine.toml").write_text(RULE + "".join(rules), encoding="utf-8")
    for name, text in (tables or {}).items():
        (path / "knowledge" / f"{name}.csv").write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_rule_set(path)
    return "\n".join(caught.value.problems)


def test_built_in_rules_load_and_speak_both_languages():
    found = load_rule_set()
    assert len(found.rules) >= 40
    assert len(found.checks()) >= 450
    assert all(r.name_zh and r.name_en and r.clause for r in found.rules.values())
    assert BUILT_IN.name == "data"


def test_a_users_record_replaces_a_built_in_one_and_a_new_row_is_a_new_rule(tmp_path):
    own = folder(
        tmp_path / "own",
        ROW.format(code="X-MINE", more=""),
        ROW.format(code="M-SEX-ITEM", more="enabled = false"),
    )
    found = load_rule_set(own)
    assert "X-MINE" in found.rules
    assert not found.rules["M-SEX-ITEM"].enabled
    assert "X-MINE" in {c.rule.code for c in found.checks()}
    assert "M-SEX-ITEM" not in {c.rule.code for c in found.checks()}
    assert found.version != load_rule_set().version


def test_a_users_knowledge_row_replaces_and_adds_by_id(tmp_path):
    first = load_rule_set().knowledge["item_limits"][0]
    text = f"id,items,sex,enabled,source\n{first.id},name:x,F,no,test\nMY-1,name:棉签,M,,test\n"
    found = load_rule_set(folder(tmp_path / "own", tables={"item_limits": text}))
    ids = {r.id for r in found.knowledge["item_limits"]}
    assert "MY-1" in ids
    assert first.id not in ids


def test_every_mistake_in_every_file_is_told_at_once(tmp_path):
    bad = folder(
        tmp_path / "bad",
        ROW.format(code="X-A", more='colour = "red"'),
        ROW.format(code="X-A", more=""),
        ROW.format(code="X-B", more='effective_to = "2020-01-01"'),
        ROW.format(code="X-C", more="min_age = 60\nmax_age = 18"),
        ROW.format(code="X-D", more='when_sex = "M"'),
        ROW.format(code="X-E", more='table = "no_such_table"'),
        ROW.format(code="X-F", more='supersedes = ["X-G"]'),
        ROW.format(code="X-G", more='supersedes = ["X-F"]'),
        ROW.format(code="X-H", more='diagnoses = "N98-N80"'),
        ROW.format(code="X-I", more='effective_from = "2021-02-30"'),
        tables={
            "item_limits": "id,items,sexx\nA,name:x,F\n",
            "supply_limits": "id,items,source\nB,colour:red,t\n",
        },
    )
    text = problems(bad)
    for part in (
        "mine.toml: rule 1 (X-A): colour: unknown field",
        "code is also used by rule 1",
        "effective_to 2020-01-01 is before effective_from",
        "min_age 60 is above max_age 18",
        "looks only at sex M but requires F",
        "N98-N80",
        "2021-02-30 is no day of the calendar",
        "item_limits.csv: row 2 (A): sexx: unknown field",
        "item_limits.csv: row 2 (A): source: field is missing",
        "supply_limits.csv: row 2 (B): items:",
    ):
        assert part in text, part


def test_problems_between_files_are_told(tmp_path):
    bad = folder(
        tmp_path / "bad",
        ROW.format(code="X-E", more='table = "no_such_table"'),
        ROW.format(code="X-F", more='supersedes = ["X-G"]'),
        ROW.format(code="X-G", more='supersedes = ["X-F", "X-NONE"]'),
        ROW.replace('kind = "limit"', 'kind = "frequency"').format(code="X-K", more=""),
        tables={
            "orphan": "id,items,source\nA,name:x,t\n",
            "supply_limits": "id,items,limit,source\nB,name:x,3,t\n",
        },
    )
    (bad / "snoozes.csv").write_text(
        "rule,subject_kind,subject_id,until,reason\nX-NONE,patient,p,2026-01-01,ok\n"
    )
    text = problems(bad)
    for part in (
        "rule X-E: no knowledge table no_such_table",
        "rule X-F: supersedes itself",
        "rule X-G: supersedes X-NONE, which is no rule",
        "rule X-K: frequency needs unit",
        "orphan.csv: no rule reads this table",
        "supply_limits.csv: row B: quantity needs unit",
        "snoozes.csv: X-NONE is no rule",
    ):
        assert part in text, part


def test_broken_files_are_told(tmp_path):
    bad = folder(tmp_path / "bad", "[[rule]\n", tables={"item_limits": 'id,items\nA,"x\n'})
    (bad / "knowledge" / "indications.csv").write_bytes("id,items\nA,降压药物\n".encode("gb18030"))
    (bad / "snoozes.csv").write_text("rule,subject_kind,subject_id,until,reason\nP-DEATH,planet,x,soon,\n")
    text = problems(bad)
    for part in (
        "mine.toml: is no TOML",
        "item_limits.csv: line",
        "indications.csv: is not UTF-8",
        "reason is missing",
    ):
        assert part in text, part
    assert "no such folder" in problems(tmp_path / "nowhere")


def test_selectors_say_what_belongs():
    found = Selectors()
    antibiotics = found.number("items", "class:J01|name:头孢|!name:皮试")
    women = found.number("diagnoses", "O|N80-N98|!N91")
    assert antibiotics in found.of_item(Item("x", "注射用头孢唑林", "drug"))
    assert antibiotics in found.of_item(Item("x", "阿莫西林", "drug", "J01CA"))
    assert antibiotics not in found.of_item(Item("x", "头孢皮试", "treatment"))
    assert women in found.of_diagnosis("n93.900")
    assert women in found.of_diagnosis("O20")
    assert women not in found.of_diagnosis("N91.0")
    assert women not in found.of_diagnosis("K30")


@pytest.mark.parametrize("text", ["", "!name:x", "colour:red", "name:", "category:sweets"])
def test_wrong_item_selectors_are_told(text):
    assert item_problems(text)


@pytest.mark.parametrize("text", ["", "!O", "9", "N98-N80", "N8-N9", "脑梗"])
def test_wrong_diagnosis_selectors_are_told(text):
    assert diagnosis_problems(text)


def test_a_rule_is_in_force_between_its_dates(tmp_path):
    own = folder(
        tmp_path / "own",
        ROW.format(code="X-MINE", more='effective_from = "2030-01-01"\neffective_to = "2030-12-31"'),
    )
    rule = load_rule_set(own).rules["X-MINE"]
    assert [rule.in_force(d) for d in ("2029-12-31", "2030-01-01", "2030-12-31", "2031-01-01")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_local_code_of_a_specialty_is_unknown_and_not_a_wrong_one(tmp_path):
    own = folder(
        tmp_path / "own",
        ROW.format(code="X-MINE", more='specialties = "gynecology"').replace('sex = "F"', ""),
    )
    rules = load_rule_set(own)
    at = dt.datetime(2026, 3, 2, 9)
    claims = [
        {
            "claim_id": f"c-{d}",
            "patient_id": "p",
            "institution_id": "h",
            "doctor_id": d,
            "visit_type": "outpatient",
            "started_at": at,
            "total_amount": Decimal(10),
            "fund_amount": Decimal(5),
        }
        for d in ("stomatology", "gynecology", "A04.01")
    ]
    lines = [
        {
            "line_id": c["claim_id"],
            "claim_id": c["claim_id"],
            "item_code": "x",
            "item_name": "黄体酮",
            "category": "drug",
            "quantity": 1.0,
            "unit_price": 10.0,
            "amount": Decimal(10),
        }
        for c in claims
    ]
    doctors = [
        {"doctor_id": c["doctor_id"], "institution_id": "h", "specialty": c["doctor_id"]} for c in claims
    ]
    dataset = write(tmp_path / "data", {"claims": claims, "lines": lines, "doctors": doctors})
    both = apply(dataset, tmp_path / "work", ["2026-03"], rules)
    assert [c["claim_id"] for c in claims if "X-MINE" in both.rules_of(c["claim_id"])] == ["c-stomatology"]
    assert both.batch == both.single
