"""Kinds of innocent circles: who belongs, where and how they meet, and what they need there."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

_CHRONIC = ("hypertension", "diabetes", "coronary", "copd", "stroke")
_SPECIAL = ("cancer", "transplant", "rheumatoid", "hepatitis_b", "psoriasis", "lupus", "ckd", "hemophilia")
_CLOSE = ("minutes", "half_day", "day")
_REGULAR = ("weekly", "fortnightly", "monthly")


class CircleKind(NamedTuple):
    """What circles of a kind have in common; each circle draws one of each tuple.

    Attributes
    ----------
    name, zh : str
    refill : bool
        Whether members bring an ordinary visit of their own forward or put it off (so that they fetch
        no more than they would alone); otherwise the circle is the reason of the visit.
    roles : tuple of str
        Where they meet.
    size : tuple of int
        Least and most members.
    rhythms, gatherings : tuple of str
        See `fraud.synthetic.crowds`; ``"course"`` is some days one after the other.
    ages : tuple of float
    certificates : tuple of str
        Members hold one of them; empty for anybody.
    ties : tuple of str
        block, employer, household or nobody.
    visit_type : str
        Chronic visits are ordinary ones for members without a certificate.
    codes : tuple of str
        Diagnoses; the members' own where empty.
    constant : tuple of str
        Who is always the same: operator, doctor or nobody.
    months : tuple of int
        Calendar months of the season; empty for all.
    often : int
        Months in which a circle meets at most; 0 for a year or more.
    window : tuple of float, optional
        Hours, where unusual.
    drugs : float
        Drugs against the ordinary basket.
    female : bool
        Women only.
    next_role : tuple of str
        Where they go afterwards; an empty text for home.
    alike : float
        Share of the visits with one and the same bundle: a protocol or a package that all get.
    """

    name: str
    zh: str
    refill: bool
    roles: tuple[str, ...]
    size: tuple[int, int]
    rhythms: tuple[str, ...]
    gatherings: tuple[str, ...] = _CLOSE
    ages: tuple[float, float] = (18.0, 101.0)
    certificates: tuple[str, ...] = ()
    ties: tuple[str, ...] = ("block", "nobody")
    visit_type: str = "outpatient"
    codes: tuple[str, ...] = ()
    constant: tuple[str, ...] = ("operator", "doctor", "nobody")
    months: tuple[int, ...] = ()
    often: int = 0
    window: tuple[float, float] | None = None
    drugs: float = 1.0
    female: bool = False
    next_role: tuple[str, ...] = ("",)
    alike: float = 0.0


@dataclass
class Circle:
    """One circle.

    Attributes
    ----------
    number : int
    kind : CircleKind
    members : ndarray of int64
    place, after : int
        Where they meet; where they go afterwards (-1: home).
    desk, doctor : int
        Who is always the same there; -1 for nobody.
    rhythm, gathering : str
    weekday : int
    attendance : float
        Share of the members that come.
    gap, lag, run : float, int, int
        See `fraud.synthetic.crowds.arrivals`.
    months : set of int
        Months of the dataset in which they meet.
    last : dict of int to int
        Day on which each member last fetched something here.
    """

    number: int
    kind: CircleKind
    members: np.ndarray
    place: int
    after: int
    desk: int
    doctor: int
    rhythm: str
    gathering: str
    weekday: int
    attendance: float
    gap: float
    lag: int
    run: int
    months: set[int]
    last: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Identifier that tells the kind."""
        return f"{self.kind.name}-{self.number:03d}"


