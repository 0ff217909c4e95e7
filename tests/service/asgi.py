"""A client that speaks to the application in process, with nothing in between."""

from __future__ import annotations

import json
from typing import Any


async def call(app: Any, method: str, path: str, body: bytes = b"", headers: tuple = ()) -> tuple[int, bytes]:
    """Send one request; status and body of the answer."""
    sent: list[dict[str, Any]] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "headers": list(headers), "scheme": "http",
        "server": ("test", 80), "client": ("test", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


async def post(app: Any, path: str, content: Any) -> tuple[int, Any]:
    """Send JSON, read JSON."""
    status, answer = await call(app, "POST", path, json.dumps(content, ensure_ascii=False).encode())
    return status, json.loads(answer)


async def get(app: Any, path: str) -> tuple[int, Any]:
    """Read JSON."""
    status, answer = await call(app, "GET", path)
    return status, json.loads(answer)
