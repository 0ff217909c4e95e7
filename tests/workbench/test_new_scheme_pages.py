"""What the learning loop leaves in a run: groups of odd claims, claims chosen to learn from, two models."""

import json
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from run_folders import LEARNT, challenger, groups, write_run

from fraud.errors import DataError
from fraud.runs import RunFolder, write_table
from fraud.suspicion.learning import MARK
from fraud.workbench import trail
from fraud.workbench.audits import decisions
from fraud.workbench.books import Mark
from fraud.workbench.cases import Given, Refused, act
from fraud.workbench.contests import rates
from fraud.workbench.desk import Lines, Portion, PortionSum, Timeline, Verdict
from fraud.workbench.detailing import sum_portions
from fraud.workbench.learnt import Contest, NewScheme, OddClaim
from fraud.workbench.marks import for_learning
from fraud.workbench.models import Case, Evidence, Run, Step, TrailEntry, Unit
from fraud.workbench.notes import mark
from fraud.workbench.publishing import publish
from fraud.workbench.scheme_cases import open_cases
from fraud.workbench.schemes import fates
from fraud.workbench.scope import limit

PEOPLE = {f"N{i}": f"NP{i % 3}" for i in range(8)}


def odd_data(folder):
    """A dataset of the groups' claims: N0 to N4 near, the others far; and of the listed P1."""
    folder.mkdir()
    ids = [*LEARNT, "P1-a", "P1-b"]
    near = [c in LEARNT[:5] or c == "P1-a" for c in ids]
    day = pa.array([pd.Timestamp("2025-08-03 09:00")] * len(ids), pa.timestamp("us"))
    claims = {
        "claim_id": ids, "patient_id": [PEOPLE.get(c, "P1") for c in ids],
        "institution_id": ["H-NEAR" if n else "FAR-H" for n in near],
        "department_id": ["K-NEAR" if n else "FAR-K" for n in near],
        "doctor_id": ["D-NEAR" if n else "FAR-D" for n in near],
        "visit_type": ["outpatient"] * len(ids), "settled_at": day, "started_at": day, "ended_at": day,
        "fund_amount": pa.array([100.0] * len(ids)),
    }  # fmt: skip
    pq.write_table(pa.table(claims), folder / "claims.parquet")
    lines = {"line_id": [f"L{c}" for c in ids], "claim_id": ids, "item_code": ["X1"] * len(ids),
             "item_name": ["缬沙坦"] * len(ids), "amount": pa.array([90.0] * len(ids))}  # fmt: skip
    pq.write_table(pa.table(lines), folder / "lines.parquet")
    places = {"institution_id": ["H-NEAR", "FAR-H"], "region": ["east", "FAR-west"]}
    pq.write_table(pa.table(places), folder / "institutions.parquet")
    return folder


@pytest.fixture
def month(tmp_path):
    """A later month with the same groups, with its dataset."""
    folder = write_run(tmp_path / "runs", "2025-08", [("patient", "P1", 5.0)], learnt=True)
    publish(folder, "test", dataset=odd_data(tmp_path / "data"))
    return Run.objects.get(month="2025-08")


@pytest.fixture
def scheme(month):
    """Its first group, of six claims."""
    return NewScheme.objects.get(run=month, place=1)


def test_groups_are_told_with_money_and_examples_and_what_became_of_them(browser, scheme):
    page = browser("read_only").get("/schemes/").content.decode()
    for shown in (
        "N-0",
        "N-1",
        "复诊次数13（全部一般为2）",
        "6 笔",
        "600 元",
        "同一机构 H1",
        "N0",
        "NP0",
        "尚未立案",
    ):
        assert shown in page, shown
    row = TrailEntry.objects.last()
    assert (row.action, row.subject, row.details) == ("viewed", "schemes", '{"month": "2025-08"}')
    own = browser("read_only").get(f"/schemes/{scheme.pk}/").content.decode()
    for shown in ("86%", "80%", "D-NEAR", "2025-08-03 09:00", "其他月份", "N5"):
        assert shown in own, shown
    assert "立案</button>" not in own
    assert TrailEntry.objects.last().subject == f"scheme:{scheme.pk}"
    assert "N-0" in browser("read_only").get("/schemes/?month=2025-06").content.decode()
    assert browser("read_only").get("/schemes/?month=x").context["month"] == "2025-08"
    assert browser("read_only").get("/schemes/999/").status_code == 404


