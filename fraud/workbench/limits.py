"""Requests that are too large end before anything of them is kept."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
ROOM = 300_000
"""Bytes of a request besides its file."""


class _TooLarge(Exception):
    """More came than is taken."""


class BodyLimit:
    """ASGI application that answers 413 where a request's body is larger than is taken.

    What tells its length is refused before it is read; what does not, as soon as too much has come.

    Parameters
    ----------
    app : ASGI application
    most : int
        Bytes of a body.
    """

    def __init__(self, app: App, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if not told.isdigit() or int(told) > self.most:
            await _refuse(send)
            return
        came, started = 0, False

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self.most:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not started:
                await _refuse(send)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    body = "文件过大 (the file is too large)".encode()
    await send({"type": "http.response.body", "body": body})
