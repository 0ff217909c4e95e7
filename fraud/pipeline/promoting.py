"""Champion and challenger: what evidence there is, whether it is enough, and the switch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.backtest.contest import contest, objections, summary
from fraud.backtest.told import plain
from fraud.errors import DataError, NotTrainedError, UsageError
from fraud.pipeline.frames import dataset_name
from fraud.runs import file_hash
from fraud.runs.manifest import read_manifest
from fraud.settings import Settings

SCORES = "backtest_scores.parquet"


@dataclass(frozen=True)
class Switched:
    """A change of champion: the record's line, and what was compared, in words."""

    line: Mapping[str, Any]
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Tested:
    """A back-test that could be evidence."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, ...]:
        """What two comparable back-tests share: months, inputs, settings and code."""
        parts = (self.manifest["months"], self.manifest["inputs"], self.manifest["settings"])
        return tuple(json.dumps(p, sort_keys=True) for p in (*parts, self.manifest["code"]))

    @property
    def stated(self) -> str | None:
        """Hash of the scores that the manifest names."""
        return {o["name"]: o["sha256"] for o in self.manifest.get("outputs", ())}.get(SCORES)

    def of(self, model: Mapping[str, Any]) -> int:
        """How it speaks for a model: 2 scored by this version, 1 by its experiment retrained, 0 not."""
        scored_by = self.manifest.get("model", {})
        if scored_by:
            named = (scored_by["name"], scored_by["version"]) == (model["name"], model["version"])
            return 2 if named else 0
        return int(self.manifest["experiment"] == model["experiment"])


def promote(
    dataset: Path,
    out: Path,
    settings: Settings,
    *,
    model: str = "challenger",
    by: str = "",
    reason: str = "",
) -> Switched:
    """Make the challenger champion if back-tests say so, or because a named person does.

    Parameters
    ----------
    dataset : Path
        Its name is the model's.
    out : Path
        Folder of run folders; the newest pair of comparable back-tests in it is the evidence.
    model : str
        Alias or version to promote.
    by, reason : str
        A person who takes the decision, and why; then the evidence is recorded but does not decide.

    Raises
    ------
    UsageError
        Only one of `by` and `reason` is given.
    NotTrainedError
        There is no such model, or it is the champion already.
    DataError
        No comparable back-tests, or what they say is not enough; with the numbers.
    """
    from fraud import tracking

    if bool(by.strip()) != bool(reason.strip()):
        raise UsageError("--by and --reason go together: who promotes the model, and why.")
    name = dataset_name(dataset)
    champion = tracking.about(name, "champion", settings)
    challenger = tracking.about(name, model, settings)
    if challenger["version"] == champion["version"]:
        raise NotTrainedError(f"Version {champion['version']} of {name} is the champion already.")
    pair = newest_pair(out, champion, challenger)
    figures = None if pair is None else _compare(*pair, settings)
    said = [] if figures is None else summary(figures, settings.promotion)
    if not by:
        _require(figures, settings, out, champion, challenger)
    evidence = {} if pair is None else {"figures": plain(figures), "files": _hashes(pair)}
    line = tracking.switch(
        name,
        challenger["version"],
        settings,
        kind="named" if by else "promoted",
        by=by or "fraud promote",
        reason=reason or "; ".join(said),
        evidence=evidence,
    )
    return Switched(line, said)


def roll_back(dataset: Path, settings: Settings, *, by: str = "", reason: str = "") -> Switched:
    """Make the former champion champion again.

    Raises
    ------
    NotTrainedError
        There is none.
    """
    from fraud import tracking

    line = tracking.roll_back(dataset_name(dataset), settings, by=by or "fraud promote --back", reason=reason)
    return Switched(line)


def switches(dataset: Path, settings: Settings) -> tuple[list[dict[str, Any]], str]:
    """Every change of champion, oldest first, and a warning where the registry says another champion."""
    from fraud import tracking

    return tracking.history(dataset_name(dataset), settings)


def backtests_in(out: Path, until: str = "") -> list[Tested]:
    """Back-tests of a folder, by name; with `until`, those whose last month is not after it."""
    runs = [
        Tested(p.parent, read_manifest(p.parent) or {}) for p in sorted(out.glob("backtest-*/manifest.json"))
    ]
    runs = [r for r in runs if r.manifest.get("months") and (r.folder / SCORES).exists()]
    return [r for r in runs if not until or r.manifest["months"][1] <= until]


def newest_pair(
    out: Path, champion: Mapping[str, Any], challenger: Mapping[str, Any], until: str = ""
) -> tuple[Tested, Tested] | None:
    """Comparable back-tests of both: those reaching furthest, then the longest, then the most direct."""
    runs = backtests_in(out, until)
    pairs = [
        (a, b)
        for a in runs
        if a.of(champion)
        for b in runs
        if b.of(challenger) and a.key == b.key and a.folder != b.folder
    ]
    return max(pairs, key=lambda p: _weight(p, champion, challenger), default=None)


def _weight(
    pair: tuple[Tested, Tested], champion: Mapping[str, Any], challenger: Mapping[str, Any]
) -> tuple[Any, ...]:
    first, last = pair[0].manifest["months"]
    earlier = tuple(-ord(c) for c in first)
    return last, earlier, pair[0].of(champion), pair[1].of(challenger), pair[1].folder.name


def _compare(own: Tested, new: Tested, settings: Settings) -> dict[str, Any]:
    return contest(scores_of(own), scores_of(new), settings.list.capacity)


def scores_of(run: Tested) -> pd.DataFrame:
    """Scores of a back-test, having checked that they are those its manifest names."""
    if run.stated != file_hash(run.folder / SCORES):
        raise DataError(f"{run.folder.name}: {SCORES} is not the file its manifest names; run it again.")
    return pd.read_parquet(run.folder / SCORES)


def _hashes(pair: Sequence[Tested]) -> list[dict[str, Any]]:
    """Files of a compared pair; they are what their manifests state."""
    return [{"file": f"{r.folder.name}/{SCORES}", "sha256": r.stated} for r in pair]


def _require(
    figures: Mapping[str, Any] | None,
    settings: Settings,
    out: Path,
    champion: Mapping[str, Any],
    challenger: Mapping[str, Any],
) -> None:
    """Raise unless the evidence is enough."""
    named = "A named person may decide otherwise: --by NAME --reason TEXT."
    versions = f"version {challenger['version']} against champion {champion['version']}"
    if figures is None:
        raise DataError(
            [
                f"{versions}: {out} holds no two back-tests of the same months, data, settings and code, one "
                "of each. Run `fraud backtest` with the experiment of each, or with --model champion.",
                named,
            ]
        )
    problems = objections(figures, settings.promotion)
    if problems:
        raise DataError([f"{versions} is not promoted.", *problems, named])
