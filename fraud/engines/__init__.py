"""Expression → SQL → Arrow or Parquet, on DuckDB or on Spark. The only room that knows an engine.

Builders write Ibis expressions over unbound tables; this room compiles them, runs them and
records the SQL. Nothing else opens a connection.
"""

import tempfile
from pathlib import Path

from fraud.engines.base import Engine, dataset_tables, part_files, sql_text
from fraud.engines.duck import DuckEngine, connect, silence
from fraud.engines.spark import SparkEngine
from fraud.settings import EngineSettings

__all__ = [
    "DuckEngine",
    "Engine",
    "SparkEngine",
    "connect",
    "dataset_tables",
    "open_engine",
    "part_files",
    "silence",
    "sql_text",
]


def open_engine(settings: EngineSettings, work: Path | None = None) -> Engine:
    """Open the engine that `settings` names, with `work` (a temporary folder by default) for its files."""
    work = work or Path(tempfile.mkdtemp(prefix="fraud-"))
    return SparkEngine(settings, work) if settings.name == "spark" else DuckEngine(settings, work)