def test_a_senior_auditor_takes_claims_into_cases(browser, scheme):
    client = browser("senior_auditor")
    assert "选中的立案" in client.get(f"/schemes/{scheme.pk}/").content.decode()
    answer = client.post(
        f"/schemes/{scheme.pk}/take/", {"claim": ["N1", "N3", "N7", "nonsense"]}, follow=True
    )
    assert "已立案 2 件" in answer.content.decode()
    case = Case.objects.get(subject_id="N1")
    assert (case.source, case.state, case.month, case.subject_kind) == (
        "scheme",
        "unassigned",
        "2025-08",
        "claim",
    )
    assert (case.at_risk_cents, case.expected_cents, case.claims) == (10_000, 1_000, 1)
    assert set(Mark.objects.filter(case=case).values_list("kind", "code")) == {("detector", "novelty")}
    step = Step.objects.get(case=case)
    assert (step.actor, step.text) == ("senior_auditor", "2025-08 新手法 N-0")
    assert Unit.objects.filter(case=case, kind="region", code="east").exists()
    assert Lines.objects.get(evidence__claim_id="N1").rows[0]["name"] == "缬沙坦"
    assert Timeline.objects.filter(suspicion__case=case).exists()
    row = TrailEntry.objects.get(action="scheme_taken")
    assert row.subject == f"scheme:{scheme.pk}"
    assert json.loads(row.details)["cases"] == sorted(
        Case.objects.filter(source="scheme").values_list("pk", flat=True)
    )
    assert trail.verify().whole
    page = client.get(f"/cases/{case.pk}/").content.decode()
    for shown in (
        "新手法",
        f'href="/schemes/{scheme.pk}/"',
        "以同样的方式不同寻常",
        "缬沙坦",
        "2025-08 新手法 N-0",
    ):
        assert shown in page, shown
    assert "H1" not in case.top_reason  # where most of the group is, this claim need not be
    listed = client.get("/cases/?source=scheme")
    assert {c.subject_id for c in listed.context["page"]} == {"N1", "N3"}
    assert "新手法" in listed.content.decode()


def test_sums_stay_what_a_publication_would_write(people, scheme):
    open_cases(scheme.pk, LEARNT, people["senior_auditor"])
    told = list(
        PortionSum.objects.order_by("kind", "code").values_list("kind", "code", "cases", "claims", "cents")
    )
    assert ("doctor", "D-NEAR", 6, 6, 50_500) in told
    sum_portions()
    again = PortionSum.objects.order_by("kind", "code").values_list(
        "kind", "code", "cases", "claims", "cents"
    )
    assert told == list(again)
    assert Portion.objects.filter(case__source="scheme", kind="item").count() == 6


def test_nobody_takes_what_is_held_or_may_not(browser, people, scheme):
    assert len(open_cases(scheme.pk, ["N0"], people["senior_auditor"])) == 1
    for chosen in (["N0"], [], ["N7"], ["P1-a"]):
        with pytest.raises(Refused, match="没有可以立案"):
            open_cases(scheme.pk, chosen, people["head"])
    for role in ("auditor", "data_scientist", "read_only"):
        with pytest.raises(Refused):
            open_cases(scheme.pk, ["N1"], people[role])
        assert browser(role).post(f"/schemes/{scheme.pk}/take/", {"claim": "N1"}).status_code == 403
    answer = browser("head").post(f"/schemes/{scheme.pk}/take/", {"claim": "N0"}, follow=True)
    assert "没有可以立案的结算" in answer.content.decode()
    browser("head").post(f"/schemes/{scheme.pk}/take/", {"all": "1"})
    assert Case.objects.filter(source="scheme").count() == 6
    assert "选中的立案" not in browser("head").get(f"/schemes/{scheme.pk}/").content.decode()


def test_what_became_of_a_group(browser, people, scheme):
    boss = people["everything"]
    first, second, _ = (Case.objects.get(pk=pk) for pk in open_cases(scheme.pk, ["N0", "N1", "N2"], boss))
    first = act(first.pk, "take", boss, first.version)
    act(first.pk, "clear", boss, first.version, Given(reason="dialysis"))
    second = act(second.pk, "take", boss, second.version)
    mark(second, boss, second.subject_id, "innocent")
    Case.objects.filter(pk=second.pk).update(outcome="confirmed", open=False, decided_at=first.opened_at)
    listed = Case.objects.get(subject_id="P1", month="2025-08")
    for claim, word in (("N3", "innocent"), ("N4", "")):  # a listed case rests on them too
        Evidence.objects.create(suspicion=listed.suspicions.latest("id"), place=9, claim_id=claim, facts={})
        if word:
            Verdict.objects.create(case=listed, actor="test", claim_id=claim, verdict=word)
    Case.objects.filter(pk=listed.pk).update(outcome="confirmed", open=False, decided_at=timezone.now())
    found = {c: f.outcome for c, f in fates(LEARNT).items()}
    assert found == {"N0": "cleared", "N1": "confirmed", "N2": "", "N3": "cleared", "N4": "confirmed"}
    told = {d["subject_id"]: d["outcome"] for d in decisions()}
    assert {c: o for c, o in found.items() if o} == {c: told[c] for c in found if c in told}
    assert {d["reason"] for d in decisions() if d["subject_id"] == "N0"} == {"scheme"}
    page = browser("read_only").get(f"/schemes/{scheme.pk}/").content.decode()
    assert f'href="/cases/{first.pk}/"' in page
    assert "已在案 5 笔 · 确认 2（200 元） · 排除 2" in " ".join(
        browser("read_only").get("/schemes/").content.decode().split()
    )
    earlier = NewScheme.objects.get(run__month="2025-06", place=1)
    assert "案件" in browser("read_only").get(f"/schemes/{earlier.pk}/").content.decode()


