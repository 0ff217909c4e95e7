"""An account limited to some units sees, opens, takes and exports their cases and no others."""

from datetime import datetime
from io import BytesIO

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.test import Client
from django.urls import reverse
from run_folders import write_run
from test_permissions import ARGUMENTS, OWN, PAGES, POSTED

from fraud.errors import UsageError
from fraud.workbench.cases import Given, Refused, act, take_next
from fraud.workbench.desk import Verdict
from fraud.workbench.models import Account, Case, Evidence, TrailEntry, Unit
from fraud.workbench.publishing import publish
from fraud.workbench.scope import UNPLACED, limit, units_of, visible
from fraud.workbench.sealed import Name, keep
from fraud.workbench.sight import STARS, shows, sight
from fraud.workbench.timeline import seen_past
from fraud.workbench.urls import urlpatterns

MANY = [("patient", "SEEN-1", 9e6), ("patient", "OTHERS-2", 8e6), ("department", "OTHERS-D3", 7e6)]

ROUTES = {p.name: str(p.pattern) for p in urlpatterns}


@pytest.fixture
def limited(tmp_path, people):
    """Everything's roles, but for one institution only; `MANY` is the month."""
    data = tmp_path / "data"
    data.mkdir()
    claims = [f"{s}-{x}" for _, s, _ in MANY for x in "ab"]
    places = ["H-NEAR" if c.startswith("SEEN") else "H-FAR" for c in claims]
    pq.write_table(pa.table({"claim_id": claims, "institution_id": places}), data / "claims.parquet")
    pq.write_table(
        pa.table({"institution_id": ["H-NEAR", "H-FAR"], "region": ["east", "west"]}),
        data / "institutions.parquet",
    )
    publish(write_run(tmp_path / "runs", "2025-07", MANY), "test", dataset=data)
    limit(people["everything"], [("institution", "H-NEAR")], "test")
    return Account.objects.get(username="everything")


def hidden() -> Case:
    return Case.objects.get(subject_id="OTHERS-2")


def test_what_a_case_rests_on(limited):
    own = set(Unit.objects.filter(case__subject_id="OTHERS-D3").values_list("kind", "code"))
    assert own == {("institution", "H-FAR"), ("department", "OTHERS-D3"), ("region", "west")}
    facts = [{"institution_id": None, "department_id": ""}]
    found = units_of("patient", "P", facts, {"patient:P": "north"})
    assert found == {("region", "north"), (UNPLACED, UNPLACED)}


def test_by_region_department_and_institution(limited):
    def seen(*units):
        limit(limited, units, "test")
        return set(visible(Account.objects.get(pk=limited.pk)).values_list("subject_id", flat=True))

    assert seen(("institution", "H-NEAR")) == {"SEEN-1"}
    assert seen(("region", "west")) == {"OTHERS-2", "OTHERS-D3"}
    assert seen(("region", "east"), ("department", "OTHERS-D3")) == {"SEEN-1", "OTHERS-D3"}
    assert seen(("region", "nowhere")) == set()
    assert len(seen()) == Case.objects.count()


@pytest.mark.parametrize("name", [n for n in PAGES if n not in ("asset", "plotly", "sign_out", "trail")])
def test_no_page_shows_another_unit_s_case(browser, limited, name):
    client = browser("everything")
    arguments = ARGUMENTS.get(name, [])
    if arguments == OWN:
        arguments = [limited.pk]
    elif "<int:case_id>" in ROUTES[name]:
        arguments = [hidden().pk, *arguments[1:]]
    address = reverse(name, args=arguments)
    response = client.post(address) if name in POSTED else client.get(address)
    assert b"OTHERS" not in response.content
    if "<int:case_id>" in ROUTES[name]:
        assert response.status_code == 404


def test_refused_addresses_are_in_the_trail(browser, limited):
    assert browser("everything").get(f"/cases/{hidden().pk}/").status_code == 404
    assert TrailEntry.objects.get(action="refused").actor == "everything"


def test_steps_and_take_next(limited):
    case = hidden()
    with pytest.raises(Refused):
        act(case.pk, "take", limited, case.version)
    assert take_next(limited).subject_id == "SEEN-1"
    assert take_next(limited) is None


def test_nobody_is_given_a_case_outside_the_limits(limited, people):
    case = hidden()
    with pytest.raises(Refused, match="看不到"):
        act(case.pk, "assign", people["head"], case.version, Given(assignee="everything"))


def test_exports_hold_what_is_seen(browser, limited, people):
    for case in Case.objects.filter(month="2025-07"):
        case = act(case.pk, "take", people["auditor"], case.version)
        act(case.pk, "clear", people["auditor"], case.version, Given(reason="season"))
    told = browser("everything").post("/audits/export/").content.decode()
    assert "SEEN-1" in told
    assert "OTHERS" not in told


