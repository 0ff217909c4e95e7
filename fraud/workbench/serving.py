"""Runs the pages on a socket."""

import gc
from collections.abc import Callable
from typing import Any

import uvicorn
from django.core.asgi import get_asgi_application
from django.core.management import call_command

from fraud.listening import listen
from fraud.settings import WorkbenchSettings
from fraud.workbench.deadlines import due_on
from fraud.workbench.limits import ROOM, BodyLimit
from fraud.workbench.workflow import START

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
        The address cannot be listened on, or the calendar or a deadline of the settings is none.
    """
    due_on(START)  # a calendar or deadline that is none shows now, not at somebody's step
    bound = listen(own.host, own.port, CONNECTIONS, "workbench")
    call_command("clearsessions")
    most = own.attachment_mb * 1_000_000 + ROOM
    application: Any = BodyLimit(get_asgi_application(), most)
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, access_log=False, server_header=False,
        limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=10, forwarded_allow_ips="127.0.0.1",
    )  # fmt: skip
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection looks through it again
    host, port = bound.getsockname()[:2]
    ready(f"http{'s' if own.https else ''}://{host}:{port}")
    uvicorn.Server(config).run(sockets=[bound])
