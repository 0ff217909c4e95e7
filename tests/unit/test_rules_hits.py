# ruff: noqa: E501 (tables read better whole)
"""Hits: no yuan twice, no word missing, nothing from the future."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fraud.pipeline.ruling import PRIOR, audited_hits, previous_hits_hash, promoted, wilson_bound
from fraud.rules.batch import Found
from fraud.rules.compiled import CompiledRules
from fraud.rules.encounter import Findings
from fraud.rules.hits import Hits, hits_of
from fraud.rules.knowledge import DrugClasses, KnowledgeRow
from fraud.rules.master import NO_MASTER
from fraud.rules.parameters import ANOMALIES, NEEDS, OVERLAPS, SEQUENCES
from fraud.rules.records import Rule
from fraud.rules.rule_set import Check, RuleSet, load_rule_set, merged
from fraud.rules.single_hits import single_hits
from fraud.rules.snoozes import Snooze
from fraud.rules.vocabulary import Item
from fraud.rules.wording import exemptions, sentences
from fraud.suspicion.promoted import with_rules
from tests.rule_tables import apply, write

DEFAULT = {
    "name_zh": "规则",
    "name_en": "rule",
    "explanation_zh": "说明",
    "explanation_en": "text",
    "result": "suspicious",
    "clause": "c",
    "source": "s",
    "version": "1",
    "effective_from": "2021-05-01",
    "kind": "limit",
    "items": "name:x",
    "sex": "F",
}
ITEMS = (Item("i0", "item 0", "drug"), Item("i1", "item 1", "drug"), Item("i2", "", "lab"))


def check(code: str, **more: Any) -> Check:
    rule = Rule.model_validate(DEFAULT | {"code": code} | more)
    return Check(rule, None, merged(rule, None))


def found(checks: list[Check], rows: list[tuple[int, str, int, int | None, int]]) -> Found:
    """Rows are check, claim, item, day, cents."""
    frame = pd.DataFrame(rows, columns=["check", "claim_id", "item", "day", "cents"])
    frame["day"] = frame["day"].astype("Int64")
    frame = frame.assign(value=np.nan, bound=np.nan, partner=-1)
    others = pd.DataFrame({"check": [], "claim_id": [], "other": []})
    return Found(frame, others, tuple(checks), ITEMS, {})


def facts(**totals: int) -> pd.DataFrame:
    """Claims with totals in cents, half of them paid by the fund, on the tenth of March."""
    return pd.DataFrame(
        {
            "claim_id": list(totals),
            "month": "2026-03",
            "day": "2026-03-10",
            "total": list(totals.values()),
            "fund": [t // 2 for t in totals.values()],
            "patient_id": [f"p-{c}" for c in totals],
            "doctor_id": "d",
            "department_id": None,
            "institution_id": "h",
        }
    )


LINES = pd.DataFrame(
    {
        "claim_id": ["a", "a", "a"],
        "item": [0, 0, 1],
        "day": pd.array([5, 5, 5], "Int64"),
        "line_id": ["a.2", "a.1", "a.3"],
    }
)


def hits(
    checks: list[Check], rows: list[tuple[int, str, int, int | None, int]], *snoozes: Snooze, **totals: int
) -> Hits:
    return hits_of(found(checks, rows), facts(**totals), LINES, snoozes)


ITEMS_RULE, OTHER_RULE = check("R-ITEMS"), check("R-OTHER")
CLAIM_RULE, NONE_RULE = check("R-CLAIM", amount="claim"), check("R-NONE", amount="none")


@pytest.mark.parametrize(
    ("checks", "rows", "at_issue"),
    [
        pytest.param(
            [ITEMS_RULE, OTHER_RULE], [(0, "a", 0, 5, 300), (1, "a", 0, 5, 200)], 3, id="one line: the larger"
        ),
        pytest.param(
            [ITEMS_RULE, OTHER_RULE], [(0, "a", 0, 5, 300), (1, "a", 1, 5, 200)], 5, id="two lines: both"
        ),
        pytest.param(
            [ITEMS_RULE, OTHER_RULE], [(0, "a", 0, 5, 300), (1, "a", 0, 6, 200)], 5, id="two days: both"
        ),
        pytest.param(
            [ITEMS_RULE, CLAIM_RULE],
            [(0, "a", 0, 5, 300), (1, "a", -1, None, 1000)],
            10,
            id="line and claim: the claim",
        ),
        pytest.param(
            [CLAIM_RULE, CLAIM_RULE], [(0, "a", 0, 5, 300), (1, "a", 1, 5, 200)], 10, id="the claim once"
        ),
        pytest.param(
            [ITEMS_RULE], [(0, "a", 0, 5, 900), (0, "a", 1, 5, 900)], 10, id="never above the claim"
        ),
        pytest.param([NONE_RULE], [(0, "a", 0, 5, 300)], 0, id="no money"),
        pytest.param(
            [NONE_RULE, ITEMS_RULE], [(0, "a", 0, 5, 900), (1, "a", 0, 5, 300)], 3, id="none beside money"
        ),
    ],
)
def test_no_yuan_is_counted_twice(checks, rows, at_issue):
    result = hits(checks, rows, a=1000)
    assert result.claims.at["a", "amount_at_issue"] == at_issue
    assert result.claims.at["a", "fund_at_issue"] == at_issue / 2
    assert (result.table["amount_at_issue"] <= 10).all()
    screen = [r for r in rows if r[0] == 0]
    compiled = CompiledRules(checks, DrugClasses([]), NO_MASTER)
    compiled.items = list(ITEMS)
    [one] = single_hits(compiled, Findings([(c, i, d, m, None, -1) for c, _, i, d, m in screen]), 1000)
    table = result.table[result.table["rule"] == checks[0].rule.code]
    assert one.amount == round(100 * table["amount_at_issue"].iloc[0])


def test_a_hit_has_its_lines_once_and_names_or_codes():
    result = hits(
        [ITEMS_RULE, OTHER_RULE], [(0, "a", 0, 5, 300), (0, "a", 1, 5, 100), (1, "b", 2, 5, 1)], a=1000, b=5
    )
    first, second = result.table.to_dict("records")
    assert (first["line_ids"], first["items"]) == (["a.1", "a.2", "a.3"], ["i0", "i1"])
    assert (first["sentence_zh"], first["sentence_en"]) == ("说明：item 0、item 1", "text: item 0, item 1")
    assert (second["line_ids"], second["sentence_en"]) == ([], "text: i2")
    assert result.claims.index.tolist() == ["a", "b"]


def test_a_claim_of_no_money_divides_nothing():
    result = hits([CLAIM_RULE], [(0, "a", -1, None, 0)], a=0)
    assert result.claims.loc["a", ["amount_at_issue", "fund_at_issue"]].tolist() == [0, 0]


def test_a_superseded_hit_is_dropped_on_the_same_claim_only():
    weak, strong = check("R-WEAK"), check("R-STRONG", supersedes=["R-WEAK"])
    rows = [(0, "a", 0, 5, 300), (1, "a", 0, 5, 200), (0, "b", 0, 5, 100)]
    result = hits([weak, strong], rows, a=1000, b=1000)
    assert result.claims["rule_hits"].to_dict() == {"a": ("R-STRONG",), "b": ("R-WEAK",)}
    assert result.claims["amount_at_issue"].to_dict() == {"a": 2, "b": 1}
    compiled = CompiledRules([weak, strong], DrugClasses([]), NO_MASTER)
    compiled.items = list(ITEMS)
    assert [
        h.code
        for h in single_hits(compiled, Findings([(0, 0, 5, 300, None, -1), (1, 0, 5, 200, None, -1)]), 1000)
    ] == ["R-STRONG"]


@pytest.mark.parametrize(
    ("kind", "subject", "until", "quiet"),
    [
        ("claim", "a", "2026-03-10", True),
        ("claim", "a", "2026-03-09", False),
        ("claim", "b", "2026-12-31", False),
        ("patient", "p-a", "2026-03-10", True),
        ("doctor", "d", "2026-03-11", True),
        ("institution", "h", "2026-03-10", True),
        ("institution", "other", "2026-12-31", False),
        ("department", "k", "2026-12-31", False),
    ],
)
def test_a_snooze_is_silent_up_to_and_with_its_day(kind, subject, until, quiet):
    rows = [(0, "a", 0, 5, 300), (1, "a", 1, 5, 200)]
    result = hits([ITEMS_RULE, OTHER_RULE], rows, Snooze("R-ITEMS", kind, subject, until, "why"), a=1000)
    assert result.table["snoozed"].tolist() == [quiet, False], "the hit is kept and marked"
    assert result.claims.at["a", "rule_hits"] == (("R-OTHER",) if quiet else ("R-ITEMS", "R-OTHER"))
    assert result.claims.at["a", "amount_at_issue"] == (2 if quiet else 5)


def test_a_claim_with_snoozed_hits_only_counts_nothing():
    result = hits(
        [ITEMS_RULE], [(0, "a", 0, 5, 300)], Snooze("R-ITEMS", "claim", "a", "2026-12-31", "why"), a=1000
    )
    assert len(result.table) == 1
    assert result.claims.empty


def test_what_the_data_cannot_decide_is_told_by_name_and_column(tmp_path):
    at = dt.datetime(2026, 3, 2, 9)
    claim = {
        "claim_id": "c", "patient_id": "p", "institution_id": "h", "visit_type": "inpatient", "started_at": at,
        "total_amount": Decimal("1000.00"), "fund_amount": Decimal("500.00"),
    }  # fmt: skip
    line = {
        "line_id": "l", "claim_id": "c", "item_code": "x", "category": "exam", "quantity": 1.0, "unit_price": 1000.0,
        "amount": Decimal("1000.00"),
    }  # fmt: skip
    data = write(tmp_path / "data", {"claims": [claim], "lines": [line], "patients": [{"patient_id": "p"}]})
    both = apply(data, tmp_path / "work", ["2026-03"], load_rule_set())
    assert both.rules_of("c") == {"P-LOW-THRESHOLD", "P-EXAM-SHARE"}
    assert both.batch == both.single
    missing = {c: t.removeprefix("this data has no ") for c, t in both.skipped.items()}
    assert missing["M-INDICATION"] == "claims.diagnosis_code, lines.item_name or items.name"
    assert missing["M-SEX-ITEM"] == "lines.item_name or items.name, patients.sex"
    assert missing["P-DUP-DRUG"] == "lines.days_supply or items.days_per_unit"
    assert missing["P-PRICE-LIMIT"] == "items.price_limit"
    assert missing["P-DEATH"] == "patients.death_date"
    assert missing["D-DOCTOR-CODE"] == "claims.doctor_id"
    assert missing["P-TRACE"] == "feature claim_trace_reused_elsewhere"
    assert not {"D-TOTAL", "D-QUANTITY", "P-DRUG-SHARE"} & set(missing)


VALUES = (None, 0.0, 1.0, 3.25, 12345.67, 1_234_567.0)


def test_every_check_speaks_both_languages():
    told = 0
    for one in load_rule_set().checks():
        for value in VALUES:
            for names in ((), ("药",), ("药一", "药二", "药三", "药四")):
                zh, en = sentences(one, names, names[:1], value)
                assert_whole(one.rule.code, zh, en)
                told += 1
        for zh, en in exemptions(one):
            assert_whole(one.rule.code, zh, en)
    assert told > 5000


def assert_whole(code: str, zh: str, en: str) -> None:
    assert any("一" <= c <= "鿿" for c in zh), (code, zh)
    assert any(c.isascii() and c.isalpha() for c in en), (code, en)
    for text in (zh, en):
        assert not re.search(r"\bnan\b|\binf\b", text), (code, text)
        for wrong in ("None", "；；", "：；", "; ;", ": ;", "  ", "()", "（）", "e+"):
            assert wrong not in text, (code, text)
        assert text == text.strip("；：;:, "), (code, text)


def kinds() -> list[Check]:
    """One check of every kind and of everything it may state."""
    base = {"limit": 2.0, "items": "name:x", "sex": "", "window": "month", "unit": "times"}
    made = []
    for kind in NEEDS:
        whats = {"overlap": OVERLAPS, "sequence": SEQUENCES, "anomaly": ANOMALIES}.get(kind, ("",))
        for what in whats:
            more = base | {"kind": kind, "what": what, "excluded": "name:y", "partners": "name:y"}
            if kind == "limit":
                more["sex"] = "F"
            if kind == "share":
                more["limit"] = 0.8
            if kind == "quantity":
                more["unit"] = "supply_days"
            if kind == "measure":
                more |= {"feature": "claim_drug_classes", "operator": ">", "threshold": 3}
            made.append(check(f"R-{kind}-{what}".upper().replace("_", "-").strip("-"), **more))
    return made


def test_a_claim_refunded_in_full_is_no_hit_whatever_its_features_say():
    one = check("R-M", kind="measure", feature="claim_invoice_reused", operator=">", threshold=0, sex="", items="")
    hits = hits_of(found([one], [(0, "paid", -1, None, 500), (0, "refunded", -1, None, 0)]), facts(paid=900), LINES, ())
    assert hits.table["claim_id"].tolist() == ["paid"]
    assert hits.claims["amount_at_issue"].to_dict() == {"paid": 5.0}
    nothing = hits_of(found([one], [(0, "refunded", -1, None, 0)]), facts(), LINES, ())
    assert nothing.table.empty
    assert nothing.claims.empty


@pytest.mark.parametrize("one", kinds(), ids=lambda c: c.rule.code)
def test_every_kind_speaks_both_languages(one):
    for value in VALUES:
        assert_whole(one.rule.code, *sentences(one, ["药"], ["另一药"], value))


@pytest.mark.parametrize(
    ("more", "value", "zh", "en"),
    [
        (
            {"kind": "frequency", "unit": "times", "limit": 3, "window": "30d"},
            4,
            "30天内4次，限3次",
            "4 times within 30 days, at most 3",
        ),
        (
            {"kind": "frequency", "unit": "claims", "limit": 30, "window": "month"},
            31,
            "当月31次结算，限30次结算",
            "31 claims in the month, at most 30",
        ),
        (
            {"kind": "quantity", "unit": "supply_days", "limit": 180, "carry": True},
            233.4,
            "连同尚未用完的233天用量，限180天用量",
            "233 days of supply with what is still in hand, at most 180",
        ),
        ({"kind": "share", "limit": 0.8}, 0.804, "占80.4%，上限80%", "80.4% of the claim, at most 80%"),
        ({"kind": "anomaly", "what": "price_limit"}, 12345.67, "单价12345.67元", "unit price 12345.67"),
        (
            {"kind": "sequence", "what": "readmission", "limit": 7},
            3,
            "距上次出院3天",
            "after the last discharge: 3 days",
        ),
        ({"kind": "overlap", "what": "stay", "limit": 2}, 5, "重叠5天", "overlap of 5 days"),
        ({"kind": "idle", "limit": 3}, 5, "仅有床位护理费用的5天", "with only bed and nursing: 5 days"),
    ],
)
def test_what_was_measured_is_told(more, value, zh, en):
    told = sentences(check("R-X", **({"sex": ""} | more)), ["药"], [], float(value))
    assert told == (f"说明：药；{zh}", f"text: 药; {en}")


def test_knowledge_is_told_with_its_scope():
    row = KnowledgeRow(
        id="K-1",
        sex="F",
        scope_zh="先兆流产",
        scope_en="threatened miscarriage",
        note_zh="注",
        note_en="note",
        source="t",
    )
    rule = ITEMS_RULE.rule
    zh, en = sentences(Check(rule, row, merged(rule, row)), ["黄体酮"], [], None)
    assert zh == "说明：黄体酮；适应症：先兆流产；注"
    assert en == "text: 黄体酮; meant for: threatened miscarriage; note"


# What audits say of rules, and which rules may put a claim on the list.


def runs(out: Path, **months: list[tuple[str, str, bool]]) -> Path:
    """Run folders with hits: rule, claim, snoozed."""
    for name, rows in months.items():
        folder = out / name.removeprefix("m").replace("_", "-")
        folder.mkdir(parents=True)
        frame = pd.DataFrame(rows, columns=["rule", "claim_id", "snoozed"])
        lines = [[f"{claim}.1"] for claim in frame["claim_id"]]
        frame = frame.assign(month=folder.name, amount_at_issue=10.0, line_ids=lines)
        frame.to_parquet(folder / "rule_hits.parquet")
    return out


def audits(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Decisions on claims: claim, outcome, day."""
    frame = pd.DataFrame(rows, columns=["subject_id", "outcome", "decided_at"])
    return frame.assign(subject_kind="claim", decided_at=pd.to_datetime(frame["decided_at"]))


