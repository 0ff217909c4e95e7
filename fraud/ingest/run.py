"""Any layout → a dataset folder, plus the quality report."""

import json
import logging
import os
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.errors import DataError, UsageError
from fraud.ingest.columns import Loaded, PartBuilder, Statement, load_view
from fraud.ingest.files import Piece, database, find_pieces, find_tables, is_url
from fraud.ingest.measure import finding
from fraud.ingest.months import horizon, month_counts
from fraud.ingest.profile import Part, Profile, load_profile
from fraud.ingest.quality import QualityReport
from fraud.ingest.readers import Read, read_piece
from fraud.ingest.reporting import measure
from fraud.ingest.store import Store, storage_errors
from fraud.ingest.tables import TableBuilder, TableRecord
from fraud.privacy import pseudonym_key
from fraud.schema import TABLES
from fraud.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

Progress = Callable[[str, int, int], None]
_LOG = logging.getLogger(__name__)
_SHOWN_HEADERS = 40
_DATASET = "dataset.toml"


def ingest(
    source: str | Path,
    out: Path,
    *,
    profile: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> QualityReport:
    """Turn any layout into a dataset folder.

    Parameters
    ----------
    source : str or Path
        A folder, a file, a SQLAlchemy URL, or ``env:NAME`` for a URL in an environment variable.
    out : Path
        Dataset folder to write; an existing one is replaced once everything has succeeded.
    profile : str or Path
        Name of a built-in profile or path of a TOML file.
    settings : Settings
        Memory limit and gate.
    progress : callable, optional
        Called with stage, done, total.

    Returns
    -------
    QualityReport
        Also written into `out`. A failed gate is told by its ``passed``; the dataset is written anyway.

    Raises
    ------
    UsageError
        The profile or the arguments make no sense.
    DataError
        Files are missing, empty or lack required columns, or no claim can be used.
    EngineError
        The disk is full or memory ran out; nothing is left behind.
    """
    rules = load_profile(profile)
    out = Path(out)
    if not is_url(source):
        source = Path(source)
    _may_replace(out, source)
    beside = out.with_name(f"{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with storage_errors(out, settings.engine.memory_limit):
            work = beside / ".work"
            work.mkdir(parents=True)
            store = Store(settings.engine, work)
            try:
                report = _Ingest(store, rules, source, beside, settings, progress).run()
            finally:
                store.close()
            shutil.rmtree(work)
            report.write(beside)
            _replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return report


def _may_replace(out: Path, source: str | Path) -> None:
    """Refuse to write over the source, or over a folder that is no dataset."""
    if isinstance(source, Path) and out.resolve() in (source.resolve(), *source.resolve().parents):
        raise UsageError(f"{out}: the output folder holds the source. Choose another folder.")
    if out.is_file():
        raise UsageError(f"{out}: is a file. Choose a folder for the dataset.")
    if out.is_dir() and any(out.iterdir()) and not (out / _DATASET).is_file():
        raise UsageError(f"{out}: exists and is not a dataset (no {_DATASET}). Choose another folder.")


def _replace(beside: Path, out: Path) -> None:
    old = out.with_name(f"{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        os.replace(out, old)
    os.replace(beside, out)
    shutil.rmtree(old, ignore_errors=True)


class _Ingest:
    """One run of ingest: read, build, judge, write, measure."""

    def __init__(
        self,
        store: Store,
        profile: Profile,
        source: str | Path,
        out: Path,
        settings: Settings,
        progress: Progress | None,
    ) -> None:
        self.store = store
        self.profile = profile
        self.source = source
        self.out = out
        self.work = out / ".work"
        self.settings = settings
        self.progress = progress
        self.key = pseudonym_key()
        self.described = described(source)
        self.keyed = profile.pseudonymised or self.described.get("pseudonyms") == "keyed"

    def run(self) -> QualityReport:
        loaded = self.load()
        parts = self.plan(loaded)
        builders = {t: TableBuilder(self.store, TABLES[t], p, self.work) for t, p in parts.items()}
        self.build(builders)
        self.describe()
        records = {t: b.record for t, b in builders.items()}
        self.step("quality", 0, 1)
        columns = {t: b.columns for t, b in builders.items()}
        for name in columns:
            path = self.store.value(str(self.out / f"{name}.parquet"))
            self.store.view(f"data_{name}", f"SELECT * FROM read_parquet({path})")
        report = measure(self.store, columns, self.settings.gate, records, self.profile.line_totals)
        report.dataset = self.dataset()
        self.note(report, loaded)
        self.step("quality", 1, 1)
        return report

    def step(self, stage: str, done: int, total: int) -> None:
        _LOG.info("ingest: %s (%d of %d)", stage, done, total)
        if self.progress is not None:
            self.progress(stage, done, total)

    # ---- read
    def load(self) -> dict[str, Loaded]:
        wanted: dict[str, None] = {}
        for parts in self.profile.tables.values():
            for part in parts:
                wanted |= dict.fromkeys([part.source, *(j.source for j in part.joins)])
        engine = database(self.source) if isinstance(self.source, str) else None
        pieces = self.find(engine, wanted)
        main = [p.source for p in self.profile.tables["claims"]]
        if not any(m in pieces for m in main):
            patterns = ", ".join(f for m in main for f in self.profile.source(m).files)
            where = "the database" if engine is not None else str(self.source)
            raise DataError(f"{where}: nothing to read claims from. The profile looks for: {patterns}.")
        try:
            return self._read_all(pieces, engine)
        finally:
            if engine is not None:
                engine.dispose()

    def find(self, engine: "Engine | None", wanted: Iterable[str]) -> dict[str, list[Piece]]:
        if engine is None:
            return find_pieces(Path(self.source), self.profile, wanted)
        import sqlalchemy

        try:
            return find_tables(engine, self.profile, wanted)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise DataError(f"the database cannot be reached ({type(error).__name__}).") from None

    def _read_all(self, pieces: Mapping[str, list[Piece]], engine: "Engine | None") -> dict[str, Loaded]:
        loaded: dict[str, Loaded] = {}
        problems: list[str] = []
        total, done = sum(len(p) for p in pieces.values()), 0
        for number, (name, found) in enumerate(pieces.items()):
            reads: list[Read] = []
            for place, piece in enumerate(found):
                self.step(f"read {piece.label}", done, total)
                path = self.work / f"source_{number}" / f"{place}.parquet"
                try:
                    reads.append(read_piece(self.store, piece, self.profile.source(name), path, engine))
                except DataError as error:
                    problems.extend(error.problems)
                done += 1
            if reads:
                loaded[name] = load_view(self.store, name, number, reads, done - len(found))
        if problems:
            raise DataError(problems)
        return loaded

    # ---- plan
    def plan(self, loaded: Mapping[str, Loaded]) -> dict[str, list[tuple[Part, Statement, Loaded]]]:
        """Statements of every part whose source is there; all missing columns at once."""
        builders = {
            table: [
                PartBuilder(self.store, self.profile, p, loaded, self.key, self.keyed)
                for p in parts
                if p.source in loaded and p.unless not in loaded
            ]
            for table, parts in self.profile.tables.items()
        }
        problems = [
            _missing_text(builder, table)
            for table, own in builders.items()
            for builder in own
            if builder.missing()
        ]
        if problems:
            raise DataError(problems)
        return {t: [(b.part, b.statement(), b.main) for b in own] for t, own in builders.items() if own}

    # ---- build
    def build(self, builders: Mapping[str, TableBuilder]) -> None:
        end: str | None = None
        left = False
        for done, (name, builder) in enumerate(builders.items()):
            self.step(f"build {name}", done, len(builders))
            builder.read()
            if name == "claims":
                counts = month_counts(
                    self.store, "(SELECT * FROM typed_claims WHERE _drop = 0)", set(builder.columns)
                )
                moment = horizon(counts, self.settings.gate.as_of)
                end = self.store.value(moment) if moment else None
            builder.judge(end, left)
            builder.count()
            if name == "claims":
                self._require_claims(builder.record)
                left = self._left_claims()
            builder.quarantine(self.out / "quarantine" / f"{name}.parquet")
            builder.write(self.out / f"{name}.parquet")
            for path in self.work.glob(f"typed_{name}_*.parquet"):
                path.unlink()

    def _require_claims(self, record: TableRecord) -> None:
        if record.rows["out"]:
            return
        if not record.rows["in"]:
            raise DataError(f"{self._claims_label()}: there is a header and no row. Export it again.")
        reasons = {**record.quarantined, **record.left_out}
        raise DataError(
            [f"{self._claims_label()}: none of {record.rows['in']} rows can be used:"]
            + [f"  {reason}: {rows} rows" for reason, rows in reasons.items()]
            + ["  Check [claims.columns] and the filters in your profile."]
        )

    def _claims_label(self) -> str:
        return "claims" if isinstance(self.source, str) else f"{Path(self.source).name}: claims"

    def _left_claims(self) -> bool:
        self.store.connection.execute(
            "CREATE OR REPLACE TEMP TABLE left_claims AS SELECT DISTINCT claim_id FROM judged_claims l "
            "WHERE _fate IN ('left_out', 'quarantined') AND claim_id IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM judged_claims k WHERE k._fate = 'out' AND k.claim_id = l.claim_id)"
        )
        return self.store.rows("SELECT count(*) FROM left_claims")[0][0] > 0

    # ---- describe
    def dataset(self) -> dict[str, Any]:
        """Say what ``dataset.toml`` will."""
        name = self.profile.dataset_name or self.described.get("name", "")
        if not name and not isinstance(self.source, str):
            name = Path(self.source).name
        return {
            "name": name or "dataset",
            "currency": self.described.get("currency", self.profile.currency),
            "region": self.described.get("region", self.profile.region),
            "profile": self.profile.name,
            "pseudonyms": "keyed" if self.key or self.keyed else "none",
        }

    def describe(self) -> None:
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}\n" for k, v in self.dataset().items()]
        (self.out / _DATASET).write_text("".join(lines), encoding="utf-8")

    def note(self, report: QualityReport, loaded: Mapping[str, Loaded]) -> None:
        """Add what only ingest knows to the findings."""
        for table, parts in self.profile.tables.items():
            for source in sorted({p.source for p in parts} - set(loaded)):
                report.findings.append(
                    finding(
                        table, "", 0, f"未找到来源 {source}", f"no file for {source}; the table is absent"
                    )
                )
        for name, item in loaded.items():
            lost = sum(r.lost for r in item.reads)
            if lost:
                report.findings.append(
                    finding(name, "", lost, "无法解码的字符", "characters that could not be decoded")
                )
            for column in self.profile.source(name).filter:
                if column.strip().casefold() not in item.columns:
                    report.findings.append(
                        finding(
                            name,
                            column,
                            0,
                            "过滤列不存在，未过滤",
                            "the filter's column is absent: every row was kept",
                        )
                    )


def _missing_text(builder: PartBuilder, table: str) -> str:
    missing = builder.missing()
    used = {n.casefold() for r in builder.part.columns.values() if builder.resolvable(r) for n in r.names}
    have = [n for n in builder.main.names if n.casefold() not in used]
    shown = ", ".join(have[:_SHOWN_HEADERS]) + (
        f" and {len(have) - _SHOWN_HEADERS} more" if len(have) > _SHOWN_HEADERS else ""
    )
    one = len(missing) == 1
    return (
        f"{builder.main.label}: {len(missing)} required column{' is' if one else 's are'} missing: "
        f"{', '.join(missing)}. Your file has: {shown or 'nothing else'}. "
        f"Map {'it' if one else 'them'} under [{table}.columns] in your profile."
    )


def described(source: str | Path) -> dict[str, str]:
    """``dataset.toml`` of the source, where it has one."""
    path = Path(source) / _DATASET if isinstance(source, Path) else None
    if path is None or not path.is_file():
        return {}
    try:
        return {k: str(v) for k, v in tomllib.loads(path.read_text(encoding="utf-8")).items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid TOML: {error}.") from None
