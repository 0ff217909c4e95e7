"""Runs the pages on a socket."""

import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from django.core.asgi import get_asgi_application
from django.core.management import call_command

from fraud.errors import UsageError
from fraud.settings import WorkbenchSettings

CONNECTIONS = 400
"""Most connections at once; more are answered 503."""


def serve(own: WorkbenchSettings, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; Django is set up already.

    Parameters
    ----------
    own : WorkbenchSettings
    ready : callable
        Called with the address once the socket is bound.

    Raises
    ------
    UsageError
        The address cannot be listened on.
    """
    bound = _bind(own.host, own.port)
    call_command("clearsessions")
    application: Any = get_asgi_application()
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, access_log=False, server_header=False,
        limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=10, forwarded_allow_ips="127.0.0.1",
    )  # fmt: skip
    host, port = bound.getsockname()[:2]
    ready(f"http{'s' if own.https else ''}://{host}:{port}")
    uvicorn.Server(config).run(sockets=[bound])


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(CONNECTIONS)  # before the address is told: whoever reads it may connect at once
    except OSError as error:
        made.close()
        raise UsageError(
            f"{host}:{port}: cannot be listened on: {error.strerror}. Choose another --port."
        ) from None
    return made
