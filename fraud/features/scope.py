"""What a build is about: the engine, the months scored and the months their history needs."""

import datetime
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

Part = TypeVar("Part")
Progress = Callable[[str, int, int], None]
HISTORY = 12
"""Months of history behind the earliest month a feature looks at."""
MIX = 3
"""Fewest months that shares and means of an entity are taken over."""
PEERS = 3
"""Months of peers that a claim is compared with: its own and the two before."""
LINES = 4
"""Months before its own whose lines a claim's features look at (90 days), bundles apart."""
AT_ONCE = 2_000_000
"""Claims whose medians are taken together: an engine holds every value of a median in memory."""
ROWS_AT_ONCE = 300_000
"""Claims whose features are joined together: wide hash tables that spill cost forty times."""
LINED_AT_ONCE = 1_000_000
"""Claims whose lines are summed together."""
SMALL = 30
"""Peer groups smaller than this fall back to a wider one."""
STAY_MINIMUM = 2
"""Stays of at least so many calendar days count as overnight."""


class Engine(Protocol):
    """What builders need of an engine; see `fraud.engines.Engine`."""

    present: dict[str, set[str]]
    work: Path

    def materialize(self, name: str, expression: ir.Table) -> Path:
        """Run an expression, keep its rows as Parquet and register them as `name`."""
        ...

    def materialize_parts(self, name: str, expressions: Iterable[ir.Table]) -> Path:
        """As `materialize`, of a table that is computed part by part."""
        ...

    def register(self, name: str, path: Path) -> None:
        """Make the Parquet at `path` readable as `name`."""
        ...

    def release(self) -> None:
        """Give back memory held for the next query."""
        ...

    def create_view(self, name: str, expression: ir.Table) -> None:
        """Make an expression readable as `name`, computed when read."""
        ...

    def to_parquet(self, expression: ir.Table, path: Path, name: str = "") -> None:
        """Run an expression and write its rows to `path`."""
        ...

    def to_arrow(self, expression: ir.Table, name: str = "") -> pa.Table:
        """Run an expression and return its rows."""
        ...


class Store(Protocol):
    """What builders need of a feature store; see `fraud.features.store`."""

    def has(self, name: str, month: int) -> bool:
        """Whether a month of a table is kept as the dataset now has it."""
        ...

    def read(self, name: str, months: Sequence[int]) -> ir.Table:
        """Rows of kept months."""
        ...

    def keep(self, name: str, table: ir.Table, months: Sequence[int]) -> None:
        """Keep months of a table."""
        ...


