"""Signing in by a directory or an identity provider: what is configured, and a provider's whole round."""

import base64
import json
import sys
import threading
import time
import types
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.test import Client, override_settings

from fraud.errors import UsageError
from fraud.settings import WorkbenchSettings
from fraud.workbench import directory
from fraud.workbench.models import Account, TrailEntry

LDAP = {
    "sign_in": "ldap",
    "ldap_url": "ldaps://d.example",
    "ldap_people": "ou=p,dc=example",
    "ldap_groups": "ou=g",
}


def test_local_passwords_are_the_default():
    assert directory.sign_in_settings(WorkbenchSettings()) == {
        "AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.ModelBackend"]
    }


@pytest.fixture
def packages(monkeypatch):
    """The directory's packages as far as they are configured; python-ldap is built from C."""
    if find_spec("django_auth_ldap") and find_spec("ldap"):
        return
    ldap, config = types.ModuleType("ldap"), types.ModuleType("django_auth_ldap.config")
    ldap.SCOPE_SUBTREE, ldap.OPT_NETWORK_TIMEOUT, ldap.OPT_REFERRALS = 2, 1, 8
    config.LDAPSearch = lambda *a: a
    config.GroupOfNamesType = lambda **a: a
    for name, module in (
        ("ldap", ldap),
        ("django_auth_ldap", types.ModuleType("x")),
        ("django_auth_ldap.config", config),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(directory, "find_spec", lambda _: True)


def test_a_directory_is_asked_after_local_accounts(packages, monkeypatch):
    monkeypatch.setenv(directory.LDAP_PASSWORD, "bind secret")
    made = directory.sign_in_settings(WorkbenchSettings(**LDAP))
    assert [b.rsplit(".", 1)[1] for b in made["AUTHENTICATION_BACKENDS"]] == ["ModelBackend", "Backend"]
    assert made["AUTH_LDAP_BIND_PASSWORD"] == "bind secret"
    assert "head" in made["AUTH_LDAP_MIRROR_GROUPS"]
    assert made["AUTH_LDAP_START_TLS"] is False
    assert directory.sign_in_settings(WorkbenchSettings(**{**LDAP, "ldap_url": "ldap://d"}))[
        "AUTH_LDAP_START_TLS"
    ]


@pytest.mark.parametrize(
    "wrong", [{"ldap_url": ""}, {"ldap_people": ""}, {"ldap_url": "ldap://d", "ldap_start_tls": False}]
)
def test_directories_that_would_not_work_or_not_be_safe(packages, wrong):
    with pytest.raises(UsageError):
        directory.sign_in_settings(WorkbenchSettings(**{**LDAP, **wrong}))


def test_missing_packages_and_settings_are_named(monkeypatch):
    monkeypatch.setattr(directory, "find_spec", lambda _: None)
    for how in ("ldap", "oidc"):
        with pytest.raises(UsageError, match=rf"fraud\[{how}\]"):
            directory.sign_in_settings(WorkbenchSettings(sign_in=how))
    monkeypatch.setattr(directory, "find_spec", lambda _: True)
    with pytest.raises(UsageError) as refused:
        directory.sign_in_settings(WorkbenchSettings(sign_in="oidc"))
    assert len(refused.value.problems) == 5


needs_oidc = pytest.mark.skipif(
    find_spec("mozilla_django_oidc") is None, reason="fraud[oidc] is not installed"
)


class Provider(BaseHTTPRequestHandler):
    """An identity provider: tokens, keys and what it knows of one person."""

    claims: dict = {}
    nonce = ""
    signed_by = None

    def log_message(self, *_):
        pass

    def _answer(self, told: dict) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        import jwt

        self.rfile.read(int(self.headers["Content-Length"]))
        told = {
            **self.claims,
            "iss": "x",
            "aud": "workbench",
            "nonce": Provider.nonce,
            "exp": time.time() + 60,
        }
        token = jwt.encode(told, Provider.signed_by or KEY(), algorithm="RS256", headers={"kid": "1"})
        self._answer({"id_token": token, "access_token": "a"})

    def do_GET(self):
        if self.path == "/keys":
            numbers = KEY().public_key().public_numbers()
            self._answer({"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig",
                                    "n": _b64(numbers.n), "e": _b64(numbers.e)}]})  # fmt: skip
        else:
            self._answer(self.claims)


