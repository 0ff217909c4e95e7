"""Accounts of an LDAP directory; imported only where ``sign_in = "ldap"``."""

from typing import Any

from django_auth_ldap.backend import LDAPBackend

from fraud.workbench import trail
from fraud.workbench.models import Account


class Backend(LDAPBackend):
    """Makes an account of a directory's person; the directory's groups give its roles each time.

    Nobody takes over a local account: one with a password of its own is not the directory's.
    """

    def get_or_build_user(self, username: str, ldap_user: Any) -> tuple[Account, bool]:
        """Account of a person whose password the directory has accepted."""
        account, built = super().get_or_build_user(username, ldap_user)
        if not built and account.has_usable_password():
            raise ldap_user.AuthenticationFailed("a local account has this name")
        if built:
            account.set_unusable_password()
            trail.record("ldap", "account_made", f"account:{account.get_username()}")
        return account, built

    def authenticate_ldap_user(self, ldap_user: Any, password: str) -> Account | None:
        """Sign a person in; a change of roles is in the trail."""
        account = super().authenticate_ldap_user(ldap_user, password)
        if account is None:
            return None
        roles = sorted(account.groups.values_list("name", flat=True))
        if roles != sorted(self._before):
            told = f"account:{account.get_username()}"
            trail.record("ldap", "account_changed", told, role=",".join(roles))
        return account

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **more: Any
    ) -> Any:
        """Sign a person in by name and password."""
        known = Account.objects.filter(username__iexact=username or "").first()
        self._before = [*known.groups.values_list("name", flat=True)] if known else []
        return super().authenticate(request, username=username, password=password, **more)
