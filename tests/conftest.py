"""One small city, trained and scored once, shared by every test and every pytest-xdist worker."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

SAMPLE = Path(__file__).parents[1] / "data" / "synthetic" / "sample"
UNTIL, MONTH, NEXT = "2025-04", "2025-05", "2025-06"
EXPERIMENT = """
train_months = 4
folds = 2
[forest]
trees = 20
sample = 64
[boosting]
trees = 20
bags = 1
min_positives = 5
"""
# Small tables: compiling each query, by Spark and by the JVM, costs more than running it.
os.environ.setdefault(
    "PYSPARK_SUBMIT_ARGS",
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' "
    "--conf spark.sql.adaptive.enabled=false --conf spark.sql.codegen.wholeStage=false "
    "--conf spark.sql.codegen.factoryMode=NO_CODEGEN pyspark-shell",
)
COMMAND = [sys.executable, "-c", "from fraud.cli import main; main()"]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes and long texts are named by their length: ids must be the same in every worker, and be read."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 100):
        return f"{type(val).__name__}{len(val)}"
    return None


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Place:
    """A folder with settings and a model store; commands run with them.

    Attributes
    ----------
    folder : Path
        Holds ``fraud.toml`` and ``models/``.
    """

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "fraud.toml"

    def settings(self, text: str = "", threads: int = 1) -> None:
        """Write ``fraud.toml``."""
        models = (self.folder / "models").as_posix()
        engine = f'[engine]\nthreads = {threads}\nmemory_limit = "1GB"\n'
        self.config.write_text(f'{engine}[tracking]\nmodels = "{models}"\n{text}', encoding="utf-8")

    def run(self, *arguments: object) -> Done:
        """Run a command in this process, as the installed script does."""
        return command(*arguments, "--config", self.config)

    def start(self, *arguments: object, **options: object) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        words = [*COMMAND, *map(str, arguments), "--config", str(self.config)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.folder,
            **options,
        )


def command(*arguments: object) -> Done:
    """Run ``fraud`` with `arguments`; what must never happen to an error message is checked here."""
    from fraud.cli import main

    out, err = io.StringIO(), io.StringIO()
    words = ["fraud", *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", words),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        main()
    code = left.value.code
    done = Done(0 if code is None else int(code), out.getvalue(), err.getvalue())
    assert "Traceback" not in done.err, done.err
    assert "internal:" not in done.err, done.err
    return done


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock between the workers of pytest-xdist."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Make a folder once per test session, whichever worker needs it first."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder = root / f"shared-{name}"
        with _alone(root / f"shared-{name}.lock"):
            if not (folder / "made").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                (folder / "made").touch()
        return folder

    return make


@pytest.fixture(scope="session")
def sample(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Dataset folder: 300 patients, 6 months, audits."""
    return once("sample", lambda folder: shutil.copytree(SAMPLE, folder / "city") and None) / "city"


def settle(folder: Path) -> Place:
    """Settings and an experiment in `folder`, no model yet."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder)
    place.settings()
    (folder / "small.toml").write_text(EXPERIMENT, encoding="utf-8")
    return place


def train(place: Place, dataset: Path) -> Done:
    """Train the small model until `UNTIL`."""
    experiment = place.folder / "small.toml"
    return place.run("train", dataset, "--until", UNTIL, "--experiment", experiment)


@pytest.fixture(scope="session")
def trained(once: Callable[[str, Callable[[Path], None]], Path], sample: Path) -> Place:
    """Place with a model of the sample trained until `UNTIL`; read only, copy it to score."""

    def fill(folder: Path) -> None:
        done = train(settle(folder), sample)
        assert done.code == 0, done.err
        (folder / "said.txt").write_text(done.out, encoding="utf-8")

    return Place(once("trained", fill))


def with_model(trained: Place, folder: Path) -> Place:
    """A place of one's own with the trained model: commands write to its store."""
    shutil.copytree(trained.folder, folder)
    place = Place(folder)
    place.settings()
    return place


@pytest.fixture(scope="session")
def scored(once: Callable[[str, Callable[[Path], None]], Path], trained: Place, sample: Path) -> Path:
    """Folder of two runs in a row, `MONTH` and `NEXT`; read only."""

    def fill(folder: Path) -> None:
        place = with_model(trained, folder / "place")
        for month in (MONTH, NEXT):
            done = place.run("score", sample, "--month", month, "--out", folder / "runs")
            assert done.code == 0, done.err

    return once("scored", fill) / "runs"


@pytest.fixture(scope="session")
def backtested(once: Callable[[str, Callable[[Path], None]], Path], sample: Path) -> Path:
    """Folder of a back-test of the small experiment, `UNTIL` to `MONTH`, and of what it said."""

    def fill(folder: Path) -> None:
        place = settle(folder / "place")
        experiment, out = place.folder / "small.toml", folder / "runs"
        span = ["--from", UNTIL, "--to", MONTH]
        done = place.run("backtest", sample, *span, "--experiment", experiment, "--out", out)
        assert done.code == 0, done.err
        (folder / "said.txt").write_text(done.out, encoding="utf-8")

    return once("backtested", fill)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Settings of one's own, nothing trained."""
    return settle(tmp_path / "place")


@pytest.fixture
def own_model(trained: Place, tmp_path: Path) -> Place:
    """Settings and a trained model of one's own."""
    return with_model(trained, tmp_path / "own")
