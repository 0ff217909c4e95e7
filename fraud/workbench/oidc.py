"""Accounts of an OpenID Connect provider; imported only where ``sign_in = "oidc"``."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import path
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from fraud.workbench import trail
from fraud.workbench.guard import PUBLIC, needs
from fraud.workbench.models import Account
from fraud.workbench.roles import ROLES


class Backend(OIDCAuthenticationBackend):
    """Makes an account of a provider's person, and gives it the roles that the provider tells each time."""

    def _name(self, claims: dict[str, Any]) -> str:
        return str(claims.get(settings.WORKBENCH.oidc_name_claim) or "")

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Whether the claims bear a name that an account may have."""
        try:
            Account._meta.get_field("username").run_validators(self._name(claims))
        except ValidationError:
            return False
        return bool(self._name(claims))

    def filter_users_by_claims(self, claims: dict[str, Any]) -> "QuerySet[Account]":
        """Account of the name; one with a local password stays a local one."""
        return Account.objects.filter(username=self._name(claims))

    def create_user(self, claims: dict[str, Any]) -> Account:
        """Make an account without a password."""
        account = Account(username=self._name(claims))
        account.set_unusable_password()
        with transaction.atomic():
            account.save()
            trail.record("oidc", "account_made", f"account:{account.username}")
            self._set_roles(account, claims)
        return account

    def update_user(self, user: Account, claims: dict[str, Any]) -> Account | None:
        """Bring the roles up to date; nobody takes over a local account."""
        if user.has_usable_password():
            return None
        self._set_roles(user, claims)
        return user

    def _set_roles(self, account: Account, claims: dict[str, Any]) -> None:
        told = claims.get(settings.WORKBENCH.oidc_roles_claim) or []
        roles = {told} if isinstance(told, str) else {str(r) for r in told}
        roles &= set(ROLES)
        before = set(account.groups.values_list("name", flat=True))
        if roles != before:
            account.groups.set([Group.objects.get_or_create(name=role)[0] for role in sorted(roles)])
            trail.record(
                "oidc", "account_changed", f"account:{account.username}", role=",".join(sorted(roles))
            )


class Callback(OIDCAuthenticationCallbackView):
    """Where the provider sends the browser back to; both ends of it are in the trail."""

    def login_success(self) -> HttpResponse:
        """Begin the session."""
        answer = super().login_success()
        trail.record(self.user.get_username(), "sign_in", by="oidc")
        return answer

    def login_failure(self) -> HttpResponse:
        """Back to the page to sign in."""
        trail.record("(unknown)", "sign_in_failed", by="oidc")
        return super().login_failure()


urlpatterns = [
    path(
        "oidc/start/", needs(PUBLIC)(OIDCAuthenticationRequestView.as_view()), name="oidc_authentication_init"
    ),
    path("oidc/back/", needs(PUBLIC)(Callback.as_view()), name="oidc_authentication_callback"),
]
