"""Feature tables of every case, on both engines, built once per session."""

from __future__ import annotations

import pytest
from feature_cases import Built, build_all


@pytest.fixture(scope="session")
def built_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_all("duckdb", tmp_path_factory.mktemp("duckdb"))


@pytest.fixture(scope="session")
def built_spark(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_all("spark", tmp_path_factory.mktemp("spark"))


@pytest.fixture(
    params=[
        pytest.param("duckdb", marks=pytest.mark.xdist_group("spec")),
        # one group for all that needs Spark: a second worker would build every table again
        pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")]),
    ]
)
def built(request: pytest.FixtureRequest) -> Built:
    """Feature tables of every case, on each engine."""
    return request.getfixturevalue(f"built_{request.param}")
