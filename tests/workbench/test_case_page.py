"""What the case page shows around the rationale: lines, time, parts, related cases, explanations."""

import math
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import write_data, write_run

from fraud.workbench import details
from fraud.workbench.cases import act
from fraud.workbench.desk import Lines
from fraud.workbench.details import Details, marked_lines, portions, read_details, ring_days
from fraud.workbench.models import Case, Evidence, Ring, RuleHit, TrailEntry
from fraud.workbench.notes import mark
from fraud.workbench.presenting import shown_hits
from fraud.workbench.publishing import publish
from fraud.workbench.sight import Sight
from fraud.workbench.surroundings import checked, parts, related
from fraud.workbench.timeline import LEFT, WIDTH, picture

STORED = "<script>alert(1)</script>"


@pytest.fixture
def told(tmp_path):
    """The case of a patient, published with its dataset, beside a doctor's and a claim's."""
    subjects = [("patient", "Z1", 80.0), ("doctor", "D7", 50.0), ("claim", "Z1-a", 5.0)]
    run = write_run(tmp_path / "runs", "2025-07", subjects)
    publish(run, "test", {"P-DUP-DRUG": ("重复开药", "条款")}, write_data(tmp_path / "data"))
    return Case.objects.get(subject_id="Z1", open=True)


def test_the_page_shows_lines_time_parts_and_related_cases(browser, told):
    answer = browser("auditor").get(f"/cases/{told.pk}/")
    assert answer.status_code == 200, (answer.status_code, answer.headers)
    page = answer.content.decode()
    for shown in (
        "缬沙坦",
        "&lt;b&gt;床位",
        "明细 2 行",
        "时间线",
        "金额落在何处",
        "同一医师",
        "已核查的无辜解释",
    ):
        assert shown in page, shown
    assert f'href="/cases/{Case.objects.get(subject_id="D7").pk}/"' in page
    assert "?item=X1" in page
    assert (
        "frame-src 'self'" in browser("auditor").get(f"/cases/{told.pk}/").headers["Content-Security-Policy"]
    )


def test_what_is_left_without_the_innocent_claims_is_said(browser, case, people):
    case = act(case.pk, "take", people["auditor"], case.version)
    assert browser("auditor").get(f"/cases/{case.pk}/").context["left"] == 180_000
    mark(case, people["auditor"], "P1-a", "innocent")
    page = browser("auditor").get(f"/cases/{case.pk}/")
    assert page.context["left"] == 90_000
    assert "证据结算涉及 900.00" in page.content.decode()


def test_hundreds_of_claims_come_in_parts(browser, told):
    own = told.suspicions.get()
    first = own.evidence.get(place=1)
    Evidence.objects.bulk_create(
        Evidence(suspicion=own, place=n, claim_id=f"more{n}", facts=first.facts) for n in range(3, 251)
    )
    late = own.evidence.get(place=100)
    Lines.objects.create(evidence=late, total=3, odd=2, rows=first.lines.rows)
    client = browser("auditor")
    page = client.get(f"/cases/{told.pk}/").content.decode()
    assert "more200" in page and "more201" not in page
    assert "显示全部 250 笔" in page
    assert f'href="/cases/{told.pk}/claims/{late.pk}/">明细 3 行' in page
    assert "more250" in client.get(f"/cases/{told.pk}/?claims=all").content.decode()


def test_the_page_of_a_claim(browser, told):
    claim = told.suspicions.get().evidence.get(place=1)
    answer = browser("auditor").get(f"/cases/{told.pk}/claims/{claim.pk}/")
    assert "缬沙坦" in answer.content.decode()
    row = TrailEntry.objects.last()
    assert (row.subject, row.details) == (f"case:{told.pk}", f'{{"claim": {claim.pk}}}')
    other = Case.objects.get(subject_id="D7", open=True)
    assert browser("auditor").get(f"/cases/{other.pk}/claims/{claim.pk}/").status_code == 404


def test_the_timeline_is_of_the_subject_up_to_the_month(told):
    rows = told.suspicions.get().timeline.rows
    assert [r[:4] for r in rows] == [
        ["2025-06-03", "2025-06-03", "outpatient", "H1"],
        ["2025-07-02", "2025-07-09", "inpatient", "H2"],
    ]
    assert [r[4] for r in rows] == [2_000, 3_000]
    doctor = Case.objects.get(subject_id="D7").suspicions.get().timeline.rows
    assert doctor == [["2025-06-03", 1, 2_000], ["2025-07-09", 1, 3_000], ["2025-07-10", 1, 500]]


def test_nothing_after_the_month_is_read(tmp_path):
    found = read_details(
        write_data(tmp_path / "data"), "2025-06", ["Z1-a"], {"patient": ["Z1"], "doctor": ["D7"]}
    )
    assert [r[5] for r in found.claims["Z1"]] == ["Z1-a"]
    assert found.days == {("doctor", "D7"): [["2025-06-03", 1, 2_000]]}


def test_typical_amounts_are_within_an_eighth_of_an_octave(tmp_path):
    cents = [100 + 7 * n for n in range(1001)]
    table = {"line_id": [str(n) for n in range(1001)], "claim_id": ["c"] * 1001, "item_code": ["X"] * 1001,
             "amount": pa.array([c / 100 for c in cents])}  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "lines.parquet")
    number, median, high = details._typical(tmp_path / "lines.parquet", ["X", "Y"])["X"]
    assert number == 1001
    for found, true in ((median, cents[500]), (high, cents[990])):
        assert abs(math.log2(found / true)) <= 1 / 8