def test_audits_of_earlier_hits_are_counted(tmp_path):
    out = runs(
        tmp_path,
        m2026_01=[("R-A", "c1", False), ("R-A", "c2", False), ("R-B", "c1", False), ("R-A", "c3", True)],
        m2026_02=[("R-A", "c4", False), ("R-A", "c1", False)],
    )
    known = audits(
        ("c1", "cleared", "2026-01-20"),
        ("c1", "confirmed", "2026-02-20"),
        ("c2", "cleared", "2026-02-01"),
        ("c3", "confirmed", "2026-02-01"),
    )
    known = pd.concat([known, known[:1].assign(subject_kind="doctor", subject_id="c4", outcome="confirmed")])
    counts = audited_hits(out, "2026-03", known)
    assert counts.loc["R-A", ["hits", "snoozed", "confirmed", "cleared"]].tolist() == [4, 1, 1, 1]
    assert counts.loc["R-B", ["hits", "snoozed", "confirmed", "cleared"]].tolist() == [1, 0, 1, 0]


def test_a_line_found_by_two_knowledge_rows_of_a_rule_is_counted_once(tmp_path):
    out = runs(tmp_path, m2026_01=[])
    rows = [
        ("R-A", "c1", 10.0, ["l1"]), ("R-A", "c1", 8.0, ["l1"]), ("R-A", "c1", 6.0, ["l2", "l3"]),
        ("R-B", "c1", 10.0, ["l1"]), ("R-B", "c2", 7.0, []), ("R-B", "c2", 5.0, []), ("R-B", "c2", 3.0, ["l4"]),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["rule", "claim_id", "amount_at_issue", "line_ids"])
    frame.assign(month="2026-01", snoozed=False).to_parquet(out / "2026-01" / "rule_hits.parquet")
    counts = audited_hits(out, "2026-03", audits())
    assert counts["amount_at_issue"].to_dict() == {"R-A": 16.0, "R-B": 17.0}
    assert counts["hits"].to_dict() == {"R-A": 1, "R-B": 2}


