"""Bodies of requests: bounded in size, strict JSON, and never repeated in an answer."""

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

LARGEST = 1_000_000
"""Most bytes of a body."""
READ_AWAY = 8 * LARGEST
"""Bytes of a body that is too large which are read and thrown away, so that its sender sees the answer."""


class Refused(Exception):
    """A request that is answered with a status and what is wrong with it.

    Parameters
    ----------
    status : int
        HTTP status, 4xx or 503.
    problems : sequence of str
        Fields and what is wrong with them, without values.
    """

    def __init__(self, status: int, *problems: str) -> None:
        self.status, self.problems = status, problems
        super().__init__(*problems)


async def read_json(request: Request) -> Any:
    """Read a body as JSON.

    Raises
    ------
    Refused
        413 for a body that is too large, 400 for one that is no JSON in UTF-8, 415 for a compressed one.
    """
    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Refused(415, "body: must not be compressed.")
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and (len(told) > 12 or int(told) > READ_AWAY):
        raise Refused(413, f"body: has more than {LARGEST} bytes.")
    body, size = bytearray(), 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > READ_AWAY:
                break
            if size <= LARGEST:
                body += part
    except ClientDisconnect:
        raise Refused(400, "body: ended early.") from None
    if size > LARGEST:
        raise Refused(413, f"body: has more than {LARGEST} bytes.")
    return parse_json(bytes(body))


def parse_json(body: bytes) -> Any:
    """Parse strict JSON: UTF-8, no key twice, no NaN or Infinity, bounded nesting.

    Raises
    ------
    Refused
        With status 400.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(400, f"body: is no UTF-8 (byte {error.start}).") from None
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise Refused(400, f"body: is no JSON (line {error.lineno}, column {error.colno}).") from None
    except RecursionError:
        raise Refused(400, "body: is nested too deep.") from None
    except ValueError:  # a number with thousands of digits
        raise Refused(400, "body: holds a number that is too long.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused(400, "body: an object has the same key twice.")
    return found


def _constant(name: str) -> Any:
    raise Refused(400, f"body: {name} is no JSON number.")
