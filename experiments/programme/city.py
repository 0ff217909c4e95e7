"""A city that answers to its auditors: schemes appear, lie low when caught, come back more careful, and vanish."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.synthetic.audits import Auditors
from fraud.synthetic.city import build_city
from fraud.synthetic.generate import CityLife
from fraud.synthetic.schemes import SCHEMES
from fraud.synthetic.tables import patients_table, provider_tables

HISTORY, PROGRAMME = 12, 24
START = "2024-01"
LATER, GONE = 7, 4
"""Kinds of scheme that begin during the programme, and those that end by themselves."""
CAUGHT = 3
"""Confirmed claims from which on a gang knows that it is caught."""
LOW, CAREFUL = 3, 0.05
"""Months a caught gang lies low, and how much more careful every caught gang makes its trade."""


class Parts:
    """Writes each month's rows of a table as a file of their own; what `DatasetWriter` is to `generate`."""

    def __init__(self, out: Path) -> None:
        self.out, self.month = out, ""
        shutil.rmtree(out, ignore_errors=True)

    def write(self, name: str, table: pa.Table) -> None:
        path = self.out / name / f"{self.month or 'all'}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")

    def text(self, name: str, content: str) -> None:
        (self.out / name).write_text(content, encoding="utf-8")


class _Nobody:
    """Auditors who look at nothing: the programme has its own."""

    def month(self, *_: object) -> None:
        return


@dataclass
class Programme:
    """When kinds of scheme begin and end; the same for every arm.

    Attributes
    ----------
    begins, ends : dict of str to int
        Kind → month (0 is the first of the dataset); absent where it was always there, or stays.
    """

    begins: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int) -> "Programme":
        random = np.random.default_rng(seed)
        kinds = [str(k) for k in random.permutation([s.name for s in SCHEMES])]
        begins = {k: HISTORY + 2 + i * (PROGRAMME - 8) // LATER for i, k in enumerate(kinds[:LATER])}
        ends = {k: HISTORY + 6 + 4 * i for i, k in enumerate(kinds[LATER : LATER + GONE])}
        return cls(begins, ends)


class LivingCity:
    """One arm's city, a folder of monthly parts that grows.

    Parameters
    ----------
    out : Path
    patients, seed : int
    camouflage : float
    programme : Programme
    """

    def __init__(self, out: Path, patients: int, seed: int, camouflage: float, programme: Programme) -> None:
        self.out, self.writer = out, Parts(out)
        city = build_city(patients, HISTORY + PROGRAMME, seed, START)
        chosen = tuple(s.name for s in SCHEMES)
        self.life = CityLife(self.writer, city, chosen, (), camouflage, 1.0)
        self.life.auditors = Auditors(city, 0.02, camouflage, SCHEMES, ())
        random = city.rng("tables")
        self.writer.write("patients", patients_table(city, random))
        for name, table in provider_tables(city, random).items():
            self.writer.write(name, table)
        self.writer.text("dataset.toml", 'name = "living city"\ncurrency = "CNY"\nregion = "synthetic"\n')
        self.caught: set[tuple[str, int]] = set()
        self.next = 0
        for scheme in self.life.schemes:
            begin, end = programme.begins.get(scheme.name, 0), programme.ends.get(scheme.name)
            for group in scheme.groups:
                if begin:
                    later = group.quota[: len(group.quota) - begin]
                    group.quota[:] = np.concatenate([np.zeros(begin, dtype=np.int64), later])
                if end is not None:
                    group.quota[end:] = 0

    def advance(self) -> None:
        """Live the next month; when the history is over, write what its auditors decided."""
        month = self.life.city.months[self.next]
        self.writer.month = f"{month.year}-{month.number:02d}"
        self.life.live(month)
        self.next += 1
        if self.next == HISTORY:
            self.writer.month = ""
            self.writer.write("audits", self.life.auditors.table(self.life.schemes))
            self.life.auditors = _Nobody()

    def truth(self) -> pd.DataFrame:
        """Fraudulent claims so far: claim_id, scheme, loss_amount, group_id."""
        return pq.read_table(self.out / "truth" / "claims").to_pandas()

    def tell(self, confirmed: pd.DataFrame) -> None:
        """Let gangs know which of their claims were confirmed (columns scheme and group_id).

        A gang with `CAUGHT` of them lies low for `LOW` months and comes back with half its claims; its trade
        becomes more careful.
        """
        counts = confirmed.groupby(["scheme", "group_id"]).size()
        for (kind, name), n in counts.items():
            number = int(str(name).rsplit("-", 1)[1]) if n >= CAUGHT else -1
            if n < CAUGHT or (kind, number) in self.caught:
                continue
            self.caught.add((kind, number))
            scheme = next(s for s in self.life.schemes if s.name == kind)
            scheme.camouflage = min(0.9, scheme.camouflage + CAREFUL)
            quota = scheme.groups[number].quota
            quota[self.next : self.next + LOW] = 0
            quota[self.next + LOW :] //= 2