def test_what_comes_later_changes_nothing(tmp_path):
    past = {"m2026_01": [("R-A", "c1", False)], "m2026_02": [("R-A", "c2", False)]}
    known = audits(("c1", "confirmed", "2026-02-28"))
    before = audited_hits(runs(tmp_path / "then", **past), "2026-03", known)
    later = runs(
        tmp_path / "now",
        **past,
        m2026_03=[("R-A", "c3", False), ("R-B", "c1", False)],
        m2026_04=[("R-A", "c1", False), ("R-A", "c4", False)],
    )
    more = audits(
        ("c1", "cleared", "2026-03-01"),
        ("c2", "confirmed", "2026-03-01"),
        ("c3", "confirmed", "2026-04-02"),
        ("c4", "cleared", "2027-01-01"),
    )
    pd.testing.assert_frame_equal(audited_hits(later, "2026-03", pd.concat([known, more])), before)
    assert previous_hits_hash(later, "2026-03") == previous_hits_hash(tmp_path / "then", "2026-03")
    rules = RuleSet({"R-A": check("R-A").rule}, {}, DrugClasses([]), (), "")
    assert promoted(rules, before, 0.2) == promoted(
        rules, audited_hits(later, "2026-03", pd.concat([known, more])), 0.2
    )


def test_no_run_and_no_audit_is_no_evidence(tmp_path):
    counts = audited_hits(tmp_path, "2026-03", audits())
    assert counts.empty
    rules = RuleSet({"R-A": check("R-A").rule}, {}, DrugClasses([]), (), "")
    assert promoted(rules, counts, 0.0001) == {}
    counts = audited_hits(runs(tmp_path, m2026_01=[("R-A", "c1", False)]), "2026-03", audits())
    assert counts.loc["R-A", ["hits", "confirmed", "cleared", "at_least"]].tolist() == [1, 0, 0, 0.0]


