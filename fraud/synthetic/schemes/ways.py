"""Ways in which a gang may work, drawn from independent building blocks."""

from dataclasses import dataclass, fields

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR
from fraud.synthetic.crowds import GATHERINGS, RHYTHMS

# What holds a gang together, and what such a gang may charge.
CONTENTS: dict[str, tuple[str, ...]] = {
    "desk": ("resale", "bundle", "costly", "amounts", "double"),
    "doctor": ("resale", "bundle", "costly", "amounts", "double"),
    "pharmacy": ("resale", "bundle", "costly", "amounts", "double"),
    "doctor_pharmacy": ("resale", "costly", "double"),
    "ward": ("bed_only", "bundle", "costly"),
    "tour": ("resale", "costly", "double"),
    "item": ("resale", "costly"),
    "away": ("bundle", "costly", "amounts"),
}
# Where each may be, as roles of institutions; a gang draws one of them.
PLACES: dict[str, tuple[str, ...]] = {
    "desk": ("pharmacy", "clinic", "community", "secondary"),
    "doctor": ("community", "secondary", "private_hospital", "tcm_hospital", "clinic"),
    "pharmacy": ("pharmacy",),
    "doctor_pharmacy": ("community", "clinic", "secondary"),
    "ward": ("private_hospital", "secondary", "tcm_hospital"),
    "tour": ("pharmacy", "clinic", "community", "secondary", "tertiary"),
    "item": (),
    "away": ("away",),
}
RECRUITS = ("neighbours", "employer", "certificate", "random")
# Who besides the anchor can always be the same, where that is not anybody.
CONSTANTS = {"pharmacy": ("operator", "nobody"), "item": ("nobody",), "doctor": ("operator", "nobody")}
LIVES = ("quiet", "any", "busy")


@dataclass(frozen=True)
class Way:
    """How one gang works.

    Attributes
    ----------
    anchor : str
        What its claims have in common: a key of ``PLACES``.
    gathering, rhythm : str
        See `fraud.synthetic.crowds`.
    recruits : str
        Where members come from.
    content : str
        What is charged: drugs for resale, identical bundles, one costly item, the same recipe (and so
        the same amount) each time, twice the ordinary supply, or a bed and nursing only.
    constant : str
        Who besides the anchor is always the same: operator, doctor or nobody.
    life : str
        How many honest claims the members have besides.
    rides : bool
        Whether only the added items are unneeded (the visit itself is honest).
    size : int
        Members.
    rotation : float
        Share of the members present each time.
    weekday : int
        Habitual weekday, 0 for Monday.
    gap : float
        Minutes between people who come minutes apart.
    lag : int
        Seconds between people who come at a steady lag.
    run : int
        Consecutive days of a session, or places of a tour.
    """

    anchor: str
    gathering: str
    rhythm: str
    recruits: str
    content: str
    constant: str
    life: str
    rides: bool
    size: int
    rotation: float
    weekday: int
    gap: float
    lag: int
    run: int

    def blocks(self) -> dict[str, str]:
        """Name and choice of each building block, as text."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)}


def draw_way(rng: np.random.Generator, people: int) -> Way:
    """Draw the building blocks of one gang.

    Parameters
    ----------
    rng : numpy.random.Generator
        The gang's own.
    people : int
        People of the city; a village has no gang of sixty.
    """
    one = lambda options: str(options[int(rng.integers(0, len(options)))])  # noqa: E731
    anchor = one(tuple(CONTENTS))
    size = int(np.clip(np.rint(rng.lognormal(np.log(12), 0.5)), 5, 30))
    if rng.random() < 0.08:
        size = int(rng.integers(31, 61))
    rhythm = one(RHYTHMS)
    if anchor in ("ward", "away") and rhythm in ("weekly", "fortnightly"):
        rhythm = "monthly"  # a stay lasts days, a bill from far away is rare
    content = one(CONTENTS[anchor])
    return Way(
        anchor=anchor,
        gathering=one(GATHERINGS),
        rhythm=rhythm,
        recruits=one(RECRUITS),
        content=content,
        constant=one(CONSTANTS.get(anchor, ("operator", "doctor", "nobody"))),
        life=one(LIVES),
        rides=bool(rng.random() < 0.5) and content in ("resale", "costly"),
        size=min(size, max(5, people // 25)),
        rotation=round(float(rng.uniform(0.25, 1.0)), 2),
        weekday=int(rng.integers(0, 5)),
        gap=round(float(rng.uniform(0.6, 6.0)), 1),
        lag=int(rng.choice([10 * 60, 30 * 60, HOUR, DAY, 2 * DAY])),
        run=int(rng.integers(2, 6)),
    )
