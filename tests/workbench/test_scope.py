"""An account limited to some units sees, opens, takes and exports their cases and no others."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.urls import reverse
from run_folders import write_run
from test_permissions import ARGUMENTS, OWN, PAGES, POSTED

from fraud.errors import UsageError
from fraud.workbench.cases import Given, Refused, act, take_next
from fraud.workbench.models import Account, Case, TrailEntry, Unit
from fraud.workbench.publishing import publish
from fraud.workbench.scope import limit, units_of, visible
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
    assert units_of("patient", "P", facts, {"patient:P": "north"}) == {("region", "north")}


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
