"""A workbench on SQLite, a fresh copy of it for every test."""

import atexit
import shutil
import tempfile
from io import BytesIO
from pathlib import Path

import pytest

HOME = Path(tempfile.mkdtemp(prefix="workbench-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

from fraud.settings import WorkbenchSettings  # noqa: E402
from fraud.workbench.configure import set_up  # noqa: E402

set_up(
    WorkbenchSettings(
        database=str(HOME / "template.sqlite"), page_rows=10, attachments=str(HOME / "files"), attachment_mb=1
    )
)

from django.contrib.auth.models import Group  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from run_folders import NAMES, write_run  # noqa: E402

from fraud.workbench.attachments import attach  # noqa: E402
from fraud.workbench.books import ReplySheet  # noqa: E402
from fraud.workbench.desk import SavedView  # noqa: E402
from fraud.workbench.models import Account, Case  # noqa: E402
from fraud.workbench.publishing import publish  # noqa: E402
from fraud.workbench.roles import ROLES  # noqa: E402

setup_test_environment()
PASSWORD = "rivers and 7 mountains"


@pytest.fixture(scope="session")
def template() -> Path:
    """The database with an account per role and one published run."""
    extra = {"auditor_2": ("auditor",), "everything": tuple(ROLES)}
    for name, roles in {**{r: (r,) for r in ROLES}, **extra}.items():
        account = Account(username=name)
        account.set_unusable_password()
        account.save()
        account.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    publish(write_run(HOME / "runs", learnt=True), "test", NAMES)
    attach(Case.objects.get(pk=1), Account.objects.get(username="auditor"), "a.txt", BytesIO(b"a"), 1)
    for account in Account.objects.order_by("pk"):
        ReplySheet.objects.create(pk=account.pk, account=account, name="a.xlsx", form="notice")
        SavedView.objects.create(pk=account.pk, account=account, name="own")
    connections.close_all()
    return HOME / "template.sqlite"


@pytest.fixture(autouse=True)
def database(template, tmp_path):
    """A copy of the template that this test may spoil."""
    path = tmp_path / "workbench.sqlite"
    shutil.copy(template, path)
    connections.settings["default"]["NAME"] = str(path)
    yield path
    connections.close_all()


@pytest.fixture
def people(database):
    """Accounts by name."""
    return {a.username: a for a in Account.objects.all()}


@pytest.fixture
def case(database):
    """The dearest patient's case."""
    return Case.objects.get(subject_id="P1")


@pytest.fixture
def browser(people):
    """Signed-in test client of an account."""

    def signed_in(name: str, **options) -> Client:
        client = Client(**options)
        client.force_login(people[name])
        return client

    return signed_in