@pytest.mark.parametrize("units", [[("street", "x")], [("region", " ")]])
def test_limits_that_are_none(limited, units):
    with pytest.raises(UsageError):
        limit(limited, units, "test")


def test_an_administrator_limits_accounts_and_lifts_it_again(browser, people):
    admin, auditor = browser("administrator"), people["auditor"]
    address = f"/accounts/{auditor.pk}/"
    admin.post(address, {"action": "limit", "limits": "region=R1 institution=H1，H2"})
    assert sorted(auditor.scopes.values_list("code", flat=True)) == ["H1", "H2", "R1"]
    assert "institution=H1 institution=H2 region=R1" in admin.get("/accounts/").content.decode()
    admin.post(address, {"action": "limit", "limits": "street=x"})
    assert auditor.scopes.count() == 3
    admin.post(address, {"action": "limit", "limits": ""})
    assert not auditor.scopes.exists()
    assert TrailEntry.objects.filter(action="account_limited", actor="administrator").count() == 2


PARTLY = [("patient", "MIX-1", 9e6), ("doctor", "D-NEAR", 8e6), ("patient", "SEEN-1", 7e6)]


@pytest.fixture
def partly(tmp_path, people):
    """A patient whose one claim is at the account's institution and the other elsewhere; a doctor alike."""
    data = tmp_path / "data"
    data.mkdir()
    claims = [f"{s}-{x}" for _, s, _ in PARTLY for x in "ab"]
    far = [c.endswith("-b") and not c.startswith("SEEN") for c in claims]
    day = pa.array([datetime(2025, 7, 2)] * len(claims), pa.timestamp("us"))
    table = {
        "claim_id": claims, "institution_id": ["FAR-H" if f else "H-NEAR" for f in far],
        "department_id": ["FAR-K" if f else "K-NEAR" for f in far],
        "doctor_id": ["FAR-D" if f else "D-NEAR" for f in far],
        "patient_id": ["FAR-P" if f and c.startswith("D-") else c[:-2] if c[0] != "D" else "P-NEAR"
                       for c, f in zip(claims, far, strict=True)],
        "visit_type": ["outpatient"] * len(claims), "settled_at": day,
        "fund_amount": pa.array([1.5] * len(claims)),
    }  # fmt: skip
    pq.write_table(pa.table(table), data / "claims.parquet")
    lines = {"line_id": [f"L{c}" for c in claims], "claim_id": claims,
             "item_code": ["FAR-X" if f else "X-NEAR" for f in far],
             "item_name": ["FAR-NAME" if f else "name" for f in far],
             "amount": pa.array([2.0] * len(claims))}  # fmt: skip
    pq.write_table(pa.table(lines), data / "lines.parquet")
    places = {"institution_id": ["H-NEAR", "FAR-H"], "region": ["east", "FAR-west"]}
    pq.write_table(pa.table(places), data / "institutions.parquet")
    run = write_run(tmp_path / "runs", "2025-07", PARTLY)
    publish(run, "test", dataset=data)
    case = Case.objects.get(subject_id="MIX-1")
    Case.objects.filter(pk=case.pk).update(
        top_reason="在 FAR-H 与 H-NEAR", top_reason_en="at FAR-H and H-NEAR"
    )
    own = case.suspicions.get()
    own.reasons = [{**own.reasons[0], "sentence_zh": "在 FAR-H，结算 MIX-1-b", "sentence_en": "at FAR-H"}]
    own.save()
    keep([Name("patient", "FAR-P", "FAR-NAME", ""), Name("doctor", "FAR-D", "FAR-NAME", "")], "test")
    return case


LIMITS = [("institution", "H-NEAR"), ("department", "K-NEAR"), ("region", "east")]


