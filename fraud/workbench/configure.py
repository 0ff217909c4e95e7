"""Django's settings, made from ``[workbench]`` of ``fraud.toml``, and its secret."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fraud.errors import UsageError
from fraud.settings import WorkbenchSettings
from fraud.workbench.directory import sign_in_settings
from fraud.workbench.logs import description

SECRET_VARIABLE = "FRAUD_WORKBENCH_SECRET"
LANGUAGES = {"zh-hans": "中文", "en": "English"}
"""Languages of the pages, each by its own name; the first is the one that all others are translated from."""
_SHORTEST_SECRET = 32


def set_up(own: WorkbenchSettings) -> None:
    """Configure Django once per process and bring the database's tables up to date.

    Raises
    ------
    UsageError
        The database's address is not understood, the secret is too short, Django is not installed,
        or the database cannot be reached.
    """
    try:
        import django
        from django.conf import settings
    except ImportError:
        raise UsageError("The workbench needs Django: pip install 'fraud[workbench]'.") from None
    _private_file(own)
    if not settings.configured:
        settings.configure(**django_settings(own))
        django.setup()
    _migrate(own)


def _migrate(own: WorkbenchSettings) -> None:
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import call_command
    from django.db import DatabaseError

    try:
        call_command("migrate", verbosity=0, interactive=False)
    except ImproperlyConfigured:
        raise UsageError(
            f"[workbench] database {_shown(own)}: its driver is missing: fraud[postgresql]."
        ) from None
    except DatabaseError as error:
        raise UsageError(f"[workbench] database {_shown(own)} cannot be used: {error}.") from None


def _private_file(own: WorkbenchSettings) -> None:
    """Make a new SQLite file readable by its owner only, from its first byte."""
    if "://" not in own.database:
        path = Path(own.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _shown(own: WorkbenchSettings) -> str:
    return own.database.rsplit("@", 1)[-1]


def django_settings(own: WorkbenchSettings) -> dict[str, Any]:
    """Settings of the Django project; nothing of it is read from anywhere else."""
    return {
        "SECRET_KEY": secret(own),
        "DEBUG": False,
        "ALLOWED_HOSTS": [*own.allowed_hosts],
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
            "fraud.workbench.apps.WorkbenchConfig",
        ],
        "AUTH_USER_MODEL": "workbench.Account",
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "fraud.workbench.guard.content_policy",
            "fraud.workbench.speech.reader_language",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "fraud.workbench.guard.Guard",
        ],
        "ROOT_URLCONF": "fraud.workbench.urls",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                        "fraud.workbench.guard.granted",
                    ],
                },
            }
        ],
        "DATABASES": {"default": database(own.database)},
        "PASSWORD_HASHERS": ["fraud.workbench.hashing.Argon2"],
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
            for name, options in (
                ("MinimumLengthValidator", {"min_length": 12}),
                ("UserAttributeSimilarityValidator", {}),
                ("CommonPasswordValidator", {}),
                ("NumericPasswordValidator", {}),
            )
        ],
        "LOGIN_URL": "sign_in",
        "LANGUAGE_CODE": next(iter(LANGUAGES)),
        "LANGUAGES": [*LANGUAGES.items()],
        "USE_I18N": True,
        "USE_TZ": True,
        "TIME_ZONE": own.time_zone,
        "SESSION_COOKIE_AGE": 60 * own.session_minutes,
        "SESSION_SAVE_EVERY_REQUEST": True,  # so that idle time counts, not time since sign-in
        "SESSION_EXPIRE_AT_BROWSER_CLOSE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_SECURE": own.https,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Strict",
        "CSRF_COOKIE_SECURE": own.https,
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https") if own.https else None,
        "SECURE_HSTS_SECONDS": 31_536_000 if own.https else 0,
        "SECURE_REFERRER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 262_144,
        "LOGGING": description(),
        **sign_in_settings(own),
        "WORKBENCH": own,
    }


def database(address: str) -> dict[str, Any]:
    """Django's description of a database.

    Parameters
    ----------
    address : str
        SQLite file or ``postgresql://user@host:port/name``.

    Raises
    ------
    UsageError
        It is neither.
    """
    if "://" not in address:
        # a writer takes its lock at once: two that have both read cannot both believe what they read
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(address).absolute()),
            "OPTIONS": options,
        }
    url = urlsplit(address)
    if url.scheme not in ("postgresql", "postgres") or not url.path.strip("/"):
        raise UsageError("[workbench] database: give an SQLite file or postgresql://user@host:port/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
    }


def secret(own: WorkbenchSettings) -> str:
    """Key of sessions and of the audit trail's chain.

    From the environment variable ``FRAUD_WORKBENCH_SECRET``, or from a file beside the SQLite
    database that only its owner can read; it is made where there is none.
    """
    given = os.environ.get(SECRET_VARIABLE, "")
    if given:
        if len(given) < _SHORTEST_SECRET:
            raise UsageError(f"{SECRET_VARIABLE} is too short: give at least {_SHORTEST_SECRET} characters.")
        return given
    if "://" in own.database:
        raise UsageError(f"Set {SECRET_VARIABLE}: with a database server no secret is kept in a file.")
    path = Path(f"{own.database}.secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = path.read_text(encoding="ascii").strip()
        if len(found) < _SHORTEST_SECRET:
            raise UsageError(f"{path}: no secret; restore it, the trail needs it.") from None
        return found
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        made = secrets.token_urlsafe(48)
        file.write(made + "\n")
    return made
