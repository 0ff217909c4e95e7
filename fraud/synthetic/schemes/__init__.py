"""Fraud schemes, one module each."""

from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.schemes.card_pool import CardPool
from fraud.synthetic.schemes.cloned_billing import ClonedBilling
from fraud.synthetic.schemes.composed_ring import ComposedRing
from fraud.synthetic.schemes.doctor_patient_ring import DoctorPatientRing
from fraud.synthetic.schemes.drug_resale import DrugResale
from fraud.synthetic.schemes.duplicate_charge import DuplicateCharge
from fraud.synthetic.schemes.duplicate_prescription import DuplicatePrescription
from fraud.synthetic.schemes.ghost_dialysis import GhostDialysis
from fraud.synthetic.schemes.ghost_stay import GhostStay
from fraud.synthetic.schemes.hanging_bed import HangingBed
from fraud.synthetic.schemes.impersonation import Impersonation
from fraud.synthetic.schemes.item_swap import ItemSwap
from fraud.synthetic.schemes.low_threshold import LowThreshold
from fraud.synthetic.schemes.over_examination import OverExamination
from fraud.synthetic.schemes.over_prescription import OverPrescription
from fraud.synthetic.schemes.phantom_billing import PhantomBilling
from fraud.synthetic.schemes.phantom_invoice import PhantomInvoice
from fraud.synthetic.schemes.pharmacy_ring import PharmacyRing
from fraud.synthetic.schemes.referral_ring import ReferralRing
from fraud.synthetic.schemes.split_charge import SplitCharge
from fraud.synthetic.schemes.split_stay import SplitStay
from fraud.synthetic.schemes.upcoding import Upcoding

# The order gives the codes in `Visits.scheme`; schemes that take honest visits come after those that
# only add, so that small cities have enough left for each.
SCHEMES: tuple[type[Scheme], ...] = (
    SplitStay,
    HangingBed,
    GhostStay,
    LowThreshold,
    Upcoding,
    OverExamination,
    OverPrescription,
    DuplicatePrescription,
    DrugResale,
    ItemSwap,
    DuplicateCharge,
    SplitCharge,
    CardPool,
    Impersonation,
    PhantomInvoice,
    DoctorPatientRing,
    PharmacyRing,
    ReferralRing,
    GhostDialysis,
    PhantomBilling,
    ClonedBilling,
)
# Part of a city only by name; their codes follow.
EXTRA_SCHEMES: tuple[type[Scheme], ...] = (ComposedRing,)

__all__ = ["EXTRA_SCHEMES", "SCHEMES", "Group", "Scheme"]
