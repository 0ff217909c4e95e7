"""One claim or prescription as rules see it."""

from dataclasses import dataclass, field

from fraud.rules.bounds import LEEWAY, YEAR
from fraud.schema import STAY_TYPES


@dataclass(frozen=True, slots=True)
class Order:
    """One charged or ordered item; amounts in cents, days since 1970."""

    item_code: str
    item_name: str = ""
    category: str = ""
    quantity: float = 1.0
    amount: int = 0
    unit_price: float | None = None
    day: int | None = None
    supply_days: float | None = None
    line_id: str = ""


@dataclass(frozen=True, slots=True)
class Encounter:
    """A visit or stay with its orders; times in seconds and days since 1970, naive local time.

    What is unknown is None or empty. ``diagnoses`` holds every code, the principal one first.
    """

    claim_id: str
    patient_id: str
    settled_second: int
    day_in: int
    day_out: int
    visit_type: str
    month: int
    orders: tuple[Order, ...] = ()
    diagnoses: tuple[str, ...] = ()
    visit_id: str | None = None
    institution_id: str | None = None
    institution_kind: str | None = None
    doctor_id: str | None = None
    specialty: str | None = None
    insurance_type: str | None = None
    sex: str | None = None
    birth_day: int | None = None
    birth_year: int | None = None
    settled_year: int = 0
    death_day: int | None = None
    total: int | None = None

    @property
    def is_stay(self) -> bool:
        """Whether it is a stay."""
        return self.visit_type in STAY_TYPES

    @property
    def ages(self) -> tuple[float | None, float | None]:
        """Least and greatest age in years on the first day; see `fraud.rules.charges`."""
        if self.birth_day is not None:
            lived = float(self.day_in - self.birth_day)
            return (lived - LEEWAY) / YEAR, (lived + LEEWAY) / YEAR
        if self.birth_year is not None:
            years = float(self.settled_year - self.birth_year)
            return years - 1.0, years + 1.0
        return None, None


@dataclass(slots=True)
class Charge:
    """Orders of one item on one day, netted; the row a finding is about."""

    item: int
    day: int
    milli: int = 0
    cents: int = 0
    supply: int = 0


@dataclass(slots=True)
class Findings:
    """What checks find in one encounter, as the batch reports it."""

    rows: list[tuple[int, int, int | None, int, float | None, int]] = field(default_factory=list)
    others: set[tuple[int, str]] = field(default_factory=set)

    def add(
        self, check: int, item: int = -1, day: int | None = None, cents: int = 0,
        value: float | None = None, partner: int = -1,
    ) -> None:  # fmt: skip
        """Add one row: check, item, day, cents, value, partner."""
        self.rows.append((check, item, day, cents, value, partner))
