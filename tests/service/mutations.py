"""Malformed requests: valid ones changed a little or a lot, and what is no request at all."""

# ruff: noqa: E501  (one kind of mistake after the other)
from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from fraud.service.described import EXAMPLE, NATIONAL_EXAMPLE

RESULT = "M-INDICATION.d4f539cc225b8720"
REACTION = {
    "result_id": RESULT,
    "way": "carry_on",
    "reason": "黄体功能不全",
    "doctor_id": "D1",
    "at": "2026-11-21 08:40",
}
FEEDBACK = {
    "data": {"warn_type": "1", "warns": [{"warn_rslt_id": RESULT, "dspo_way": "1", "dspo_way_rea": "复诊"}]}
}
VALID: tuple[tuple[str, Any], ...] = (
    ("/check", EXAMPLE),
    ("/fsi/3101", NATIONAL_EXAMPLE),
    ("/fsi/3102", NATIONAL_EXAMPLE),
    ("/reaction", REACTION),
    ("/fsi/3103", FEEDBACK),
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1e308, -1e308, 10**30, 10**400, 0.1, "", " ", "-", "x" * 70, "字" * 400, "\x00", "\ud800", "'; DROP TABLE reaction; --",
    "9999-99-99", "2026-02-30", "20261121", "0001-01-01", "NaN", "Infinity", "１２", [], {}, [[]], [{}], [None], {"a": {}}, "💊", "1e400", "0x10", "M", "F",
    "inpatient", "..", "%s%n", "{{7*7}}", [1] * 200, {"patient_dtos": []}, [[[[[[[[]]]]]]]],
)  # fmt: skip
RAW: tuple[bytes, ...] = (
    b"", b"{", b"[", b"null", b"1", b'"x"', b"[]", b"{}", b"[1,2,", b"\xff\xfe{}", b"\x00", b"NaN", b"[NaN]", b'{"patient":Infinity}',
    b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"patient":' * 900 + b"1" + b"}" * 900, b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b'{"n":1' + b"0" * 5000 + b"}",
    b'{"a":1e999999}', b"{'a':1}", b'{"a":1,}', b"\xef\xbb\xbf{}", b'"\\ud800"', b'{"\\ud800":1}', b"<xml/>", b"a=1&b=2", b'{"patient_dtos":{"fsi_encounter_dtos":{}}}',
    b'{"data":[]}', b'{"data":{"patient_dtos":[[]]}}', b'{"input":{"data":{"patient_dtos":null}}}', b'{"warns":[]}', b'{"warns":[null]}', b'{"data":{"warns":{}}}',
)  # fmt: skip


def requests(seed: int, count: int) -> Iterator[tuple[str, str, bytes, tuple]]:
    """Methods, paths, bodies and headers; the same for the same seed."""
    rnd = random.Random(seed)
    for _ in range(count):
        path, valid = rnd.choice(VALID)
        method = (
            "POST"
            if rnd.random() < 0.98
            else rnd.choice(("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"))
        )
        if rnd.random() < 0.02:
            path = rnd.choice(
                (
                    "/",
                    "/check/",
                    "/fsi",
                    "/health",
                    "/reload/x",
                    "/..",
                    "/check?stage=x",
                    "/check?stage=%00",
                    "/openapi.json",
                )
            )
        headers: tuple = ()
        if rnd.random() < 0.03:
            headers = (rnd.choice((
                (b"content-length", b"99999999999999999999"), (b"content-length", b"2000000"), (b"content-length", b"-1"),
                (b"content-encoding", b"gzip"), (b"content-type", b"text/xml; charset=gbk"), (b"content-length", "²".encode("latin-1")),
            )),)  # fmt: skip
        yield method, path, body(rnd, valid), headers


def body(rnd: random.Random, valid: Any) -> bytes:
    """One body: mutated JSON mostly, else bytes."""
    kind = rnd.random()
    if kind < 0.1:
        return rnd.choice(RAW)
    if kind < 0.2:
        return rnd.randbytes(rnd.choice((1, 10, 100, 5000)))
    changed = copy.deepcopy(valid)
    for _ in range(rnd.choice((0, 1, 1, 2, 3, 8))):
        changed = mutated(rnd, changed)
    text = json.dumps(changed, ensure_ascii=rnd.random() < 0.5).encode("utf-8", "surrogatepass")
    if kind < 0.35:
        return garbled(rnd, text)
    if kind < 0.36:
        return text.replace(b'"', b'"' + b"x" * 1_000_100, 1)
    return text


def mutated(rnd: random.Random, value: Any) -> Any:
    """The same with something replaced, removed, added or repeated somewhere."""
    if isinstance(value, dict) and value and rnd.random() < 0.85:
        key = rnd.choice(sorted(value))
        if rnd.random() < 0.1:
            del value[key]
        elif rnd.random() < 0.1:
            value[rnd.choice(("item_code", "patn_id", "x", "", "sex", "diagnoses", "data"))] = copy.deepcopy(
                rnd.choice(ODD)
            )
        else:
            value[key] = mutated(rnd, value[key])
        return value
    if isinstance(value, list) and value and rnd.random() < 0.85:
        at = rnd.randrange(len(value))
        if rnd.random() < 0.15:
            # Repeated within repeated lists would make gigabytes before anything is asked.
            return (value * rnd.choice((0, 2, 30, 600)))[:1200]
        value[at] = mutated(rnd, value[at])
        return value
    return copy.deepcopy(rnd.choice(ODD))


def garbled(rnd: random.Random, text: bytes) -> bytes:
    """Bytes cut, repeated, swapped or overwritten."""
    at = rnd.randrange(len(text))
    what = rnd.randrange(4)
    if what == 0:
        return text[:at]
    if what == 1:
        return text[:at] + rnd.randbytes(rnd.randrange(1, 9)) + text[at:]
    if what == 2:
        return text[at:] + text[:at]
    return text[:at] + text[at + 1 :]
