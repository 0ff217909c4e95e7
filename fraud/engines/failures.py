"""What went wrong on Spark, in words that say what to do and show no value of the data."""

from collections.abc import Iterator
from contextlib import contextmanager

from fraud.errors import EngineError
from fraud.settings import EngineSettings

# first match decides; the texts are those of Java, of Spark and of its Python workers
_SIGNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("No space left on device", "Disk quota exceeded"),
        "the disk is full. Free disk where Spark spills ([engine] spill, or spark.local.dir of the workers) "
        "and where the output goes, and run again; nothing half-written was kept.",
    ),
    (
        ("OutOfMemoryError", "GC overhead limit", "exited with code 137", "exit code 52"),
        "out of memory. Raise [engine] memory_limit (now {memory_limit}) for the driver and local masters, "
        "[engine.spark.conf] spark.executor.memory for executors, or [engine.spark] shuffle_partitions so "
        "that each holds less.",
    ),
    (
        ("No module named", "ModuleNotFoundError", "Cannot run program", "PYTHON_VERSION_MISMATCH"),
        "the workers cannot run this package. Install the same version of it on every machine of the cluster "
        "and name its Python in [engine.spark] python.",
    ),
    (
        ("PATH_NOT_FOUND", "FileNotFoundException", "FAILED_READ_FILE", "NoSuchFileException"),
        "the workers cannot read a file that the driver can. Dataset and output must lie in storage that all "
        "machines of the cluster see under the same path.",
    ),
    (
        ("JAVA_GATEWAY_EXITED", "UnsupportedClassVersionError"),
        "Java did not start. Check JAVA_HOME (Java 17 or later) and that the machine has {memory_limit} of "
        "memory ([engine] memory_limit).",
    ),
    (
        (
            "Master removed our application", "masters are unresponsive", "SparkContext was shut down",
            "stopped SparkContext", "ConnectionRefusedError", "Answer from Java side is empty",
            "NETWORK_CHANNEL", "Error while sending or receiving",
        ),
        "the connection to {master} was lost. Look at the master and its workers, and run again; nothing "
        "half-written was kept.",
    ),
    (
        ("ExecutorLostFailure", "MetadataFetchFailed", "FetchFailed"),
        "executors were lost more often than Spark tries again (spark.task.maxFailures). Look at the "
        "workers' logs: memory and disk are the usual reasons.",
    ),
)  # fmt: skip


def failure(error: BaseException, stage: str, settings: EngineSettings) -> EngineError:
    """What to tell of an error of Spark's.

    Parameters
    ----------
    error : BaseException
        From pyspark or py4j. Of its text only known signs are looked for: it may hold a patient's value.
    stage : str
        Name of the query, or what Spark was doing.
    """
    text = f"{type(error).__name__} {error}"
    for signs, advice in _SIGNS:
        if any(sign in text for sign in signs):
            words = advice.format(memory_limit=settings.memory_limit, master=settings.master)
            return EngineError(f"engine spark, stage {stage or 'query'}: {words}")
    return EngineError(
        f"engine spark, stage {stage or 'query'}: failed ({_kind(error)}). "
        "The logs of driver and workers tell more; they may show patient data."
    )


def _kind(error: BaseException) -> str:
    """Spark's own name for an error, or its type."""
    condition = getattr(error, "getCondition", None)
    return str((condition and condition()) or type(error).__name__)


@contextmanager
def told(stage: str, settings: EngineSettings) -> Iterator[None]:
    """Turn errors of Spark's jobs into an `EngineError`; a query it cannot read is a bug and stays one."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        from py4j.protocol import Py4JError
        from pyspark.errors import AnalysisException, PySparkException

        bug = isinstance(error, AnalysisException) and "PATH_NOT_FOUND" not in str(error)
        if bug or not isinstance(error, Py4JError | PySparkException | ConnectionError):
            raise
        raise failure(error, stage, settings) from error
