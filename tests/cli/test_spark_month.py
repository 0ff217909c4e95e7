"""A whole month on a cluster of processes: the same bytes as on DuckDB, also where a machine is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MONTH, Place
from tests.run_differences import differences
from tests.spark_cluster import Cluster, cluster

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]

LOST_AFTER = 40
"""Tables kept when the worker is killed, of some two hundred."""


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def on(place: Place, master: str, memory: str = "512m", wait: int = 60) -> Place:
    """The place's settings with Spark at `master`."""
    models = (place.folder / "models").as_posix()
    place.config.write_text(
        f'[engine]\nname = "spark"\nmaster = "{master}"\nthreads = 1\nmemory_limit = "1GB"\n'
        f"[engine.spark]\nwait_seconds = {wait}\n"
        f'[engine.spark.conf]\nspark.executor.memory = "{memory}"\n'
        'spark.executor.extraJavaOptions = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"\n'
        f'[tracking]\nmodels = "{models}"\n',
        encoding="utf-8",
    )
    return place


def tables_kept(out: Path) -> int:
    """Tables that a run has written so far."""
    return len(list(out.glob(".work-*/*.parquet/_SUCCESS")))


def test_a_cluster_without_room_is_told(place, sample, two_workers, tmp_path):
    on(place, two_workers.master, memory="64g", wait=1)
    done = place.run("score", sample, "--month", MONTH, "--out", tmp_path / "runs")
    assert done.code == 5
    assert "gave no executor in 1 seconds" in done.err


def test_a_month_is_the_same_on_a_cluster_that_loses_a_worker(
    own_model, sample, scored, two_workers, tmp_path
):
    out, seen = tmp_path / "runs", []

    def lose_one() -> None:
        while tables_kept(out) < LOST_AFTER:
            time.sleep(0.05)
        seen.append(two_workers.executors())
        two_workers.kill_worker()

    threading.Thread(target=lose_one, daemon=True).start()
    place = on(own_model, two_workers.master)
    done = place.run("score", sample, "--month", MONTH, "--out", out)
    assert done.code == 0, done.err
    assert seen == [2]
    assert two_workers.executors() == 1
    found = differences(scored / MONTH, out / MONTH)
    assert len(found) >= 10
    assert [d for d in found if not d.same_bytes] == []
