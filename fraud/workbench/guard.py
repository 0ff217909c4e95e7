"""Every view behind a permission: what names none is closed to everybody."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import redirect_to_login
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from fraud.workbench import trail
from fraud.workbench.roles import PERMISSIONS, permissions_of
from fraud.workbench.scope import sees

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STARTED = "started"
PUBLIC, SIGNED_IN = "public", "signed in"
View = TypeVar("View", bound=Callable[..., HttpResponse])
Next = Callable[[HttpRequest], HttpResponse]


def needs(permission: str) -> Callable[[View], View]:
    """Mark a view with the permission it takes, or with `PUBLIC` or `SIGNED_IN`."""
    if permission not in (*PERMISSIONS, PUBLIC, SIGNED_IN):
        raise ValueError(f"unknown permission {permission!r}")

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return mark


class Guard:
    """Middleware that lets a request reach its view, or not."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:  # noqa: D102
        response = self.get_response(request)
        if getattr(request, "user", None) is not None and request.user.is_authenticated:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Answer instead of the view where it may not be reached."""
        permission = getattr(view, "permission", None)
        if permission == PUBLIC:
            return None
        if request.user.is_authenticated and _too_long(request):
            trail.record(request.user.get_username(), "session_ended")
            auth.logout(request)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
        if permission != SIGNED_IN and not (permission and request.user.may(permission)):
            return refuse(request, permission or "")
        if "case_id" in kwargs and not sees(request.user, kwargs["case_id"]):
            trail.record(request.user.get_username(), "refused", request.path, outside="scope")
            raise Http404  # as a case that does not exist
        return None


@receiver(user_logged_in)
def _note_start(sender: Any, request: HttpRequest, **_: Any) -> None:
    request.session[_STARTED] = int(time.time())


def _too_long(request: HttpRequest) -> bool:
    """Whether a session has lasted longer than any may."""
    return time.time() - request.session.get(_STARTED, 0) > 3600 * settings.WORKBENCH.session_hours


def refuse(request: HttpRequest, permission: str) -> HttpResponse:
    """Page of a refusal, which is in the trail."""
    trail.record(request.user.get_username(), "refused", request.path, permission=permission)
    words = PERMISSIONS.get(permission, ("", ""))
    return render(request, "workbench/refused.html", {"words": words}, status=403)


def content_policy(get_response: Next) -> Next:
    """Middleware: a strict content policy on every answer that brings none of its own."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        return response

    return answer


def granted(request: HttpRequest) -> dict[str, Any]:
    """Template context: ``may`` holds what the reader's roles permit, dots as underscores."""
    user = getattr(request, "user", None)
    own = permissions_of(user.roles) if user is not None and user.is_authenticated else frozenset()
    return {"may": {p.replace(".", "_"): True for p in own}}
