"""Ways in which a gang may work, drawn from independent building blocks."""

from dataclasses import dataclass, fields

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR
from fraud.synthetic.crowds import GATHERINGS, RHYTHMS

# What holds a gang together, and what such a gang may charge.
CONTENTS: dict[str, tuple[str, ...]] = {
    "desk": ("resale", "bundle", "costly", "amounts", "double", "exams", "plain"),
    "doctor": ("resale", "bundle", "costly", "amounts", "double", "exams"),
    "pharmacy": ("resale", "bundle", "costly", "amounts", "double"),
    "doctor_pharmacy": ("resale", "costly", "double"),
    "referral": ("costly", "exams", "bundle"),
    "ward": ("bed_only", "bundle", "costly", "plain", "exams"),
    "tour": ("resale", "costly", "double"),
    "item": ("resale", "costly", "double"),
    "away": ("bundle", "costly", "amounts", "plain"),
    "course": ("plain", "costly", "amounts"),
    "camp": ("exams", "bundle", "costly", "plain"),
}
# Where each may be, as roles of institutions; a gang draws one of them.
PLACES: dict[str, tuple[str, ...]] = {
    "desk": ("pharmacy", "clinic", "community", "secondary"),
    "doctor": ("community", "secondary", "private_hospital", "tcm_hospital", "clinic"),
    "pharmacy": ("pharmacy",),
    "doctor_pharmacy": ("community", "clinic", "secondary"),
    "referral": ("community", "clinic", "secondary"),
    "ward": ("private_hospital", "secondary", "tcm_hospital", "rehab", "tertiary"),
    "tour": ("pharmacy", "clinic", "community", "secondary", "tertiary"),
    "item": (),
    "away": ("away",),
    "course": ("rehab", "tcm_hospital", "community", "secondary", "dialysis"),
    "camp": ("community", "clinic", "secondary", "private_hospital"),
}
RECRUITS = ("neighbours", "employer", "certificate", "random")
# Who besides the anchor can always be the same, where that is not anybody.
CONSTANTS = {"pharmacy": ("operator", "nobody"), "item": ("nobody",), "doctor": ("operator", "nobody")}
LIVES = ("quiet", "any", "busy")
# How members take part: the same ones each time, some who are replaced little by little, or each once.
TURNOVERS: dict[str, tuple[str, ...]] = {
    "ward": ("regulars", "waves", "once", "once"),
    "away": ("regulars", "waves", "once"),
    "camp": ("regulars", "waves", "waves"),
}
DIAGNOSES = ("own", "one", "few")
BOOKS = (0, 3, 40, 400)
FENCED = ("resale", "double", "costly")


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
    content, second : str
        What is charged: drugs for resale, identical bundles, one costly item, the same recipe (and so
        the same amount) each time, twice the ordinary supply, exams nobody needs, a bed and nursing
        only, or an ordinary basket of a visit that never was (plain). On other days, the second.
    constant : str
        Who besides the anchor is always the same: operator, doctor or nobody.
    turnover : str
        ``regulars``, ``waves`` (some are replaced each time) or ``once``.
    alike : str
        Whose bundles are identical: those of the whole ``gang`` or of one ``session``.
    diagnosis : str
        What members are said to have: their own disease, always one, or a few in turn.
    life : str
        How many honest claims the members have besides.
    rides : bool
        Whether only the added items are unneeded (the visit itself is honest).
    fence : bool
        Whether boxes are sold again over another counter, with their trace codes.
    rounded : bool
        Whether amounts are rounded.
    book : int
        Largest step between the numbers of forged invoices; 0 for the institution's own.
    size : int
        Members.
    rotation : float
        Share of the members present each time.
    spots : int
        Places among which sessions change.
    nights : int
        Usual days of a stay.
    weekday : int
        Habitual weekday, 0 for Monday.
    gap : float
        Minutes between people who come minutes apart.
    lag : int
        Seconds between people who come at a steady lag.
    run : int
        Consecutive days of a session, or places of a tour.
    greed : float
        How much is taken each time, against the usual.
    care_time, care_charges, care_cover : float
        How much more careful than the city's gangs (camouflage) this one is when it meets, charges, and
        changes desks and doctors.
    """

    anchor: str
    gathering: str
    rhythm: str
    recruits: str
    content: str
    second: str
    constant: str
    turnover: str
    alike: str
    diagnosis: str
    life: str
    rides: bool
    fence: bool
    rounded: bool
    book: int
    size: int
    rotation: float
    spots: int
    nights: int
    weekday: int
    gap: float
    lag: int
    run: int
    greed: float
    care_time: float
    care_charges: float
    care_cover: float

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
    chance = lambda share: bool(rng.random() < share)  # noqa: E731
    anchor = one(tuple(CONTENTS))
    size = int(np.clip(np.rint(rng.lognormal(np.log(12), 0.5)), 5, 30))
    if chance(0.08):
        size = int(rng.integers(31, 61))
    rhythm = one(RHYTHMS)
    if anchor in ("ward", "away") and rhythm in ("weekly", "fortnightly"):
        rhythm = "monthly"  # a stay lasts days, a bill from far away is rare
    if anchor == "course":
        rhythm = one(("weekly", "thrice_weekly", "bursts"))
    content = one(CONTENTS[anchor])
    second = one(CONTENTS[anchor]) if chance(0.25) else content
    shops = anchor in ("desk", "pharmacy", "doctor_pharmacy", "tour", "item")
    return Way(
        anchor=anchor,
        gathering=one(GATHERINGS),
        rhythm=rhythm,
        recruits=one(RECRUITS),
        content=content,
        second=second,
        constant=one(CONSTANTS.get(anchor, ("operator", "doctor", "nobody"))),
        turnover=one(TURNOVERS.get(anchor, ("regulars", "regulars", "waves"))),
        alike=one(("gang", "session")),
        diagnosis=one(DIAGNOSES),
        life=one(LIVES),
        rides=chance(0.4) and content in ("resale", "costly") and second in ("resale", "costly"),
        fence=chance(0.5) and shops and content in FENCED,
        rounded=anchor == "away" and chance(0.5),
        book=int(rng.choice(BOOKS)) if anchor == "away" else 0,
        size=min(size, max(5, people // 25)),
        rotation=round(float(rng.uniform(0.25, 1.0)), 2),
        spots=int(rng.choice([1, 1, 1, 2, 3])),
        nights=int(rng.integers(3, 13)),
        weekday=int(rng.integers(0, 5)),
        gap=round(float(rng.uniform(0.6, 6.0)), 1),
        lag=int(rng.choice([10 * 60, 30 * 60, HOUR, DAY, 2 * DAY])),
        run=int(rng.integers(2, 6)),
        greed=round(float(rng.uniform(0.75, 1.5)), 2),
        care_time=round(float(rng.normal(0, 0.2)), 2),
        care_charges=round(float(rng.normal(0, 0.2)), 2),
        care_cover=round(float(rng.normal(0, 0.2)), 2),
    )
