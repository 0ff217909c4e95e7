"""What the innocent look-alikes share."""

from typing import ClassVar

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, draw_days
from fraud.synthetic.city import City
from fraud.synthetic.visits import Visits


class Nuisance:
    """Base of the innocent look-alikes.

    Parameters
    ----------
    city : City
    code : int
        Number in ``Visits.nuisance``.
    rng : numpy.random.Generator
    """

    name: ClassVar[str]
    zh: ClassVar[str]

    def __init__(self, city: City, code: int, rng: np.random.Generator) -> None:
        self.city, self.code = city, code
        self.plan(rng)

    def plan(self, rng: np.random.Generator) -> None:
        """Choose who takes part, once."""

    def gather(self, month: Month, ordinary: Visits, rng: np.random.Generator) -> None:
        """Change when and where ordinary visits of a month take place, before they are placed."""

    def emit(self, month: Month, rng: np.random.Generator) -> Visits | None:
        """Visits of a month."""
        return None

    def label(self, month: Month, v: Visits) -> None:
        """Mark ordinary visits that look odd for an innocent reason."""

    def visits(self, month: Month, rng: np.random.Generator) -> Visits:
        """Visits of a month, marked."""
        out = self.emit(month, rng)
        out = Visits.make(0) if out is None else out
        out.nuisance[:] = self.code
        return out

    def circle_names(self) -> dict[int, str]:
        """Identifiers of the circles that ``Visits.group`` numbers, where there are any."""
        return {}

    # -- tools ---------------------------------------------------------------------------------

    def holders(self, *certificates: str) -> np.ndarray:
        """People who hold one of some certificates."""
        c = [self.city.catalogue.certificates.index(n) for n in certificates]
        return np.flatnonzero(self.city.people.certificates[:, c].any(axis=1))

    def ages(self, low: float, high: float) -> np.ndarray:
        """People of an age at the start of the dataset."""
        p = self.city.people
        age = p.age(np.arange(p.n), self.city.months[0].first)
        return np.flatnonzero((age >= low) & (age < high))

    def some(self, pool: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Up to `count` of a pool, sorted."""
        return np.sort(rng.choice(pool, min(count, len(pool)), replace=False)) if len(pool) else pool

    def scale(self, per: float, least: int = 1) -> int:
        """One for so many patients, and at least some."""
        return max(least, round(self.city.people.n / per))

    def weekdays(self, month: Month, days: tuple[int, ...]) -> np.ndarray:
        """Days of the month on some weekdays (0 = Monday), holidays included."""
        all_days = np.arange(month.first, month.first + month.days)
        return all_days[np.isin((all_days + 3) % 7, days)]

    def open_day(self, month: Month, rng: np.random.Generator) -> int:
        """One working day."""
        return int(draw_days(month, 1, rng)[0])

    def queue(
        self,
        day: np.ndarray | int,
        count: int,
        rng: np.random.Generator,
        *,
        opens: float = 8.2,
        minutes: float = 4.0,
    ) -> np.ndarray:
        """Draw the starting seconds of people one after another."""
        gaps = rng.exponential(minutes * 60, count).cumsum()
        return (np.asarray(day) * DAY + opens * HOUR + gaps).astype(np.int64)
