"""The built-in knowledge: well formed, unique, marked as what it is, and right on the cases that matter."""

import csv
from importlib.resources import files

import pytest

from fraud.rules.vocabulary import Item, Selectors, diagnosis_problems, item_problems

SOURCE = "common knowledge of drugs and services; not an official knowledge point"
ITEMS, DIAGNOSES = {"items", "excluded", "partners"}, {"diagnoses", "excluded_diagnoses"}
COLUMNS = {
    "drug_classes": "name class",
    "indications": "items diagnoses scope_zh scope_en contraindications_zh contraindications_en",
    "item_limits": "items sex min_age max_age visit_types institution_kinds specialties",
    "contraindications": "items excluded_diagnoses when_sex severity",
    "interactions": "items excluded window severity",
    "excluded_charges": "items excluded window",
    "supply_limits": "items unit limit when_visit_types",
    "course_limits": "items unit limit window",
    "exam_fitness": "items diagnoses",
    "consumables": "items partners",
}
LEAST = dict(zip(COLUMNS, (120, 90, 50, 60, 35, 40, 25, 35, 25, 15), strict=True))


def rows(table):
    text = files("fraud.rules").joinpath("data", "knowledge", f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize("table", COLUMNS)
def test_tables_are_well_formed(table):
    held = rows(table)
    assert list(held[0]) == ["id", *COLUMNS[table].split(), "note_zh", "note_en", "source"]
    assert len(held) >= LEAST[table]
    assert [r["id"] for r in held] == sorted(r["id"] for r in held)
    for row in held:
        assert None not in row and None not in row.values()
        assert row["source"] == SOURCE
        assert row["note_zh"] and row["note_en"]
        for column in ITEMS & row.keys():
            assert not item_problems(row[column]), row["id"]
        for column in DIAGNOSES & row.keys():
            assert not diagnosis_problems(row[column]), (row["id"], diagnosis_problems(row[column]))
        if "severity" in row:
            assert row["severity"] in ("stop", "warn", "note")
        if "limit" in row:
            assert float(row["limit"]) > 0
        assert row.get("sex", "") in ("", "M", "F")
        if table == "item_limits":
            assert any(row[c] for c in COLUMNS[table].split()[1:])
    contents = [tuple(v for k, v in r.items() if k not in ("id", "note_zh", "note_en")) for r in held]
    assert len(set(contents)) == len(contents)


def test_ids_are_unique_and_rows_several_hundred():
    ids = [r["id"] for t in COLUMNS for r in rows(t)]
    assert len(ids) == len(set(ids)) >= 450


def test_drug_class_names_are_unique():
    names = [r["name"] for r in rows("drug_classes")]
    assert len(names) == len(set(names))
    assert all(4 <= len(r["class"]) <= 5 for r in rows("drug_classes"))


def outside(name, drug_class, *diagnoses):
    """Rows of the indications that an item with these diagnoses falls outside of."""
    selectors = Selectors()
    held = [
        (r["id"], selectors.number("items", r["items"]), selectors.number("diagnoses", r["diagnoses"]))
        for r in rows("indications")
    ]
    own = selectors.of_item(Item("X1", name, "drug", drug_class))
    had = frozenset().union(*(selectors.of_diagnosis(d) for d in diagnoses))
    assert own, "no indication row speaks of this item"
    return [i for i, items, wanted in held if items in own and wanted not in had]


@pytest.mark.parametrize(
    ("name", "drug_class", "wrong", "right"),
    [
        ("黄体酮胶囊", "G03DA", "K30.x00", "O20.000"),
        ("黄体酮注射液20mg", "", "K30.x00", "N92.100"),
        ("盐酸二甲双胍片0.5g", "A10BA", "J06.900", "E11.900"),
        ("左甲状腺素钠片50ug", "H03AA", "K29.500", "E03.900"),
        ("雷珠单抗注射液", "S01LA", "M54.500", "H35.300"),
        ("恩替卡韦分散片", "J05AF", "J06.900", "B18.101"),
        ("多奈哌齐片5mg", "N06DA", "K30.x00", "G30.900"),
        ("司美格鲁肽注射液", "A10BJ", "E66.900", "E11.900"),
    ],
)
def test_indications_catch_the_plain_case_and_let_the_usual_one_pass(name, drug_class, wrong, right):
    assert outside(name, drug_class, wrong)
    assert not outside(name, drug_class, right)
    assert not outside(name, drug_class, wrong, right), "any one of the diagnoses suffices"


def test_names_that_only_sound_alike_are_no_drug_of_the_row():
    selectors = Selectors()
    statin = next(r for r in rows("indications") if "name:他汀" in r["items"].split("|"))
    number = selectors.number("items", statin["items"])
    assert number in selectors.of_item(Item("1", "阿托伐他汀钙片", "drug"))
    assert number not in selectors.of_item(Item("2", "注射用乌司他汀", "drug"))
    assert number not in selectors.of_item(Item("3", "亚胺培南西司他丁钠", "drug"))


def test_framework_lists_every_class_once():
    text = files("fraud.rules").joinpath("data", "framework.csv").read_text(encoding="utf-8")
    held = list(csv.DictReader(text.splitlines()))
    assert list(held[0]) == ["class_zh", "class_en", "group", "status", "rules", "needs", "why_zh", "why_en"]
    assert len({r["class_zh"] for r in held}) == len(held) == 88
    groups = [r["group"] for r in held]
    assert [groups.count(g) for g in ("policy", "management", "medical")] == [34, 29, 25]
    for row in held:
        assert row["status"] in ("runs", "optional", "not_decidable")
        assert bool(row["rules"]) == (row["status"] != "not_decidable"), row["class_zh"]
        assert bool(row["needs"]) == (row["status"] == "optional"), row["class_zh"]
        assert row["why_zh"] and row["why_en"]
