"""The history of a patient, packed: what a check does not ask for is never decoded.

A prescription asks for a few items and for what lies near in time, while a patient may have had thousands
of items charged. So numbers are kept by column, and what was charged by item.
"""

import json
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic_core import from_json

ItemText = tuple[str, str, str]
"""Code, name and category, as a line told them."""
_COLUMNS = 9
_FILL = 4


class Visit(NamedTuple):
    """An earlier claim of the patient; ``group`` is its diagnosis's three-character category."""

    claim_id: str
    settled_second: int
    month: int
    day_in: int
    day_out: int
    is_stay: bool
    visit_id: str | None
    institution_id: str | None
    doctor_id: str | None
    group: str | None
    diagnoses: tuple[str, ...] = ()


class Packed(NamedTuple):
    """A history as the index holds it.

    Attributes
    ----------
    items : str
        JSON: code, name, category and number of fills of each item.
    codes : str
        JSON: each diagnosis code, the latest first day of a visit with it, and how many visits had it.
    words : str
        JSON: claim ids in order of settlement, then other texts.
    visits, coded, fills : bytes
        Little-endian int64. Visits by column: settled_second, day_in, day_out, month, is_stay, then places
        in words of visit, institution, doctor and group, −1 for none. Places of the visits with each code.
        Fills by item, then by visit.
    """

    items: str = "[]"
    codes: str = "[]"
    words: str = "[]"
    visits: bytes = b""
    coded: bytes = b""
    fills: bytes = b""


def pack(visits: Sequence[Visit], fills: Mapping[ItemText, Iterable[tuple[str, int, int, int]]]) -> Packed:
    """Pack a history.

    Parameters
    ----------
    visits : sequence of Visit
    fills : mapping
        Item → claim_id, day, milli and supply of what was charged.
    """
    told = sorted(visits, key=lambda v: (v.settled_second, v.claim_id))
    place = {v.claim_id: n for n, v in enumerate(told)}
    words = [v.claim_id for v in told]
    number: dict[str, int] = {}
    codes: dict[str, list[int]] = {}
    rows: list[tuple[int, ...]] = []
    for n, v in enumerate(told):
        places = []
        for text in (v.visit_id, v.institution_id, v.doctor_id, v.group):
            if text is not None and text not in number:
                number[text] = len(words)
                words.append(text)
            places.append(-1 if text is None else number[text])
        rows.append((v.settled_second, v.day_in, v.day_out, v.month, int(v.is_stay), *places))
        for code in v.diagnoses:
            codes.setdefault(code, []).append(n)
    bought = {
        item: sorted([(place[claim], day, milli, supply) for claim, day, milli, supply in own])
        for item, own in sorted(fills.items())
    }
    return Packed(
        _text([[*item, len(own)] for item, own in bought.items()]),
        _text([[code, max(told[n].day_in for n in own), len(own)] for code, own in sorted(codes.items())]),
        _text(words),
        _bytes([value for column in zip(*rows, strict=True) for value in column]),
        _bytes([n for _, own in sorted(codes.items()) for n in own]),
        _bytes([value for own in bought.values() for fill in own for value in fill]),
    )


class History:
    """Earlier claims of a patient, in order of settlement.

    Attributes
    ----------
    count : int
        How many claims are known.
    """

    __slots__ = ("_fills", "_numbers", "_packed", "_words", "count", "whole")

    def __init__(self, packed: Packed = Packed()) -> None:  # noqa: B008 (immutable)
        self._packed = packed
        self._numbers = _array(packed.visits)
        self._fills: array[int] | None = None
        self._words: list[str] | None = None
        self.whole = self.count = len(self._numbers) // _COLUMNS

    @classmethod
    def of(
        cls, visits: Sequence[Visit], fills: Mapping[ItemText, Iterable[tuple[str, int, int, int]]]
    ) -> "History":
        """History of visits and what was charged in them; see `pack`."""
        return cls(pack(visits, fills))

    def before(self, second: int, claim_id: str) -> "History":
        """Only what was settled before a claim: by time, then by id."""
        settled = self._numbers
        count = bisect_left(settled, second, 0, self.count)
        while count < self.count and settled[count] == second and self.claim_id(count) < claim_id:
            count += 1
        if count == self.count:
            return self
        rest = History.__new__(History)
        rest._packed, rest._numbers, rest._fills, rest._words = (
            self._packed,
            settled,
            self._fills,
            self._words,
        )
        rest.whole, rest.count = self.whole, count
        return rest

    def _column(self, number: int) -> "array[int]":
        return self._numbers[number * self.whole : number * self.whole + self.count]

    @property
    def settled_seconds(self) -> "array[int]":
        """When each claim was settled."""
        return self._column(0)

    @property
    def days_in(self) -> "array[int]":
        """First day of each claim."""
        return self._column(1)

    @property
    def months(self) -> "array[int]":
        """Month of each claim."""
        return self._column(3)

    @property
    def stays(self) -> "array[int]":
        """1 for each claim that is a stay, else 0."""
        return self._column(4)

    def _word(self, number: int) -> str:
        if self._words is None:
            self._words = from_json(self._packed.words)
        return self._words[number]

    def _told(self, column: int, visit: int) -> str | None:
        place = self._numbers[column * self.whole + visit]
        return None if place < 0 else self._word(place)

    def claim_id(self, visit: int) -> str:
        """Id of a claim."""
        return self._word(visit)

    def institution_id(self, visit: int) -> str | None:
        """Institution of a claim."""
        return self._told(6, visit)

    def doctor_id(self, visit: int) -> str | None:
        """Doctor of a claim."""
        return self._told(7, visit)

    def visit(self, number: int) -> Visit:
        """A claim, without its diagnoses."""
        second, day_in, day_out, month, stay = (self._numbers[c * self.whole + number] for c in range(5))
        visit, institution, doctor, group = (self._told(c, number) for c in range(5, _COLUMNS))
        claim = self._word(number)
        return Visit(claim, second, month, day_in, day_out, bool(stay), visit, institution, doctor, group)

    def diagnosed(self) -> list[tuple[str, int]]:
        """Each diagnosis code, and the latest first day of a claim with it."""
        rows = from_json(self._packed.codes)
        if self.count == self.whole:
            return [(code, day) for code, day, _ in rows]
        days, places, begin, found = self.days_in, _array(self._packed.coded), 0, []
        for code, _, visits in rows:
            known = [days[n] for n in places[begin : begin + visits] if n < self.count]
            found += [(code, max(known))] if known else []
            begin += visits
        return found

    def items(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Code, name and category of each item charged, and where its fills begin and end."""
        begin = 0
        for code, name, category, rows in from_json(self._packed.items):
            yield code, name, category, begin, begin + rows
            begin += rows

    def fills(self, begin: int, end: int) -> list[tuple[int, int, int, int]]:
        """What was charged of an item, from place to place as `items` tells: visit, day, milli, supply."""
        if self._fills is None:
            self._fills = _array(self._packed.fills)
        rows = list(zip(*[iter(self._fills[begin * _FILL : end * _FILL])] * _FILL, strict=True))
        return rows if self.count == self.whole else [r for r in rows if r[0] < self.count]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and (self._packed, self.count) == (other._packed, other.count)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bytes(values: Iterable[int]) -> bytes:
    return _ordered(array("q", values)).tobytes()


def _array(data: bytes) -> "array[int]":
    numbers = array("q")
    numbers.frombytes(data)
    return _ordered(numbers)


def _ordered(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


NOTHING = History()
