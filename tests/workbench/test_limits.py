"""A request that is too large ends before anything of it is kept."""

import asyncio

import pytest

from fraud.workbench.limits import BodyLimit


async def _app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def status(parts: list[bytes], length: bytes | None = None) -> int:
    sent = []
    left = [{"type": "http.request", "body": p, "more_body": i < len(parts)} for i, p in enumerate(parts, 1)]

    async def receive():
        return left.pop(0)

    async def send(message):
        sent.append(message)

    headers = [] if length is None else [(b"content-length", length)]
    asyncio.run(BodyLimit(_app, 10)({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize(
    ("parts", "length", "expected"),
    [
        ([b"12345"], b"5", 200),
        ([b""], None, 200),
        ([b"1234567890"], b"10", 200),
        ([b"x"], b"11", 413),
        ([b"x"], b"-1", 413),
        ([b"x"], b"many", 413),
        ([b"123456", b"123456"], None, 413),
        ([b"123456", b"123456"], b"5", 413),
    ],
)
def test_sizes(parts, length, expected):
    assert status(parts, length) == expected
