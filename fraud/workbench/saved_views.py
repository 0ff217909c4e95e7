"""Views of the list that people keep: filters and order under a name, each person's own."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from fraud.workbench import trail
from fraud.workbench.cases import Refused
from fraud.workbench.desk import SavedView
from fraud.workbench.guard import needs
from fraud.workbench.listing import kept
from fraud.workbench.models import Account

MOST = 30
_LONGEST_NAME = 40


def save(account: Account, name: str, query: str) -> SavedView:
    """Keep a view; one of the same name is replaced.

    Raises
    ------
    Refused
        The name is empty or too long, or there are too many.
    """
    name = name.strip()
    if not 0 < len(name) <= _LONGEST_NAME:
        raise Refused(gettext("请填写名称，最多 %(most)s 字。") % {"most": _LONGEST_NAME})
    if account.views.exclude(name=name).count() >= MOST:
        raise Refused(gettext("最多保存 %(most)s 个视图。") % {"most": MOST})
    with transaction.atomic():
        made, _ = SavedView.objects.update_or_create(
            account=account, name=name, defaults={"query": kept(QueryDict(query)).urlencode()}
        )
        trail.record(account.get_username(), "view_saved", f"view:{made.pk}")
    return made


@require_POST
@needs("list.view")
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the list's filters and order under a name."""
    query = request.POST.get("query", "")[:4000]
    try:
        query = save(request.user, request.POST.get("name", ""), query).query
    except Refused as error:
        for problem in error.problems:
            messages.error(request, problem)
        query = kept(QueryDict(query)).urlencode()
    return redirect(f"{reverse('list')}?{query}")


@require_POST
@needs("list.view")
def delete_view(request: HttpRequest, view_id: int) -> HttpResponse:
    """Forget a view of one's own."""
    view = get_object_or_404(SavedView, pk=view_id, account=request.user)
    with transaction.atomic():
        trail.record(request.user.get_username(), "view_deleted", f"view:{view.pk}")
        view.delete()
    return redirect(f"{reverse('list')}?{view.query}")