def test_a_listed_case_that_holds_a_claim_is_shown_and_the_claim_not_taken_again(people, browser, scheme):
    own = Case.objects.get(subject_id="P1", month="2025-08").suspicions.order_by("-id").first()
    Evidence.objects.create(suspicion=own, place=9, claim_id="N4", facts={})
    assert (
        f'href="/cases/{own.case_id}/"' in browser("read_only").get(f"/schemes/{scheme.pk}/").content.decode()
    )
    with pytest.raises(Refused):
        open_cases(scheme.pk, ["N4"], people["head"])


@pytest.mark.parametrize("unit", [("institution", "H-NEAR"), ("department", "K-NEAR"), ("region", "east")])
def test_a_limited_account_sees_and_takes_its_own_units_claims(browser, people, scheme, unit):
    limit(people["everything"], [unit], "test")
    client, pages = browser("everything"), {}
    for address in ("/schemes/", f"/schemes/{scheme.pk}/", "/model/"):
        pages[address] = client.get(address).content.decode()
        assert "FAR-" not in pages[address], address
        assert ">N5<" not in pages[address], address
        assert ">N7<" not in pages[address], address
        # most of the group is there, and not shown; as a word: the random token of a form may hold it
        assert not re.search(r"\bH1\b", pages[address]), address
    assert "另有 1 条属其他机构，共 100.00 元" in pages["/schemes/"]
    other = NewScheme.objects.get(run=scheme.run, place=2)
    assert client.get(f"/schemes/{other.pk}/").status_code == 404
    assert TrailEntry.objects.last().action == "refused"
    assert "N-1" not in pages["/schemes/"]
    client.post(f"/schemes/{scheme.pk}/take/", {"claim": LEARNT})
    assert {c.subject_id for c in Case.objects.filter(source="scheme")} == set(LEARNT[:5])
    client.post(f"/schemes/{other.pk}/take/", {"all": "1"})
    assert Case.objects.filter(source="scheme").count() == 5
    assert "合计包括其他单位" in pages["/model/"]
    assert "P1" in pages["/model/"]
    assert "13,800" not in pages["/model/"]


def test_claims_published_without_a_dataset_are_hidden_from_limited_accounts(browser, people):
    limit(people["everything"], [("institution", "H1")], "test")
    assert "没有涉及您可以看的单位" in browser("everything").get("/schemes/").content.decode()


def test_the_models_beside_each_other(browser, people, month):
    page = browser("data_scientist").get("/model/").content.decode()
    for shown in ("v7", "v8", "city", "wider", "2025-04", "15 / 20", "0.875", "1.38 万元", "P1", "N7"):
        assert shown in page, shown
    listed = Case.objects.get(subject_id="P1")
    assert f'href="/cases/{listed.pk}/"' in page
    assert TrailEntry.objects.last().subject == "model"
    assert browser("auditor").get("/model/").status_code == 403


def test_how_often_each_month_s_list_was_right(browser, people, case, scheme):
    boss = people["everything"]
    (odd,) = open_cases(scheme.pk, ["N0"], boss)
    for pk in (case.pk, odd):
        taken = act(pk, "take", boss, Case.objects.get(pk=pk).version)
        act(pk, "clear", boss, taken.version, Given(reason="dialysis"))
    Case.objects.filter(pk=odd).update(outcome="confirmed")
    found = dict(rates(people["head"]))
    assert [r and (r["confirmed"], r["decided"]) for r in found["2025-08"]] == [(0, 1), None, None, (1, 1)]
    page = browser("head").get("/model/").content.decode()
    assert "month=2025-08&amp;source=scheme&amp;outcome=confirmed" in page
    assert (
        browser("head")
        .get("/cases/?month=2025-08&source=scheme&outcome=confirmed")
        .context["totals"]["cases"]
        == 1
    )


