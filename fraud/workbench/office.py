"""Signing in and out, the trail, accounts, exports and assets."""

from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.forms import PasswordChangeForm
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST, require_safe

from fraud.errors import UsageError
from fraud.report.rendering import asset as report_asset
from fraud.workbench import accounts, audits, trail
from fraud.workbench.configure import LANGUAGES
from fraud.workbench.guard import PUBLIC, SIGNED_IN, needs
from fraud.workbench.models import Account, TrailEntry
from fraud.workbench.scope import limit, units, visible
from fraud.workbench.speech import COOKIE

_YEAR = 365 * 24 * 3600
_ASSETS = {"report.css": "text/css", "workbench.css": "text/css", "workbench.js": "text/javascript"}


@needs(PUBLIC)
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in; every failure looks alike, whether the name, the password or a lock is the cause."""
    failed = False
    if request.method == "POST":
        name, password = request.POST.get("name", "")[:150], request.POST.get("password", "")[:1000]
        account = accounts.sign_in(request, name, password)
        if account is not None:
            auth.login(request, account)
            return redirect(_onward(request))
        failed = True
    status = 401 if failed else 200
    return render(
        request,
        "workbench/sign_in.html",
        {
            "failed": failed or request.GET.get("failed") == "1",
            "next": _next(request),
            "provider": settings.WORKBENCH.sign_in == "oidc",
        },
        status=status,
    )


def _next(request: HttpRequest) -> str:
    return request.POST.get("next") or request.GET.get("next") or ""


@require_POST
@needs(PUBLIC)
def choose_language(request: HttpRequest) -> HttpResponse:
    """Keep the reader's language in a cookie and go back to the page."""
    answer = redirect(_onward(request))
    if (code := request.POST.get("language", "")) in LANGUAGES:
        secure = settings.SESSION_COOKIE_SECURE
        answer.set_cookie(COOKIE, code, max_age=_YEAR, secure=secure, httponly=True, samesite="Lax")
    return answer


def _onward(request: HttpRequest) -> str:
    """Where to go next: only ever within these pages."""
    onward = _next(request)
    safe = url_has_allowed_host_and_scheme(onward, {request.get_host()}, require_https=request.is_secure())
    return onward if onward and safe else "home"


@require_POST
@needs(SIGNED_IN)
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    trail.record(request.user.get_username(), "sign_out")
    auth.logout(request)
    return redirect("sign_in")


@require_GET
@needs(SIGNED_IN)
def home(request: HttpRequest) -> HttpResponse:
    """The first page that this account may see."""
    pages = (("list.view", "list"), ("accounts.manage", "accounts"), ("trail.view", "trail"))
    return redirect(next((page for permission, page in pages if request.user.may(permission)), "password"))


@needs(SIGNED_IN)
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    form = PasswordChangeForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        auth.update_session_auth_hash(request, form.user)
        trail.record(request.user.get_username(), "password_changed")
        messages.success(request, gettext("密码已更改。"))
        return redirect("home")
    return render(request, "workbench/password.html", {"form": form})


@require_GET
@needs("trail.view")
def trail_page(request: HttpRequest) -> HttpResponse:
    """The audit trail, the newest row first."""
    rows = TrailEntry.objects.order_by("-number")
    if subject := request.GET.get("subject", "")[:200]:
        rows = rows.filter(subject=subject)
    page = Paginator(rows, 100).get_page(request.GET.get("page"))
    return render(request, "workbench/trail.html", {"page": page, "subject": subject})


@require_GET
@needs("accounts.manage")
def account_list(request: HttpRequest) -> HttpResponse:
    """Accounts, their roles, and who is locked."""
    people = Account.objects.prefetch_related("groups", "scopes").order_by("username")
    rows = [{"account": a, "locked": accounts.locked(a.username), "limits": _limits(a)} for a in people]
    return render(request, "workbench/accounts.html", {"rows": rows})


def _limits(account: Account) -> str:
    return " ".join(sorted(f"{s.kind}={s.code}" for s in account.scopes.all()))


@require_POST
@needs("accounts.manage")
def account_change(request: HttpRequest, account_id: int) -> HttpResponse:
    """Unlock, disable or enable an account; nobody disables the own one."""
    account = get_object_or_404(Account, pk=account_id)
    action, by = request.POST.get("action"), request.user.get_username()
    if action == "unlock":
        accounts.unlock(account.username, by)
    elif action == "limit":
        try:
            limit(account, units(request.POST.get("limits", "")[:4000]), by)
        except UsageError as error:
            trail.record(by, "limits_refused", f"account:{account.username}", problems=len(error.problems))
            messages.error(
                request,
                gettext(
                    "范围须写成 region=… institution=… 或 department=…，各带代码；多个用逗号或空格分开。"
                ),
            )
    elif action in ("enable", "disable") and account.pk != request.user.pk:
        accounts.set_active(account.username, action == "enable", by)
    return redirect("accounts")


@require_POST
@needs("audits.export")
def export(request: HttpRequest) -> HttpResponse:
    """Decisions as CSV in the contract's form."""
    rows = list(audits.decisions(visible(request.user), request.user))
    trail.record(request.user.get_username(), "exported", "audits", rows=len(rows))
    answer = HttpResponse("\ufeff" + audits.as_csv(rows), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="audits.csv"'
    return answer


@require_safe
@needs(PUBLIC)
def asset(request: HttpRequest, name: str) -> HttpResponse:
    """Style or script of the pages."""
    if name not in _ASSETS:
        raise Http404
    return HttpResponse(
        _asset(name), content_type=f"{_ASSETS[name]}; charset=utf-8", headers={"Cache-Control": "max-age=600"}
    )


@require_safe
@needs(PUBLIC)  # the page that asks for it runs without cookies, and it holds no data
def plotly(request: HttpRequest, run_id: int) -> HttpResponse:
    """Plotly's script, from the installed package."""
    return HttpResponse(_plotly(), content_type="text/javascript", headers={"Cache-Control": "max-age=86400"})


@cache
def _plotly() -> bytes:
    found = find_spec("plotly")  # the package itself takes seconds to import
    if found is None or found.origin is None:
        raise Http404
    return (Path(found.origin).parent / "package_data" / "plotly.min.js").read_bytes()


@cache
def _asset(name: str) -> str:
    if name == "report.css":
        return report_asset(name)
    return (resources.files("fraud.workbench") / "assets" / name).read_text(encoding="utf-8")
