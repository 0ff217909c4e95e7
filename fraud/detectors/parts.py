"""Scores of a feature table part by part: within bounded memory here, or on the executors of Spark.

Only raw scores are computed on the parts: sums of leaf values, the same on any machine. What turns
them into percentiles and probabilities is cheap and runs where the scores come together, so a score
is the same bytes however the table was cut.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from fraud.detectors.frames import check_features, matrix_of
from fraud.detectors.scorer import Scorer
from fraud.detectors.second_stage import actors_in

Batches = Iterator[pa.RecordBatch]
RAW = ("raw", "first_stage")


class Engine(Protocol):
    """What scoring needs of an engine; see `fraud.engines.Engine`."""

    @property
    def threads(self) -> int:
        """Threads that a function given to `map_batches` may use."""
        ...

    def map_batches(
        self,
        path: Path,
        columns: Sequence[str],
        function: Callable[[Batches], Batches],
        schema: pa.Schema,
        months: Sequence[int] | None = None,
        name: str = "",
    ) -> pa.Table:
        """Run a function over the rows of a Parquet table and collect what it yields."""
        ...


def score_parts(
    engine: Engine, path: Path, scorer: Scorer, months: Sequence[int] | None = None
) -> pd.DataFrame:
    """Score the rows of a feature table without holding its features.

    Parameters
    ----------
    engine : Engine
        DuckDB: batch after batch in this process. Spark: on the executors, which need this package;
        the model travels as text inside the query.
    path : Path
        Feature table, Parquet; a file or a folder of parts.
    scorer : Scorer
    months : sequence of int, optional
        Months to score; all by default. With a second stage they hold its context, too.

    Returns
    -------
    DataFrame
        ``<target>_id``, month and the columns of `Scorer.score`, which gives the same values; sorted by
        month and id.

    Raises
    ------
    NotTrainedError
        The columns are not those of training; names the differing ones.
    """
    schema = pads.dataset(path).schema
    check_features(schema.empty_table().to_pandas(), scorer.features)
    keys = (f"{scorer.target}_id", "month")
    out = pa.schema([*((k, schema.field(k).type) for k in keys), *((name, pa.float64()) for name in RAW)])
    function = partial(raw_batches, scorer.texts(), keys, engine.threads)
    table = engine.map_batches(path, [*keys, *scorer.features], function, out, months, "scores")
    order = ["month", keys[0]]
    frame = table.to_pandas().sort_values(order, kind="stable", ignore_index=True)
    context = _actors(path, keys, months) if scorer.needs_context else frame
    scores = scorer.scored(context, *(frame[name].to_numpy() for name in RAW))
    return pd.concat([frame[list(keys)], scores], axis=1)


def raw_batches(texts: Mapping[str, str], keys: Sequence[str], threads: int, batches: Batches) -> Batches:
    """Keys and raw scores of record batches; runs in a worker process of Spark's, too.

    Parameters
    ----------
    texts : mapping of str to str
        The model, see `Scorer.texts`.
    keys : sequence of str
        Columns handed on.
    threads : int
        Threads of this process.
    batches : iterator of RecordBatch
        The keys and the model's features.
    """
    scorer = Scorer.from_texts(texts, threads)
    for batch in batches:
        matrix = matrix_of(batch.select(list(scorer.features)).to_pandas(), scorer.features)
        values = [pa.array(v, pa.float64()) for v in scorer.raw(matrix)]
        yield pa.RecordBatch.from_arrays([*(batch.column(k) for k in keys), *values], names=[*keys, *RAW])


def _actors(path: Path, keys: Sequence[str], months: Sequence[int] | None) -> pd.DataFrame:
    """Keys and actors of every row, sorted as the scores are."""
    names = pads.dataset(path).schema.names
    columns = [*dict.fromkeys([*keys, *(f"{a}_id" for a in actors_in(pd.DataFrame(columns=names)))])]
    filters = None if months is None else [("month", "in", list(months))]
    frame = pq.read_table(path, columns=columns, filters=filters).to_pandas()
    return frame.sort_values(["month", keys[0]], kind="stable", ignore_index=True)
