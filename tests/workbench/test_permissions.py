"""Every role against every page and every step; what names no permission is closed."""

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from fraud.workbench.cases import allowed
from fraud.workbench.guard import PUBLIC, SIGNED_IN, Guard, needs
from fraud.workbench.models import Case, TrailEntry
from fraud.workbench.roles import PERMISSIONS, ROLES
from fraud.workbench.urls import urlpatterns
from fraud.workbench.workflow import TRANSITIONS

OWN = ["own"]  # a row with the account's own number
ARGUMENTS = {
    "asset": ["workbench.css"],
    "case": [1],
    "act": [1],
    "claim": [1, 1],
    "comment": [1],
    "attach": [1],
    "mark": [1],
    "attachment": [1, 1],
    "ring_pictures": [1],
    "plotly": [1],
    "scheme": [1],
    "scheme_take": [1],
    "account": [1],
    "names": [1],
    "form_out": ["clues"],
    "sheet": OWN,
    "sheet_apply": OWN,
    "delete_view": OWN,
}
PAGES = {p.name: p.callback.permission for p in urlpatterns}
POSTED = {
    "language",
    "names",
    "set_share",
    "form_out",
    "form_in",
    "sheet_apply",
    "assign_many",
    "save_view",
    "delete_view",
    "comment",
    "attach",
    "mark",
    "sign_out",
    "take",
    "act",
    "scheme_take",
    "export",
    "account",
}


def answer(client: Client, name: str) -> HttpResponse:
    arguments = ARGUMENTS.get(name, [])
    if arguments == OWN:
        arguments = [client.session.get("_auth_user_id", 1)]
    address = reverse(name, args=arguments)
    return client.post(address) if name in POSTED else client.get(address)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("role", [*ROLES, "anonymous"])
def test_role_by_page(browser, role, name):
    client = Client() if role == "anonymous" else browser(role)
    response, permission = answer(client, name), PAGES[name]
    if permission == PUBLIC:
        assert response.status_code == (302 if name == "language" else 200)
    elif role == "anonymous":
        assert response.status_code == 302
        assert response.url.startswith(reverse("sign_in"))
    elif permission == SIGNED_IN or permission in ROLES[role][2]:
        assert response.status_code in (200, 302, 409)
    else:
        assert response.status_code == 403
        assert TrailEntry.objects.filter(action="refused", actor=role).count() == 1


@pytest.mark.parametrize("role", ROLES)
def test_role_by_step_posted_directly(browser, people, role):
    """Steps are refused to who may not take them, whatever the page shows."""
    client = browser(role)
    # second review first: it takes somebody else than who confirmed
    for step in sorted(TRANSITIONS.values(), key=lambda t: not t.other_person):
        Case.objects.filter(pk=1).update(state=step.sources[0], assignee=people[role], amount_cents=100)
        case = Case.objects.get(pk=1)
        shown = {t.code for t in allowed(case, people[role])}
        assert (step.code in shown) == (step.permission in ROLES[role][2])
        posted = {"action": step.code, "version": case.version, "reason": "other", "text": "x", "clause": "x"}
        posted |= {"amount": "0.5", "assignee": "auditor"}
        status = client.post(reverse("act", args=[1]), posted).status_code
        if step.permission in ROLES[role][2]:
            assert status == 302, step.code
        else:
            assert status == (409 if "case.view" in ROLES[role][2] else 403), step.code
            assert Case.objects.get(pk=1).state == step.sources[0]


def test_what_must_hold_whatever_the_tables_say(browser):
    """A second opinion, written by hand."""
    assert answer(browser("administrator"), "case").status_code == 403
    assert answer(browser("administrator"), "list").status_code == 403
    assert answer(browser("auditor"), "accounts").status_code == 403
    assert answer(browser("auditor"), "export").status_code == 403
    assert answer(browser("read_only"), "take").status_code == 403
    assert answer(browser("data_scientist"), "take").status_code == 403
    assert answer(browser("head"), "accounts").status_code == 403
    public = {name for name, permission in PAGES.items() if permission == PUBLIC}
    assert public == {"sign_in", "language", "asset", "plotly"}


def test_a_view_that_names_no_permission_is_closed(people):
    request = RequestFactory().get("/new/")
    request.user, request.session = people["everything"], {"started": 2**40}
    refused = Guard(lambda _: HttpResponse()).process_view(request, lambda _: HttpResponse("open"), (), {})
    assert refused.status_code == 403


def test_unknown_permissions_are_a_mistake():
    with pytest.raises(ValueError, match="unknown"):
        needs("case.everything")
    assert {p for _, _, own in ROLES.values() for p in own} == set(PERMISSIONS)


def test_posted_pages_refuse_to_be_fetched(browser):
    for name in POSTED:
        assert (
            browser("everything")
            .get(reverse(name, args=[1] if ARGUMENTS.get(name) == OWN else ARGUMENTS.get(name, [])))
            .status_code
            == 405
        )
