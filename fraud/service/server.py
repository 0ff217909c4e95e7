"""Runs the application on a socket."""

import gc
import logging
import sys
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from fraud.listening import listen
from fraud.privacy import RedactingFilter, pseudonym_key
from fraud.rules.reactions import ReactionStore
from fraud.service.app import Service, create_app
from fraud.service.current import Current
from fraud.settings import Settings

SWITCH_SECONDS = 0.0005
"""How long a reload may keep a request from running; Python's default is ten times that."""
CONNECTIONS = 1_000
"""Most connections at once; more are answered 503."""


def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    settings : Settings
        ``[service]`` and ``[rules]``.
    ready : callable, optional
        Called with the address once the rules are loaded and the socket is bound.

    Raises
    ------
    UsageError
        The rules have mistakes, or the port is taken.
    DataError
        The history index or the log of reactions cannot be used.
    """
    own = settings.service
    _log_to_standard_error()
    current = Current(settings.rules.folder, own.history)
    bound = listen(own.host, own.port, CONNECTIONS, "service")
    service = Service(current, ReactionStore(own.reactions), pseudonym_key(), own.reload_seconds)
    config = uvicorn.Config(
        create_app(service), log_config=None, access_log=False, server_header=False,
        limit_concurrency=CONNECTIONS, timeout_keep_alive=30, timeout_graceful_shutdown=10,
    )  # fmt: skip
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # rules live as long as the process; looking at them again and again costs milliseconds
    if ready is not None:
        host, port = bound.getsockname()[:2]
        ready(f"http://{host}:{port}")
    with suppress(KeyboardInterrupt):  # raised again after everything is closed
        uvicorn.Server(config).run(sockets=[bound])


def _log_to_standard_error() -> None:
    handler = logging.StreamHandler()
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("fraud.service", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "fraud.service" else logging.WARNING)