def test_wilson_bound_is_the_published_one():
    bound = wilson_bound(np.array([0.0, 10.0, 8.0, 5.0, 90.0]), np.array([0.0, 10.0, 10.0, 10.0, 100.0]))
    assert bound.round(4).tolist() == [0.0, 0.7225, 0.4902, 0.2366, 0.8256]
    n = np.arange(1.0, 200.0)
    assert (np.diff(wilson_bound(n, n)) > 0).all(), "more of the same evidence is better evidence"


def test_only_rules_that_may_and_have_proved_right_are_promoted():
    listing = {
        "R-ALWAYS": "always",
        "R-PROVEN": "proven",
        "R-WEAK": "proven",
        "R-REASON": "reason",
        "R-NEW": "proven",
    }
    rules = RuleSet(
        {c: check(c, listing=how).rule for c, how in listing.items()}, {}, DrugClasses([]), (), ""
    )
    counts = pd.DataFrame(
        {"confirmed": [40, 4, 40], "cleared": [0, 6, 0]}, index=["R-PROVEN", "R-WEAK", "R-REASON"]
    )
    counts["at_least"] = wilson_bound(counts["confirmed"].to_numpy(float), counts.sum(axis=1).to_numpy(float))
    chosen = promoted(rules, counts, 0.8)
    assert set(chosen) == {"R-ALWAYS", "R-PROVEN"}
    assert chosen["R-ALWAYS"] == PRIOR[0] / sum(PRIOR)
    assert 0.8 < chosen["R-PROVEN"] < 1
    cleared = pd.DataFrame({"confirmed": [0], "cleared": [30], "at_least": [0.0]}, index=["R-ALWAYS"])
    assert promoted(rules, cleared, 0.8)["R-ALWAYS"] == 0.2, "audits teach a rule that always speaks modesty"