def test_odd_lines_come_first():
    lines = [
        {"id": n, "code": "X", "name": "", "category": "", "quantity": 1.0, "price": c, "cents": c, "at": ""}
        for n, c in (("L1", 100), ("L2", 900), ("L3", 350), ("L4", 50))
    ]
    found = Details(lines={"C": lines}, typical={"X": (200, 100, 300)})
    hits = [
        {"rule": "R", "snoozed": False, "line_ids": ["L4"]},
        {"rule": "S", "snoozed": True, "line_ids": ["L1"]},
    ]
    rows = marked_lines(found, "C", hits, {"R": ("重复", "")})
    assert [(r["id"], r["rules"], r["dear"]) for r in rows] == [
        ("L2", [], 9.0), ("L3", [], 3.5), ("L4", ["重复"], None), ("L1", [], None)]  # fmt: skip
    few = Details(lines={"C": lines}, typical={"X": (99, 100, 300)})
    assert {r["dear"] for r in marked_lines(few, "C", [], {})} == {None}


def test_portions_count_a_claim_once_and_keep_the_dearest_items():
    lines = [{"code": f"I{n:03d}", "name": "x", "cents": n} for n in range(100)] + [
        {"code": "I099", "name": "x", "cents": 1}
    ]
    rows = list(
        portions(["C"], {"C": {"doctor_id": "D", "patient_id": None}}, {"C": 5}, Details(lines={"C": lines}))
    )
    assert ("doctor", "D", "", 1, 5) in rows
    items = [r for r in rows if r[0] == "item"]
    assert len(items) == details.MOST_ITEMS
    assert items[-1] == ("item", "I099", "x", 1, 100)


def test_days_of_a_ring():
    claims = [{"settled_at": "2025-06-03 10:00", "amount": 1.25}, {"settled_at": "2025-06-03", "amount": 2},
              {"settled_at": "2025-05-01", "amount": None}]  # fmt: skip
    assert ring_days(claims) == [["2025-05-01", 1, 0], ["2025-06-03", 2, 325]]


def test_dots_stay_in_the_picture_and_evidence_is_drawn_last():
    start = date(2024, 7, 1)
    days = [(n, start + timedelta(n), start + timedelta(n + 5 * (n % 9 == 0))) for n in range(0, 700, 7)]
    rows = [[str(a), str(b), "inpatient", f"H{n % 11}", 100 * n - 300, f"C{n}"] for n, a, b in days]
    made = picture("patient", rows, {"C7": {}, "C693": {}})
    assert len(made["lanes"]) == 7
    assert "其余 5 家" in made["lanes"][-1][1]
    assert [d["odd"] for d in made["dots"]].index(True) == len(rows) - 2
    for dot in made["dots"]:
        assert LEFT <= dot["x"] <= WIDTH
        assert dot["r"] >= 2.5
        assert 0 < dot["y"] < made["base"]


def test_bars_never_overflow_and_evidence_is_part_of_them():
    rows = [[str(date(2025, 1, 1) + timedelta(n)), 1, 1000 - 30 * n] for n in range(40)]
    evidence = {
        "C": {"settled_at": "2025-01-08 10:00", "fund_amount": 10**9},
        "D": {},
        "E": {"settled_at": "2030-01-01"},
    }
    made = picture("doctor", rows, evidence)
    for bar in made["bars"]:
        assert 0 <= bar["h"] <= 90
        assert bar["odd_h"] <= max(bar["h"], 2)
    assert sum(bar["odd_h"] > 0 for bar in made["bars"]) == 1
    assert picture("doctor", [], {}) is None


def test_explanations_say_what_came_of_them(case):
    ring = {
        "explanations": [
            {"zh": "透析", "en": "dialysis", "explains": True},
            {"zh": "体检", "explains": False},
        ]
    }
    hits = [RuleHit(rule="R", name="重复", exemptions=["诊断"]) for _ in range(2)]
    hits.append(RuleHit(rule="S", exemptions=[], snoozed=True))
    found = [(c["words"], c["explains"], c["on"]) for c in checked(ring, shown_hits(hits, Sight([])))]
    assert found == [("已静默", True, {"S": 1}), ("透析", True, {"团伙": 1}), ("诊断", False, {"重复": 2}),
                     ("体检", False, {"团伙": 1})]  # fmt: skip


def test_related_cases_and_parts(told, people):
    found = related(told, people["auditor"], Sight([]))
    groups = {g["kind"]: [c.subject_id for c in g["cases"]] for g in found}
    assert groups == {"doctor": ["D7"], "institution": ["D7"]}
    shown = {p["kind"]: [r["row"].code for r in p["rows"]] for p in parts(told)}
    assert shown == {
        "item": ["X1", "X2"],
        "department": ["K1"],
        "doctor": ["D7"],
        "institution": ["H2", "H1"],
    } or (shown["institution"] == ["H1", "H2"])


def test_ring_mates_are_related(case, people):
    Case.objects.filter(subject_id__in=["P1", "D1"]).update(ring_id="R1")
    case.refresh_from_db()
    (group,) = related(case, people["auditor"], Sight([]))
    assert [c.subject_id for c in group["cases"]] == ["R1", "D1"]
    assert Ring.objects.filter(ring_id="R1").exists()


def test_stored_scripts_in_lines_and_comments_are_text(browser, told):
    lines = told.suspicions.get().evidence.get(place=1).lines
    lines.rows = [{**lines.rows[0], "name": STORED, "rules": [STORED]}]
    lines.save()
    told.portions.filter(kind="item").update(name=STORED)
    page = browser("auditor").get(f"/cases/{told.pk}/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