@dataclass
class Scope:
    """The months of a build and the tables it has kept so far.

    Attributes
    ----------
    engine : Engine
        Runs the expressions.
    months : tuple of int
        Months scored, ascending (see `fraud.schema.month_number`).
    window : int
        Months a subject may have been active in to be scored.
    progress : callable or None
        Called with the stage's text, stages done and stages in all.
    store : Store or None
        Tables of months built before; see `use`.
    stored, bundled : frozenset of int
        Months whose claim features, and whose bundles, are taken from the store.
    claims_of : dict of int to int
        Claims of each month, once asked for.
    cuts : dict of tuple to list
        Ranges of claim ids of some months, once asked for.
    """

    engine: Engine
    months: tuple[int, ...]
    window: int = 1
    progress: Progress | None = None
    stages: int = 1
    done: int = 0
    kept: dict[str, ir.Table] = field(default_factory=dict)
    store: Store | None = None
    stored: frozenset[int] = frozenset()
    bundled: frozenset[int] = frozenset()
    claims_of: dict[int, int] = field(default_factory=dict)
    cuts: dict[tuple[tuple[int, ...], int], list[tuple[str, str]]] = field(default_factory=dict)

    def use(self, store: Store) -> None:
        """Take from a store what it has of the months of this build."""
        self.store = store
        self.stored = frozenset(m for m in self.summed if store.has("claim", m))
        self.bundled = frozenset(m for m in range(self.first, self.last + 1) if store.has("bundles", m))

    @property
    def mix(self) -> int:
        """Months that shares and means of an entity are taken over."""
        return max(MIX, self.window)

    @property
    def last(self) -> int:
        """Latest month any feature sees."""
        return max(self.months)

    @property
    def summed(self) -> tuple[int, ...]:
        """Months whose claims have features: those scored and those entities sum over."""
        return tuple(sorted({m - back for m in self.months for back in range(self.mix)}))

    @property
    def detailed(self) -> tuple[int, ...]:
        """Months whose claims get their features now."""
        return tuple(m for m in self.summed if m not in self.stored)

    @property
    def peered(self) -> tuple[int, ...]:
        """Months that the claims of `detailed` are compared with."""
        return tuple(sorted({m - back for m in self.detailed for back in range(PEERS)}))

    @property
    def itemised(self) -> int:
        """Earliest month whose lines are looked at: a year back only where bundles are not stored."""
        if not self.detailed:
            return min(self.summed)
        unknown = [m for m in range(self.first, self.last + 1) if m not in self.bundled]
        return min(*self.summed, min(self.detailed) - LINES, *unknown)

    def asked(self, rows: ir.Table) -> ir.Table:
        """Rows (with ``month``) of the claims of `detailed`."""
        return rows.filter(rows.month.isin(self.detailed))

    def beside(self, rows: ir.Table) -> ir.Table:
        """Rows (with ``month``) of the claims that those of `detailed` are compared with."""
        return rows.filter(rows.month.isin(self.peered))

    def reach(self, rows: ir.Table, days: int) -> ir.Table:
        """Rows (with ``settled_second``) that a window of `days` before a claim of `detailed` can hold."""
        year, month = divmod(min(self.detailed), 12)
        begin = datetime.date(year, month + 1, 1) - datetime.timedelta(days=days)
        first_second = (begin - datetime.date(1970, 1, 1)).days * 86_400
        return rows.filter(rows.settled_second >= first_second)

    def touched(self, rows: ir.Table, *key: str) -> ir.Table:
        """Rows (with ``month``) of the keys that claims of `detailed` have: only their past is asked for.

        All rows where many months are built: nearly every key is among theirs.
        """
        if 2 * len(self.detailed) > self.last - self.first:
            return rows
        return rows.semi_join(self.asked(rows).select(*key).distinct(), list(key))

    @property
    def first(self) -> int:
        """Earliest month any feature sees."""
        return min(self.summed) - HISTORY

    def __getitem__(self, name: str) -> ir.Table:
        return self.kept[name]

    def has(self, *columns: str) -> bool:
        """Whether the dataset has every one of these ``table.column`` names."""
        return not self.missing(columns)

    def missing(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the ``table.column`` names the dataset lacks."""
        pairs = (c.split(".", 1) for c in columns)
        return tuple(f"{t}.{c}" for t, c in pairs if c not in self.engine.present.get(t, set()))

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        """Run an expression and return the kept rows as an unbound table called ``fx_<name>``.

        Kept tables cut the graph of expressions into pieces that compile and run quickly.
        """
        self.engine.materialize(f"fx_{name}", expression)
        self.kept[name] = ibis.table(expression.schema(), name=f"fx_{name}")
        if self.progress is not None:
            self.progress(name, self.done, self.stages)
        self.done = min(self.done + 1, self.stages)
        return self.kept[name]

    def in_parts(self, name: str, parts: Sequence[Part], make: Callable[[Part], ir.Table]) -> ir.Table:
        """Keep a table that is computed part by part, as ``fx_<name>_<number>``; its parts share no rows."""
        if len(parts) == 1:
            return self.keep(name, make(parts[0]))
        return self.view(name, ibis.union(*(self.keep(f"{name}_{i}", make(p)) for i, p in enumerate(parts))))

    def month_parts(self, months: Sequence[int]) -> list[list[int]]:
        """Scored months, ascending, that are looked at together: of at most about `AT_ONCE` claims.

        Each of them looks at the claims of `mix` months.
        """
        if not self.claims_of:
            claims = self["claims"]
            counts = claims.group_by("month").agg(n=claims.count())
            self.claims_of = {
                r["month"]: r["n"] for r in self.engine.to_arrow(counts, "claims_of").to_pylist()
            }
        parts: list[list[int]] = [[]]
        held = 0
        for month in months:
            looked_at = sum(self.claims_of.get(month - back, 0) for back in range(self.mix))
            if parts[-1] and held + looked_at > AT_ONCE:
                parts.append([])
                held = 0
            parts[-1].append(month)
            held += looked_at
        return parts

    def claim_ranges(self, months: Sequence[int]) -> list[tuple[str, str]]:
        """Ranges of claim ids (see `claim_ranges`) of at most about `ROWS_AT_ONCE` claims of `months`."""
        return self._cut(tuple(months), ROWS_AT_ONCE)

    def lined_ranges(self) -> list[tuple[str, str]]:
        """Ranges of at most about `LINED_AT_ONCE` claims of the months whose lines are looked at."""
        return self._cut(tuple(range(self.itemised, self.last + 1)), LINED_AT_ONCE)

    def _cut(self, months: tuple[int, ...], at_once: int) -> list[tuple[str, str]]:
        if (months, at_once) not in self.cuts:
            claims = self["claims"]
            some = claims.filter(claims.month.isin(months))
            self.cuts[months, at_once] = claim_ranges(self.engine, some, at_once)
        return self.cuts[months, at_once]

    def view(self, name: str, expression: ir.Table) -> ir.Table:
        """Make an expression the table `name`, computed when read; it replaces what was kept so."""
        self.engine.create_view(f"fx_{name}_view", expression)
        self.kept[name] = ibis.table(expression.schema(), name=f"fx_{name}_view")
        return self.kept[name]

    def small_table(self, name: str, columns: Mapping[str, Sequence[Any]] | pa.Table) -> ir.Table:
        """A table of a few constants, registered as ``fx_<name>``."""
        path = self.engine.work / f"fx_{name}.parquet"
        rows = columns
        if not isinstance(rows, pa.Table):
            rows = pa.table({k: pa.array(list(v)) for k, v in columns.items()})
        pq.write_table(rows, path)
        self.engine.register(f"fx_{name}", path)
        from ibis.formats.pyarrow import PyArrowSchema

        self.kept[name] = ibis.table(PyArrowSchema.to_ibis(rows.schema), name=f"fx_{name}")
        return self.kept[name]

    def window_calendar(self, name: str, months: Sequence[int], back: int) -> ir.Table:
        """Pairs (scored_month, month) with month among the `back` months ending in scored_month."""
        pairs = [(m, m - i) for m in months for i in range(back)]
        return self.small_table(name, {"scored_month": [p[0] for p in pairs], "month": [p[1] for p in pairs]})


def claim_ranges(engine: Engine, claims: ir.Table, at_once: int) -> list[tuple[str, str]]:
    """Ranges of claim ids (from, and below; empty for no bound) of at most about `at_once` claims each.

    Ranges rather than remainders: files are mostly written in the order of the ids, so that a range is
    read without reading everything.
    """
    count = engine.to_arrow(claims.count().as_table(), "claims_count").column(0)[0].as_py()
    parts = max(1, math.ceil(count / at_once))
    if parts == 1:
        return [("", "")]
    numbered = claims.select("claim_id", part=ibis.ntile(parts).over(order_by="claim_id"))
    begins = numbered.group_by("part").agg(begin=numbered.claim_id.min())
    found = sorted(engine.to_arrow(begins.select("begin"), "claims_cuts").column(0).to_pylist())
    return list(zip(["", *found[1:]], [*found[1:], ""], strict=True))


def within(rows: ir.Table, low: str, high: str) -> ir.Table:
    """Rows of a range of claim ids."""
    rows = rows.filter(rows.claim_id >= low) if low else rows
    return rows.filter(rows.claim_id < high) if high else rows
