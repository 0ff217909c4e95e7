"""Beds: who lies where. A place that is full puts up extra beds."""

import heapq

import numpy as np

from fraud.synthetic.city import City
from fraud.synthetic.visits import Visits


class Wards:
    """Beds of all institutions through time.

    Parameters
    ----------
    city : City
    """

    def __init__(self, city: City) -> None:
        self._free: list[list[int]] = [list(range(1, b + 1)) for b in city.providers.beds]
        self._busy: list[list[tuple[int, int]]] = [[] for _ in city.providers.beds]
        self._next = [int(b) + 1 for b in city.providers.beds]

    def assign(self, v: Visits) -> None:
        """Give a bed to every stay, in the order of admission."""
        rows = np.flatnonzero(v.is_stay)
        rows = rows[np.lexsort((v.serial[rows], v.start[rows]))]
        for row, place, start, end in zip(
            rows.tolist(),
            v.institution[rows].tolist(),
            v.start[rows].tolist(),
            v.end[rows].tolist(),
            strict=True,
        ):
            busy, free = self._busy[place], self._free[place]
            while busy and busy[0][0] <= start:
                heapq.heappush(free, heapq.heappop(busy)[1])
            if free:
                bed = heapq.heappop(free)
            else:
                bed = self._next[place]
                self._next[place] += 1
            heapq.heappush(busy, (end, bed))
            v.bed[row] = bed
