"""Innocent look-alikes: what honest people do that looks like fraud."""

from fraud.synthetic.nuisance.base import Nuisance
from fraud.synthetic.nuisance.composed import ComposedCircle
from fraud.synthetic.nuisance.courses import (
    ChemoCycle,
    DialysisShift,
    PsychiatricStay,
    RehabCourse,
    TcmCourse,
)
from fraud.synthetic.nuisance.flows import DaySurgery, FluSeason, PeriodEndLoad
from fraud.synthetic.nuisance.gatherings import (
    CareHomeVisit,
    CataractBatch,
    ChronicClinicDay,
    CommunityCheck,
    CompanyCheck,
    FamilyVisit,
    SchoolCheck,
    SeasonalTcm,
    SpecialDrugDay,
)
from fraud.synthetic.nuisance.people import (
    ExpensivePatient,
    HighVolumeDoctor,
    Maternity,
    PopularSpecialist,
    Transfer,
    WideTraveller,
)

NUISANCES: tuple[type[Nuisance], ...] = (
    DialysisShift,
    ChemoCycle,
    RehabCourse,
    TcmCourse,
    PsychiatricStay,
    DaySurgery,
    Maternity,
    Transfer,
    FamilyVisit,
    CareHomeVisit,
    ChronicClinicDay,
    CommunityCheck,
    PopularSpecialist,
    FluSeason,
    SchoolCheck,
    CompanyCheck,
    PeriodEndLoad,
    SpecialDrugDay,
    CataractBatch,
    SeasonalTcm,
    ExpensivePatient,
    HighVolumeDoctor,
    WideTraveller,
)
# Part of a city only by name; their codes follow.
LOOK_ALIKES: tuple[type[Nuisance], ...] = (ComposedCircle,)

__all__ = ["LOOK_ALIKES", "NUISANCES", "Nuisance"]
