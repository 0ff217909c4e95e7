"""Signing in, being locked out, sessions, and what every answer carries."""

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from fixtures import PASSWORD

from fraud.errors import UsageError
from fraud.settings import WorkbenchSettings
from fraud.workbench import accounts, configure
from fraud.workbench.models import Account, FailedSignIn, TrailEntry

SIGN_IN = "/sign-in/"


@pytest.fixture
def somebody(database):
    return accounts.save_account("li.ming", "auditor", PASSWORD, "test")[0]


def sign_in(client, name="li.ming", password=PASSWORD, **more):
    return client.post(SIGN_IN, {"name": name, "password": password, **more})


def last(action):
    return TrailEntry.objects.filter(action=action).last()


def test_in_and_out_are_in_the_trail(somebody):
    client = Client()
    assert sign_in(client).status_code == 302
    assert client.get("/cases/").status_code == 200
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/cases/").status_code == 302
    assert (last("sign_in").actor, last("sign_out").actor) == ("li.ming", "li.ming")


def test_passwords_are_kept_by_argon2(somebody):
    assert somebody.password.startswith("argon2")


@pytest.mark.parametrize("weak", ["short", "password1234", "123456789012345", "li.ming12345"])
def test_weak_passwords_are_refused(database, weak):
    with pytest.raises(UsageError):
        accounts.save_account("li.ming", "auditor", weak, "test")
    assert not Account.objects.filter(username="li.ming").exists()


@pytest.mark.parametrize(("name", "role"), [("a b<c", "auditor"), ("li", "boss"), ("", "auditor")])
def test_bad_names_and_roles_are_refused(database, name, role):
    with pytest.raises(UsageError):
        accounts.save_account(name, role, PASSWORD, "test")


def test_failures_look_alike_and_lock(somebody):
    client, pages = Client(), set()
    for _ in range(settings.WORKBENCH.lock_after):
        pages.add((response := sign_in(client, password="wrong")).status_code)
        assert "不对，或账号已暂时锁定" in response.content.decode()
    assert last("sign_in_failed").details == '{"locked": true}'
    pages.add(sign_in(client).status_code)  # the right password, too late
    pages.add(sign_in(client, name="nobody").status_code)
    assert pages == {401}
    assert last("sign_in_locked").actor == "li.ming"
    FailedSignIn.objects.update(locked_until=timezone.now())
    assert sign_in(client).status_code == 302


def test_names_that_are_no_account_are_not_kept(somebody):
    sign_in(Client(), name="my-secret-password")
    assert last("sign_in_failed").actor == "(unknown)"
    assert "my-secret" not in FailedSignIn.objects.get().pk


def test_an_administrator_unlocks_and_disables(somebody, browser):
    for _ in range(settings.WORKBENCH.lock_after):
        sign_in(Client(), password="wrong")
    admin, open_session = browser("administrator"), Client()
    admin.post(f"/accounts/{somebody.pk}/", {"action": "unlock"})
    assert sign_in(open_session).status_code == 302
    admin.post(f"/accounts/{somebody.pk}/", {"action": "disable"})
    assert open_session.get("/cases/").status_code == 302
    assert sign_in(Client()).status_code == 401
    own = Account.objects.get(username="administrator")
    admin.post(f"/accounts/{own.pk}/", {"action": "disable"})
    own.refresh_from_db()
    assert own.is_active


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(somebody, onward):
    assert sign_in(Client(), next=onward).url == "/"


def test_signing_in_leads_where_one_was_going(somebody):
    assert sign_in(Client(), next="/cases/1/").url == "/cases/1/"


def test_an_idle_session_ends(browser):
    client = browser("auditor")
    assert client.get("/cases/").status_code == 200
    Session.objects.update(expire_date=timezone.now())
    assert client.get("/cases/").status_code == 302


def test_posts_without_the_token_are_refused(browser):
    client = browser("auditor", enforce_csrf_checks=True)
    assert client.post("/cases/take/").status_code == 403
    assert Client(enforce_csrf_checks=True).post(SIGN_IN, {"name": "x"}).status_code == 403


def test_own_password_is_changed(somebody):
    client = Client()
    sign_in(client)
    new = "lakes and 8 mountains"
    asked = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/password/", asked).status_code == 302
    assert sign_in(Client(), password=new).status_code == 302
    assert sign_in(Client()).status_code == 401


def test_headers_and_cookies(somebody):
    client = Client()
    response = sign_in(client)
    for cookie in (response.cookies["sessionid"], response.cookies["csrftoken"]):
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
    page = client.get("/cases/")
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"


def test_https_makes_cookies_secure(tmp_path):
    own = WorkbenchSettings(database=str(tmp_path / "w.sqlite"), https=True)
    made = configure.django_settings(own)
    assert made["SESSION_COOKIE_SECURE"]
    assert made["CSRF_COOKIE_SECURE"]
    assert made["SECURE_HSTS_SECONDS"] > 0
    assert not made["DEBUG"]


def test_the_secret_is_made_once_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.delenv(configure.SECRET_VARIABLE, raising=False)
    own = WorkbenchSettings(database=str(tmp_path / "w.sqlite"))
    first = configure.secret(own)
    assert configure.secret(own) == first
    assert (tmp_path / "w.sqlite.secret").stat().st_mode & 0o077 == 0
    monkeypatch.setenv(configure.SECRET_VARIABLE, "short")
    with pytest.raises(UsageError):
        configure.secret(own)
    monkeypatch.setenv(configure.SECRET_VARIABLE, "l" * 40)
    assert configure.secret(own) == "l" * 40


def test_addresses_of_databases(monkeypatch):
    made = configure.database("postgresql://fraud@db.example:5433/work%20bench")
    assert (made["NAME"], made["USER"], made["HOST"], made["PORT"]) == (
        "work bench",
        "fraud",
        "db.example",
        "5433",
    )
    for address in ("mysql://a/b", "postgresql://host/"):
        with pytest.raises(UsageError):
            configure.database(address)
    monkeypatch.delenv(configure.SECRET_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=configure.SECRET_VARIABLE):
        configure.secret(WorkbenchSettings(database="postgresql://host/x"))


def test_a_session_ends_however_busy_it_is(browser):
    client = browser("auditor")
    assert client.get("/cases/").status_code == 200
    session = client.session
    session["started"] -= 3600 * settings.WORKBENCH.session_hours + 1
    session.save()
    assert client.get("/cases/").status_code == 302
    assert last("session_ended").actor == "auditor"
    assert client.get("/cases/").status_code == 302