@pytest.mark.parametrize("unit", LIMITS)
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_nothing_of_other_units_claims_is_shown_on_any_page(people, partly, unit, language):
    """Every address and every form of a case that rests on two units, to an account that sees one."""
    limit(people["everything"], [unit], "test")
    client = Client()
    client.force_login(Account.objects.get(username="everything"))
    client.cookies["language"] = language
    act(partly.pk, "take", people["everything"], partly.version)
    pages = {}
    for case in Case.objects.filter(month="2025-07"):
        for name in (n for n, route in ROUTES.items() if "<int:case_id>" in route):
            arguments = [case.pk, *ARGUMENTS[name][1:]]
            address = reverse(name, args=arguments)
            pages[address] = (
                client.post(address, {"claim": "MIX-1-b", "verdict": "fraud"})
                if name in POSTED
                else client.get(address)
            )
        for claim in Evidence.objects.filter(suspicion__case=case):
            address = reverse("claim", args=[case.pk, claim.pk])
            pages[address] = client.get(address)
            assert pages[address].status_code == (404 if claim.facts["institution_id"] == "FAR-H" else 200)
    for by in ("item", "department", "doctor", "institution", "patient"):
        pages[f"drill {by}"] = client.get(f"/cases/drill/?by={by}")
    for address in ("/cases/", "/figures/", "/forms/", "/forms/?state=first_review"):
        pages[address] = client.get(address)
    for address, answer in pages.items():
        told = answer.content.decode().replace("/FAR", "")
        assert "FAR-" not in told, address
        assert "MIX-1-b" not in told, address
    page = pages[f"/cases/{partly.pk}/"].content.decode()
    assert "9,000,000.00" in page  # counted and summed
    assert ("另有 1 条属其他机构" if language == "zh-hans" else "1 claim more is of other units") in page
    assert STARS in page
    assert not Verdict.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["q=MIX-1-b", "institution=FAR-H", "doctor=FAR-D", "department=FAR-K", "item=FAR-X", "patient=FAR-P"],
)
def test_searching_for_another_unit_s_codes_finds_nothing(browser, people, partly, query):
    assert browser("everything").get(f"/cases/?{query}").context["totals"]["cases"] > 0
    limit(people["everything"], [("institution", "H-NEAR")], "test")
    assert browser("everything").get(f"/cases/?{query}").context["totals"]["cases"] == 0
    assert browser("everything").get("/cases/?institution=H-NEAR").context["totals"]["cases"] == 3
    assert (
        browser("everything").get("/cases/?doctor=D-NEAR").context["totals"]["cases"] == 1
    )  # wholly its own


def test_the_break_down_is_of_what_is_wholly_one_s_own_and_says_so(browser, people, partly):
    limit(people["everything"], [("institution", "H-NEAR")], "test")
    answer = browser("everything").get("/cases/drill/?by=institution")
    assert [(r["code"], r["cases"]) for r in answer.context["rows"]] == [("H-NEAR", 1)]
    assert "另有 2 件也涉及其他机构" in answer.content.decode()


def test_exports_count_other_units_claims_and_hold_none(browser, people, partly):
    for case in Case.objects.filter(month="2025-07"):
        case = act(case.pk, "take", people["everything"], case.version)
    limit(people["everything"], [("institution", "H-NEAR")], "test")
    client = browser("everything")
    book = openpyxl.load_workbook(BytesIO(client.post("/forms/clues/workbook/").content))
    told = [
        str(v) for sheet in book for row in sheet.iter_rows(values_only=True) for v in row if v is not None
    ]
    assert not [v for v in told if "FAR-" in v or v in ("MIX-1-b", "D-NEAR-b")]
    assert sum("另有 1 条属其他机构" in v for v in told) == 2
    for case in Case.objects.filter(month="2025-07"):
        act(
            case.pk, "clear", Account.objects.get(username="everything"), case.version, Given(reason="season")
        )
    told = client.post("/audits/export/").content.decode()
    assert "MIX-1-a" in told and "MIX-1-b" not in told
    assert "MIX-1-b" in browser("head").post("/audits/export/").content.decode()


def test_a_claim_of_no_known_institution_is_nobody_s_unit(people):
    assert (UNPLACED, UNPLACED) in units_of("patient", "P", [{"doctor_id": "D"}], {})
    account = people["everything"]
    case = Case(subject_kind="patient", subject_id="P")
    assert shows(account, case, {})
    limit(account, [("region", "R1")], "test")
    assert not shows(account, case, {})
    assert shows(account, case, {"insured_region": "R1"})
    assert not shows(account, Case(subject_kind="doctor"), {"insured_region": "R1"})
    limit(account, [("department", "K1")], "test")
    assert shows(account, Case(subject_kind="department", subject_id="K1"), {})
    assert not shows(account, Case(subject_kind="department", subject_id="K2"), {})


def test_an_insured_person_s_own_region_sees_all_of_the_person_s_past(people):
    account = people["everything"]
    limit(account, [("region", "R1")], "test")
    claim = Evidence(claim_id="C", facts={"institution_id": "H9", "region": "R9", "insured_region": "R1"})
    rows = [["2025-07-02", "2025-07-02", "outpatient", place, 1, place] for place in ("H9", "H1")]
    person = Case(subject_kind="patient", subject_id="P")
    assert seen_past(rows, person, sight(account, person, [claim])) == rows
    limit(account, [("department", "K")], "test")
    own = Evidence(claim_id="H1", facts={"institution_id": "H1", "department_id": "K"})
    assert seen_past(rows, person, sight(account, person, [claim, own])) == rows[1:]
