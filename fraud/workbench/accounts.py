"""Accounts, their roles, and the lock after failed sign-ins."""

import threading
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from fraud.errors import UsageError
from fraud.workbench import trail
from fraud.workbench.models import Account, FailedSignIn
from fraud.workbench.roles import ROLES

_HASHING = threading.BoundedSemaphore(4)
"""A password's hash takes 46 MiB and a processor for a while: many at once would take the machine."""


def save_account(name: str, role: str, password: str, by: str) -> tuple[Account, bool]:
    """Make an account, or give an existing one a new role and password.

    Returns
    -------
    tuple of Account and bool
        The account and whether it is new.

    Raises
    ------
    UsageError
        There is no such role, the name is not one, or the password is too weak.
    """
    if role not in ROLES:
        raise UsageError(f"{role!r} is not a role; choose from {', '.join(ROLES)}.")
    account = Account.objects.filter(username=name).first()
    new = account is None
    account = account or Account(username=name)
    try:
        validate_password(password, account)
        account.set_password(password)
        account.is_active = True
        account.full_clean(exclude=["password"])
    except ValidationError as error:
        raise UsageError([f"{name}: {message}" for message in error.messages]) from None
    with transaction.atomic():
        account.save()
        group, _ = Group.objects.get_or_create(name=role)
        account.groups.set([group])
        FailedSignIn.objects.filter(pk=_hash(name)).delete()
        trail.record(by, "account_made" if new else "account_changed", f"account:{name}", role=role)
    return account, new


def sign_in(request: HttpRequest, name: str, password: str) -> Account | None:
    """Account of a name and password; None where they do not fit or the name is locked.

    Every failure is in the trail, without the name where no account has it.
    """
    known = Account.objects.filter(username=name).exists()
    told = name if known else "(unknown)"
    if locked(name):
        trail.record(told, "sign_in_locked")
        return None
    with _HASHING:
        account = authenticate(request, username=name, password=password)
    if account is None or not account.is_active:
        now_locked = _count_failure(name)
        trail.record(told, "sign_in_failed", locked=now_locked)
        return None
    FailedSignIn.objects.filter(pk=_hash(name)).delete()
    trail.record(account.get_username(), "sign_in")
    return account


def locked(name: str) -> bool:
    """Whether a name is locked now."""
    return FailedSignIn.objects.filter(pk=_hash(name), locked_until__gt=timezone.now()).exists()


def unlock(name: str, by: str) -> None:
    """Forget the failures of a name."""
    FailedSignIn.objects.filter(pk=_hash(name)).delete()
    trail.record(by, "account_unlocked", f"account:{name}")


def set_active(name: str, active: bool, by: str) -> None:
    """Let an account sign in, or no longer; its open sessions end at once."""
    Account.objects.filter(username=name).update(is_active=active)
    trail.record(by, "account_enabled" if active else "account_disabled", f"account:{name}")


def _count_failure(name: str) -> bool:
    own = settings.WORKBENCH
    with transaction.atomic():
        row, _ = FailedSignIn.objects.select_for_update().get_or_create(pk=_hash(name))
        FailedSignIn.objects.filter(pk=row.pk).update(failures=F("failures") + 1)
        if row.failures + 1 < own.lock_after:
            return False
        until = timezone.now() + timedelta(minutes=own.lock_minutes)
        FailedSignIn.objects.filter(pk=row.pk).update(failures=0, locked_until=until)
    return True


def _hash(name: str) -> str:
    return salted_hmac("fraud.workbench.sign_in", name.casefold(), algorithm="sha256").hexdigest()
