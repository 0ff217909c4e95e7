"""The challenger scores every month silently: its scores and how its list would differ lie beside the run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.backtest.overlap import overlap
from fraud.engines import Engine
from fraud.errors import FraudError
from fraud.features.build import FeatureTables, build
from fraud.pipeline.chosen import Model
from fraud.pipeline.frames import KINDS
from fraud.pipeline.ranking import Ranked
from fraud.pipeline.ring_evidence import with_ring_evidence
from fraud.runs import write_json, write_table
from fraud.settings import Settings

TABLE, REPORT = "challenger_scored", "challenger.json"


@dataclass(frozen=True)
class Silent:
    """What a challenger made of a month.

    Attributes
    ----------
    scores : DataFrame
        Run table ``challenger_scored``.
    told : dict
        Version, training, experiment and `fraud.backtest.overlap.overlap`.
    """

    scores: pd.DataFrame
    told: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write table and comparison into a run folder."""
        write_table(self.scores.sort_values(["subject_kind", "subject_id"]), TABLE, folder)
        write_json(self.told, folder / REPORT)


def tables_for(
    challenger: Model,
    champion: Model,
    tables: FeatureTables,
    engine: Engine,
    months: list[int],
    settings: Settings,
) -> FeatureTables:
    """Features the challenger looks at: the champion's, or its own where it looks at another window."""
    own, other = challenger.experiment, champion.experiment
    if (own.window_months, own.ring_evidence) == (other.window_months, other.ring_evidence):
        return tables
    built = build(engine, months, KINDS, own.window_months)
    return with_ring_evidence(engine, built, months, own, settings)


def silent(
    challenger: Model, champion: Ranked, rank: Callable[[Model], Ranked], settings: Settings
) -> tuple[Silent | None, list[str]]:
    """Score the month as the challenger would, and compare; a failure is a note, never the run's.

    Parameters
    ----------
    challenger : Model
    champion : Ranked
        The month as published.
    rank : callable
        Ranks the month by a model.
    settings : Settings

    Returns
    -------
    Silent or None, notes
    """
    try:
        ranked = rank(challenger)
    except FraudError as error:
        return None, [f"challenger v{challenger.version} did not score: {error.problems[0]}"]
    claims = ranked.claims.assign(subject_kind="claim", subject_id=ranked.claims["claim_id"])
    told = {
        "version": challenger.version,
        "until": challenger.until,
        "experiment": challenger.experiment.name,
        **overlap(champion.claims, ranked.claims, (champion.listed, ranked.listed), settings.list.capacity),
    }
    return Silent(pd.concat([claims, ranked.subjects], ignore_index=True), told), []