_MADE: list = []


def KEY():  # noqa: N802
    from cryptography.hazmat.primitives.asymmetric import rsa

    if not _MADE:
        _MADE.append(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return _MADE[0]


def _b64(number: int) -> str:
    return (
        base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
    )


@pytest.fixture
def provider(monkeypatch):
    """The workbench's pages with a provider on a port of this machine."""
    monkeypatch.setenv(directory.OIDC_SECRET, "client secret")
    server = HTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    own = settings.WORKBENCH.model_copy(
        update={"sign_in": "oidc", "oidc_client": "workbench", "oidc_authorization_url": f"{base}/ask",
                "oidc_token_url": f"{base}/token", "oidc_user_url": f"{base}/user",
                "oidc_keys_url": f"{base}/keys"}
    )  # fmt: skip
    made = types.ModuleType("pages_with_oidc")
    from fraud.workbench import oidc
    from fraud.workbench.urls import urlpatterns

    made.urlpatterns = urlpatterns + oidc.urlpatterns
    monkeypatch.setitem(sys.modules, "pages_with_oidc", made)
    Provider.signed_by = None
    with override_settings(ROOT_URLCONF="pages_with_oidc", WORKBENCH=own, **directory.sign_in_settings(own)):
        yield Provider
    server.shutdown()
    server.server_close()


def sign_in(claims: dict, state: str = "") -> Client:
    """One person's round: to the provider, and back with a code."""
    client = Client()
    asked = parse_qs(urlsplit(client.get("/oidc/start/").url).query)
    Provider.claims, Provider.nonce = claims, asked["nonce"][0]
    client.get("/oidc/back/", {"code": "c", "state": state or asked["state"][0]})
    return client


@needs_oidc
def test_a_provider_s_person_gets_an_account_with_its_roles(provider):
    claims = {
        "sub": "1",
        "preferred_username": "wang.fang",
        "roles": ["auditor", "administrator_of_all", "wheel"],
    }
    client = sign_in(claims)
    assert client.get("/cases/").status_code == 200
    account = Account.objects.get(username="wang.fang")
    assert (account.roles, account.has_usable_password()) == (frozenset({"auditor"}), False)
    assert TrailEntry.objects.filter(actor="wang.fang", action="sign_in").exists()
    later = sign_in({**claims, "roles": "read_only"})
    assert later.get("/cases/").status_code == 200
    assert Account.objects.get(username="wang.fang").roles == frozenset({"read_only"})
    assert "统一身份认证" in Client().get("/sign-in/").content.decode()


@needs_oidc
def test_rounds_that_must_not_succeed(provider, people):
    from cryptography.hazmat.primitives.asymmetric import rsa

    local = people["head"]
    local.set_password("rivers and 7 mountains")
    local.save()
    for claims in (
        {"sub": "1"},
        {"sub": "1", "preferred_username": "a b<c"},
        {"sub": "1", "preferred_username": "head"},
    ):
        assert sign_in(claims).get("/cases/").status_code == 302, claims
    good = {"sub": "1", "preferred_username": "li", "roles": ["auditor"]}
    provider.signed_by = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    client = Client(raise_request_exception=False)
    asked = parse_qs(urlsplit(client.get("/oidc/start/").url).query)
    provider.claims, provider.nonce = good, asked["nonce"][0]
    client.get("/oidc/back/", {"code": "c", "state": asked["state"][0]})
    assert client.get("/cases/").status_code == 302  # a token that somebody else signed
    provider.signed_by = None
    Account.objects.filter(username="li").delete()
    sign_in(good)
    Account.objects.filter(username="li").update(is_active=False)
    assert sign_in(good).get("/cases/").status_code == 302