def learning_run(out, month, code=MARK):
    """A run whose one suspicion is there to be learnt from."""
    reason = {
        "code": code,
        "sentence_zh": "为学习而选",
        "sentence_en": "Chosen for learning",
        "contribution": 0.0,
    }
    row = {"rank": 1, "suspicion_id": "S-L", "month": month, "subject_kind": "claim", "subject_id": "L1",
           "score": 0.5, "amount_at_risk": 10.0, "expected_recovery": 5.0, "status_vs_last_month": "new",
           "reasons": [reason], "evidence_claim_ids": ["L1"], "rationale_hash": "0" * 64}  # fmt: skip
    claim = {"claim_id": "L1", "month": month, "score": 0.5, "anomaly": 0.9, "rule_hits": [], "ring_id": "",
             "amount_at_risk": 10.0, "expected_recovery": 5.0}  # fmt: skip
    with RunFolder(out, month) as run:
        for table in ("rule_hits", "rings", "ring_members"):
            write_table(None, table, run.part)
        write_table(pd.DataFrame([claim]), "claims_scored", run.part)
        write_table(pd.DataFrame([row]), "suspicions", run.part)
        run.write_manifest({"fingerprint": f"l-{month}", "totals": {}})
    return run.final


def test_what_was_chosen_for_learning_is_marked_filtered_and_exported_as_such(browser, people, tmp_path):
    publish(learning_run(tmp_path, "2025-07"), "test")
    case = Case.objects.get(subject_id="L1")
    assert case.source == "learning"
    assert set(Mark.objects.filter(case=case).values_list("kind", "code")) == {("detector", "learning")}
    client = browser("auditor")
    listed = client.get("/cases/?source=learning")
    assert [c.subject_id for c in listed.context["page"]] == ["L1"]
    assert 'class="mark learning"' in listed.content.decode()
    page = client.get(f"/cases/{case.pk}/").content.decode()
    assert 'class="mark learning"' in page
    assert "不表示更可疑" in page
    case = act(case.pk, "take", people["auditor"], case.version)
    act(case.pk, "clear", people["auditor"], case.version, Given(reason="records_support"))
    assert [(d["subject_id"], d["reason"]) for d in decisions()] == [("L1", "learning")]


def test_a_case_is_what_its_newest_month_says_of_it(tmp_path):
    publish(learning_run(tmp_path, "2025-07"), "test")
    publish(learning_run(tmp_path, "2025-08", "amount"), "test")
    assert Case.objects.get(subject_id="L1").source == "ranked"
    Case.objects.filter(subject_id="L1").update(source="random")
    publish(learning_run(tmp_path, "2025-09"), "test")
    assert Case.objects.get(subject_id="L1").source == "random"
    assert not for_learning({"reasons": []})


def test_publishing_keeps_them_once_whole_or_not_at_all(tmp_path):
    folder = write_run(tmp_path / "runs", "2025-07", learnt=True)
    before = {m: m.objects.count() for m in (NewScheme, OddClaim, Contest)}
    (folder / "challenger.json").write_text(json.dumps(challenger("X")), encoding="utf-8")
    with pytest.raises(DataError, match="differ from its manifest"):
        publish(folder, "test")
    assert {m: m.objects.count() for m in before} == before
    (folder / "challenger.json").write_text(json.dumps(challenger()), encoding="utf-8")
    assert not publish(folder, "test").already
    assert publish(folder, "test").already
    assert NewScheme.objects.count() == before[NewScheme] + len(groups())
    assert OddClaim.objects.count() == before[OddClaim] + len(LEARNT)
    stray = write_run(tmp_path / "stray", "2025-08")
    (stray / "new_schemes.json").write_text(json.dumps(groups()), encoding="utf-8")
    publish(stray, "test")  # the manifest does not name it: whose it is nobody knows
    assert not NewScheme.objects.filter(run__month="2025-08").exists()
    assert Contest.objects.get(run__month="2025-08").told == {}


def test_pages_ask_as_often_however_much_there_is(browser, people, scheme):
    client, asked = browser("head"), {}
    addresses = ("/schemes/", f"/schemes/{scheme.pk}/", "/model/")
    open_cases(scheme.pk, LEARNT[:1], people["head"])
    for address in addresses:
        client.get(address)
        with CaptureQueriesContext(connection) as few:
            client.get(address)
        asked[address] = len(few)
    rows = [
        OddClaim(scheme=s, place=50 + i, claim_id=f"M{s.pk}-{i}", cents=5, facts={"institution_id": "H1"})
        for s in NewScheme.objects.filter(run=scheme.run) for i in range(40)
    ]  # fmt: skip
    OddClaim.objects.bulk_create(rows)
    open_cases(scheme.pk, LEARNT[1:5], people["head"])
    for address in addresses:
        with CaptureQueriesContext(connection) as many:
            client.get(address)
        assert len(many) == asked[address], address
