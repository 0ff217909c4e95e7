"""Signing in by the site's own directory (LDAP) or identity provider (OpenID Connect), as Django settings.

Local passwords go on working beside either, so that an administrator is never locked out by a directory
that is down. Roles come from the directory: its groups, or the claim, that bear a role's name.
"""

import os
from importlib.util import find_spec
from typing import Any

from fraud.errors import UsageError
from fraud.settings import WorkbenchSettings
from fraud.workbench.roles import ROLES

LDAP_PASSWORD, OIDC_SECRET = "FRAUD_WORKBENCH_LDAP_PASSWORD", "FRAUD_WORKBENCH_OIDC_SECRET"
_LOCAL = "django.contrib.auth.backends.ModelBackend"


def sign_in_settings(own: WorkbenchSettings) -> dict[str, Any]:
    """Django's settings of signing in.

    Raises
    ------
    UsageError
        The package is not installed, or settings are missing; all of them are named.
    """
    if own.sign_in == "ldap":
        return _ldap(own)
    return _oidc(own) if own.sign_in == "oidc" else {"AUTHENTICATION_BACKENDS": [_LOCAL]}


def _require(own: WorkbenchSettings, package: str, extra: str, names: tuple[str, ...]) -> None:
    if find_spec(package) is None:
        raise UsageError(
            f"[workbench] sign_in = {own.sign_in!r} needs its package: pip install 'fraud[{extra}]'."
        )
    missing = [n for n in names if not getattr(own, n)]
    if missing:
        raise UsageError([f"[workbench] {n}: sign_in = {own.sign_in!r} needs it." for n in missing])


def _ldap(own: WorkbenchSettings) -> dict[str, Any]:
    _require(own, "django_auth_ldap", "ldap", ("ldap_url", "ldap_people"))
    if not own.ldap_url.startswith("ldaps://") and not own.ldap_start_tls:
        raise UsageError(
            "[workbench] ldap_url: passwords would travel in clear; use ldaps:// or ldap_start_tls."
        )
    try:
        import ldap
        from django_auth_ldap.config import GroupOfNamesType, LDAPSearch
    except ImportError:
        raise UsageError("[workbench] sign_in = 'ldap': python-ldap is not installed: fraud[ldap].") from None
    found: dict[str, Any] = {
        "AUTHENTICATION_BACKENDS": [_LOCAL, "fraud.workbench.ldap_sign_in.Backend"],
        "AUTH_LDAP_SERVER_URI": own.ldap_url,
        "AUTH_LDAP_START_TLS": own.ldap_start_tls and not own.ldap_url.startswith("ldaps://"),
        "AUTH_LDAP_BIND_DN": own.ldap_bind_dn,
        "AUTH_LDAP_BIND_PASSWORD": os.environ.get(LDAP_PASSWORD, ""),
        "AUTH_LDAP_USER_SEARCH": LDAPSearch(own.ldap_people, ldap.SCOPE_SUBTREE, own.ldap_filter),
        "AUTH_LDAP_CONNECTION_OPTIONS": {ldap.OPT_NETWORK_TIMEOUT: 5, ldap.OPT_REFERRALS: 0},
        "AUTH_LDAP_FIND_GROUP_PERMS": False,
    }
    if own.ldap_groups:
        found |= {
            "AUTH_LDAP_GROUP_SEARCH": LDAPSearch(
                own.ldap_groups, ldap.SCOPE_SUBTREE, "(objectClass=groupOfNames)"
            ),
            "AUTH_LDAP_GROUP_TYPE": GroupOfNamesType(name_attr="cn"),
            "AUTH_LDAP_MIRROR_GROUPS": [*ROLES],  # groups of other names are none of ours
        }
    return found


def _oidc(own: WorkbenchSettings) -> dict[str, Any]:
    urls = ("oidc_authorization_url", "oidc_token_url", "oidc_user_url", "oidc_keys_url")
    _require(own, "mozilla_django_oidc", "oidc", ("oidc_client", *urls))
    secret = os.environ.get(OIDC_SECRET, "")
    if not secret:
        raise UsageError(f"Set {OIDC_SECRET}: sign_in = 'oidc' needs the client's secret.")
    return {
        "AUTHENTICATION_BACKENDS": [_LOCAL, "fraud.workbench.oidc.Backend"],
        "OIDC_RP_CLIENT_ID": own.oidc_client,
        "OIDC_RP_CLIENT_SECRET": secret,
        "OIDC_RP_SIGN_ALGO": "RS256",
        "OIDC_RP_SCOPES": "openid profile",
        "OIDC_OP_AUTHORIZATION_ENDPOINT": own.oidc_authorization_url,
        "OIDC_OP_TOKEN_ENDPOINT": own.oidc_token_url,
        "OIDC_OP_USER_ENDPOINT": own.oidc_user_url,
        "OIDC_OP_JWKS_ENDPOINT": own.oidc_keys_url,
        "OIDC_USE_PKCE": True,
        "OIDC_TIMEOUT": 10,
        "LOGIN_REDIRECT_URL": "home",
        "LOGIN_REDIRECT_URL_FAILURE": "/sign-in/?failed=1",
        "SESSION_COOKIE_SAMESITE": "Lax",  # the provider sends the browser back from its own site
    }