def scored() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "claim_id": ["a", "b", "c", "d"],
            "score": [0.1, 0.9, 0.5, 0.3],
            "amount_at_risk": [100.0, 100.0, 100.0, 100.0],
            "expected_recovery": [10.0, 90.0, 50.0, 30.0],
        }
    )


def test_the_larger_of_two_expected_recoveries_stands_never_their_sum():
    own = pd.DataFrame(
        {"rule_hits": [("R-A",), ("R-A",), ("R-B",)], "fund_at_issue": [50.0, 50.0, 500.0]},
        index=["a", "b", "c"],
    )
    result = with_rules(scored(), own, {"R-A": 0.8}).set_index("claim_id")
    assert result.loc["a"].tolist() == [0.8, 50.0, 40.0], "the rule expects more"
    assert result.loc["b"].tolist() == [0.9, 100.0, 90.0], "the model expects more"
    assert result.loc["c"].tolist() == [0.5, 100.0, 50.0], "a rule that may not speak"
    assert result.loc["d"].tolist() == [0.3, 100.0, 30.0], "no hit"


def test_the_surest_rule_speaks_for_a_claim():
    own = pd.DataFrame({"rule_hits": [("R-A", "R-B", "R-C")], "fund_at_issue": [100.0]}, index=["a"])
    result = with_rules(scored(), own, {"R-A": 0.5, "R-B": 0.9}).set_index("claim_id")
    assert result.at["a", "expected_recovery"] == 90


def test_without_promoted_rules_nothing_changes():
    own = pd.DataFrame({"rule_hits": [("R-A",)], "fund_at_issue": [1000.0]}, index=["a"])
    pd.testing.assert_frame_equal(with_rules(scored(), own, {}), scored())
    pd.testing.assert_frame_equal(with_rules(scored(), own[:0], {"R-A": 1.0}), scored())
    pd.testing.assert_frame_equal(with_rules(scored(), own, {"R-B": 1.0}), scored())