CIRCLES: tuple[CircleKind, ...] = (
    CircleKind(
        "special_drug_pharmacy",
        "特药药店取药",
        refill=True,
        roles=("pharmacy",),
        size=(5, 16),
        rhythms=("fortnightly", "monthly", "month_end"),
        certificates=_SPECIAL,
        constant=("operator", "nobody"),
    ),
    CircleKind(
        "rehab_group",
        "同一治疗师康复小组",
        refill=False,
        roles=("rehab", "tcm_hospital", "community"),
        size=(5, 12),
        rhythms=("thrice_weekly", "course"),
        gatherings=("minutes", "half_day", "steady_lag"),
        ages=(45, 90),
        codes=("Z50.100", "G81.900", "M47.800"),
        constant=("doctor",),
        often=3,
        alike=0.5,
    ),
    CircleKind(
        "cataract_bus",
        "白内障筛查集中手术",
        refill=False,
        roles=("eye", "secondary"),
        size=(5, 20),
        rhythms=("monthly",),
        gatherings=("minutes", "half_day", "steady_lag", "consecutive_days"),
        ages=(58, 90),
        ties=("block",),
        visit_type="day_surgery",
        codes=("H25.900",),
        constant=("doctor",),
        often=2,
        alike=0.7,
    ),
    CircleKind(
        "seasonal_tcm",
        "节气中医调理",
        refill=False,
        roles=("tcm_hospital", "community", "clinic"),
        size=(8, 35),
        rhythms=("weekly", "fortnightly", "bursts"),
        gatherings=("minutes", "half_day", "day", "consecutive_days"),
        ages=(36, 85),
        ties=("block", "employer", "nobody"),
        codes=("U53.000", "U62.000", "U63.000"),
        months=(7, 8, 11, 12, 1),
        often=4,
    ),
    CircleKind(
        "village_bus",
        "同村拼车就医",
        refill=True,
        roles=("secondary", "tertiary", "tcm_hospital"),
        size=(6, 30),
        rhythms=("fortnightly", "monthly", "bursts"),
        certificates=_CHRONIC,
        ties=("block",),
        constant=("nobody", "doctor"),
        next_role=("", "", "pharmacy"),
    ),
    CircleKind(
        "friends",
        "结伴复诊",
        refill=True,
        roles=("community", "clinic", "secondary"),
        size=(3, 8),
        rhythms=(*_REGULAR, "bursts"),
        gatherings=("minutes", "half_day"),
        certificates=_CHRONIC,
        ties=("block",),
    ),
    CircleKind(
        "support_group",
        "病友会",
        refill=True,
        roles=("community", "secondary"),
        size=(6, 20),
        rhythms=("fortnightly", "monthly"),
        gatherings=("minutes", "half_day", "steady_lag"),
        certificates=("diabetes", "rheumatoid", "parkinson", "copd", "stroke"),
        ties=("nobody",),
        constant=("doctor",),
    ),
    CircleKind(
        "dual_channel",
        "双通道处方外流",
        refill=True,
        roles=("secondary", "tertiary", "community"),
        size=(5, 18),
        rhythms=("fortnightly", "monthly", "bursts"),
        gatherings=("half_day", "day", "consecutive_days"),
        certificates=(*_CHRONIC, *_SPECIAL),
        constant=("doctor",),
        next_role=("pharmacy",),
    ),
    CircleKind(
        "vaccination_day",
        "集中接种",
        refill=False,
        roles=("community",),
        size=(10, 45),
        rhythms=("monthly", "bursts"),
        ages=(0, 101),
        codes=("Z27.900",),
        often=2,
        alike=0.9,
    ),
    CircleKind(
        "after_work",
        "同事下班结伴就诊",
        refill=False,
        roles=("clinic", "community", "tcm_hospital", "secondary"),
        size=(4, 14),
        rhythms=(*_REGULAR, "bursts"),
        gatherings=("minutes", "half_day", "steady_lag"),
        ages=(36, 60),
        ties=("employer",),
        codes=("U62.000", "M54.500", "M47.800", "K29.500"),
        often=5,
        window=(17.0, 19.8),
    ),
    CircleKind(
        "discount_day",
        "药店会员日",
        refill=True,
        roles=("pharmacy",),
        size=(6, 30),
        rhythms=_REGULAR,
        certificates=_CHRONIC,
        ties=("block",),
        constant=("operator", "nobody"),
    ),
    CircleKind(
        "carer",
        "代行动不便老人取药",
        refill=True,
        roles=("pharmacy", "community"),
        size=(3, 8),
        rhythms=("fortnightly", "monthly", "bursts"),
        gatherings=("minutes",),
        ages=(70, 101),
        certificates=_CHRONIC,
        ties=("block",),
        constant=("operator",),
    ),
    CircleKind(
        "two_households",
        "两家同行就医",
        refill=False,
        roles=("tertiary", "secondary", "away", "community"),
        size=(4, 8),
        rhythms=("monthly", "bursts"),
        gatherings=("minutes", "half_day", "consecutive_days"),
        ages=(3, 90),
        ties=("household",),
        codes=("J06.900", "A09.900", "J02.900", "R05.x00"),
        constant=("nobody",),
        often=5,
    ),
    CircleKind(
        "far_hospital",
        "结伴异地就医",
        refill=True,
        roles=("away",),
        size=(4, 14),
        rhythms=("monthly", "bursts"),
        gatherings=("half_day", "day", "consecutive_days"),
        certificates=_SPECIAL,
        ties=("nobody",),
        constant=("doctor", "nobody"),
    ),
    CircleKind(
        "daily_dispensing",
        "每日定点服药",
        refill=False,
        roles=("community", "clinic"),
        size=(5, 14),
        rhythms=("daily",),
        certificates=("psychosis", "epilepsy"),
        constant=("operator", "doctor"),
        often=3,
        drugs=0.1,  # a day's dose each time: a box is charged every tenth day or so
    ),
    CircleKind(
        "infusion_room",
        "流感季输液室",
        refill=False,
        roles=("community", "clinic", "secondary"),
        size=(5, 20),
        rhythms=("course",),
        gatherings=("minutes", "half_day"),
        ages=(4, 90),
        codes=("J20.900", "J18.900"),
        months=(11, 12, 1, 2),
        often=2,
        alike=0.6,
        drugs=0.5,
    ),
    CircleKind(
        "prenatal_class",
        "孕妇学校",
        refill=False,
        roles=("maternity_hospital", "secondary"),
        size=(5, 16),
        rhythms=("fortnightly", "monthly"),
        ages=(23, 40),
        codes=("Z34.900",),
        constant=("doctor",),
        often=6,
        female=True,
    ),
    CircleKind(
        "occupational_stay",
        "同厂职工集中住院治疗",
        refill=False,
        roles=("tcm_hospital", "secondary", "private_hospital"),
        size=(5, 14),
        rhythms=("monthly",),
        gatherings=("half_day", "day", "consecutive_days"),
        ages=(40, 75),
        ties=("employer", "block"),
        visit_type="inpatient",
        codes=("M51.200", "M47.800", "Z54.900"),
        often=2,
        alike=0.6,
    ),
    CircleKind(
        "screening_day",
        "乡镇筛查日",
        refill=False,
        roles=("community", "clinic", "secondary"),
        size=(8, 40),
        rhythms=("monthly", "bursts"),
        gatherings=("minutes", "half_day", "day"),
        ages=(40, 90),
        ties=("block", "employer"),
        codes=("Z00.000",),
        often=3,
        alike=0.9,
    ),
    CircleKind(
        "winter_away",
        "候鸟老人异地就医",
        refill=True,
        roles=("away",),
        size=(4, 20),
        rhythms=("fortnightly", "monthly", "bursts"),
        gatherings=("day", "consecutive_days", "apart"),
        ages=(58, 101),
        certificates=_CHRONIC,
        ties=("nobody", "block"),
        months=(11, 12, 1, 2),
        constant=("doctor", "nobody"),
    ),
    CircleKind(
        "respite_stay",
        "失能老人集中照护住院",
        refill=False,
        roles=("community", "tcm_hospital", "rehab", "private_hospital"),
        size=(5, 18),
        rhythms=("monthly", "month_end"),
        gatherings=("half_day", "day", "consecutive_days"),
        ages=(68, 101),
        certificates=("stroke", "parkinson", "coronary", "copd"),
        visit_type="inpatient",
        codes=("I69.300", "I50.900", "J44.900", "G81.900"),
        constant=("doctor",),
        often=3,
        alike=0.4,
    ),
    CircleKind(
        "joint_referral",
        "医联体上转复查",
        refill=True,
        roles=("community", "clinic"),
        size=(5, 20),
        rhythms=("fortnightly", "monthly", "bursts"),
        gatherings=("half_day", "day", "consecutive_days"),
        certificates=(*_CHRONIC, *_SPECIAL),
        constant=("doctor",),
        next_role=("secondary", "tertiary"),
    ),
    CircleKind(
        "physiotherapy_course",
        "理疗套餐疗程",
        refill=False,
        roles=("tcm_hospital", "community", "clinic", "rehab"),
        size=(4, 14),
        rhythms=("thrice_weekly", "course", "weekly"),
        gatherings=("minutes", "half_day", "apart"),
        ages=(36, 85),
        codes=("M47.800", "M54.500", "M51.200"),
        constant=("doctor", "nobody"),
        often=3,
        alike=0.5,
    ),
    CircleKind(
        "pneumonia_wave",
        "院感流行集中收治",
        refill=False,
        roles=("secondary", "private_hospital", "community"),
        size=(5, 16),
        rhythms=("bursts",),
        gatherings=("day", "consecutive_days"),
        ages=(50, 101),
        ties=("block",),
        visit_type="inpatient",
        codes=("J18.900", "J20.900"),
        months=(11, 12, 1, 2, 3),
        often=2,
        alike=0.5,
    ),
)
