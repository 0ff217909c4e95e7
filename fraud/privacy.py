"""Keyed pseudonyms, small-count suppression and redaction of log messages.

A pseudonym is HMAC-SHA256 (RFC 2104) of the kind of identifier and its text under a key that only the
owner of the data holds, cut to 96 bits: at 10⁸ identifiers of one kind the chance that any two
collide is below 10⁻¹². The kind is part of the message, so the same number as a patient and as a
doctor gives two unrelated pseudonyms, and the same patient in two tables gives one.
"""

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Mapping

from fraud.errors import UsageError

KEY_VARIABLE = "FRAUD_PSEUDONYM_KEY"
SHORTEST_KEY = 16
HEX_DIGITS = 24
SMALL_COUNT = 5

# First letter of a pseudonym: it tells what the id names, and a spreadsheet never reads it as a number.
PREFIXES: dict[str, str] = {
    "patient": "P",
    "doctor": "D",
    "department": "K",
    "institution": "I",
    "claim": "C",
    "visit": "V",
    "line": "L",
    "operator": "O",
    "household": "H",
    "employer": "E",
    "phone": "T",
    "address": "A",
}
ALWAYS_KEYED = ("phone", "address")
_SEPARATOR = "\x1f"


def pseudonym_key(environment: Mapping[str, str] | None = None) -> bytes | None:
    """Key from the environment variable ``FRAUD_PSEUDONYM_KEY``.

    Parameters
    ----------
    environment : mapping, optional
        Where to look; the process's environment by default.

    Returns
    -------
    bytes or None
        None where the variable is absent or empty.

    Raises
    ------
    UsageError
        The key is shorter than 16 characters.
    """
    text = (os.environ if environment is None else environment).get(KEY_VARIABLE, "")
    if not text:
        return None
    if len(text) < SHORTEST_KEY:
        raise UsageError(f"{KEY_VARIABLE} has {len(text)} characters; give it at least {SHORTEST_KEY}.")
    return text.encode()


def kind_of(column: str) -> str | None:
    """Kind of identifier a column holds, by its name; None for a column that holds none.

    >>> kind_of("patient_id"), kind_of("operating_doctor_id"), kind_of("phone"), kind_of("item_code")
    ('patient', 'doctor', 'phone', None)
    """
    for kind in PREFIXES:
        name = kind if kind in ALWAYS_KEYED else f"{kind}_id"
        if column == name or column.endswith(f"_{name}"):
            return kind
    return None


def pseudonym(value: str, kind: str, key: bytes) -> str:
    """Pseudonym of one identifier.

    Parameters
    ----------
    value : str
        The identifier as it stands in the source, trimmed.
    kind : str
        What it names: a key of `PREFIXES`, or any other word.
    key : bytes
        The secret key.

    Returns
    -------
    str
        A letter and 24 hexadecimal digits.

    >>> pseudonym("000123", "patient", b"a key for this example")
    'Pf1f9246fba6791c353a4af98'
    """
    digest = hmac.new(key, f"{kind}{_SEPARATOR}{value}".encode(), hashlib.sha256).hexdigest()
    return PREFIXES.get(kind, "X") + digest[:HEX_DIGITS]


def key_pads(key: bytes) -> tuple[bytes, bytes]:
    """Inner and outer padded keys of HMAC-SHA256, for engines that only have SHA-256 (RFC 2104, 2).

    Returns
    -------
    tuple of bytes
        64 bytes each: key xor 0x36…, key xor 0x5c….
    """
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def suppress(count: int, smallest: int = SMALL_COUNT) -> str:
    """Text of a count that may be shown: small counts could point at a person.

    >>> suppress(3), suppress(12), suppress(0)
    ('<5', '12', '0')
    """
    return f"<{smallest}" if 0 < count < smallest else str(count)


_REDACTIONS = (
    (re.compile(r"(?P<head>[A-Za-z][\w+.-]*://)[^@/\s]*@"), r"\g<head>***@"),
    (re.compile(r"(?i)\b(password|passwd|pwd|token|secret|key)=[^&\s;]+"), r"\1=***"),
    (re.compile(r"(?<!\w)[1-9]\d{16}[\dXx](?!\w)"), "[id number]"),
    (re.compile(r"(?<!\w)1[3-9]\d{9}(?!\w)"), "[phone]"),
)


def redact(text: str) -> str:
    """Text with passwords, identity numbers and mobile numbers taken out.

    >>> redact("cannot open mysql://reader:hunter2@host/claims")
    'cannot open mysql://***@host/claims'
    """
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFilter(logging.Filter):
    """Logging filter that redacts every message; add it to a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record's message in place and keep the record."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True
