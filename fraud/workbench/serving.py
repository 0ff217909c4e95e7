"""Runs the pages on a socket, in one process or several."""

import ctypes
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.db import connections

from fraud.errors import UsageError
from fraud.listening import listen
from fraud.settings import WorkbenchSettings
from fraud.workbench.deadlines import due_on
from fraud.workbench.limits import ROOM, BodyLimit
from fraud.workbench.workflow import START

CONNECTIONS = 400
"""Most connections of a process at once; more are answered 503."""
_PAUSE = 0.5
"""Seconds before a process that ended is replaced."""
_PARENT_DIED = 1
"""Linux's PR_SET_PDEATHSIG."""


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
        The address cannot be listened on, several processes are asked for where there can be one, or the
        calendar or a deadline of the settings is none.
    """
    due_on(START)  # a calendar or deadline that is none shows now, not at somebody's step
    if own.workers > 1 and sys.platform != "linux":
        raise UsageError("[workbench] workers: several processes need Linux; use 1 here.")
    bound = listen(own.host, own.port, CONNECTIONS, "workbench")
    call_command("clearsessions")
    application: Any = BodyLimit(get_asgi_application(), own.attachment_mb * 1_000_000 + ROOM)
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection looks through it again
    host, port = bound.getsockname()[:2]
    ready(f"http{'s' if own.https else ''}://{host}:{port}")
    if own.workers == 1:
        _answer(application, bound)
    else:
        _watch(own.workers, lambda: _answer(application, bound))


def _answer(application: Any, bound: socket.socket) -> None:
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, access_log=False, server_header=False,
        limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=10, forwarded_allow_ips="127.0.0.1",
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[bound])


def _watch(number: int, answer: Callable[[], None]) -> None:
    """Keep so many processes answering on one socket; end them when this one is told to end."""
    connections.close_all()  # no connection is shared between processes
    ending = False

    def end(*_: int | FrameType | None) -> None:
        nonlocal ending
        ending = True
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    running: set[int] = set()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    while running or not ending:
        while len(running) < number and not ending:
            running.add(_child(answer))
        try:
            pid, _ = os.wait()
        except ChildProcessError:
            continue
        running.discard(pid)
        if not ending:
            time.sleep(_PAUSE)


def _child(answer: Callable[[], None]) -> int:
    """A process that answers until it is told to end, or until its parent is gone however it ended."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_DFL)
    try:
        answer()
    finally:
        os._exit(0)
