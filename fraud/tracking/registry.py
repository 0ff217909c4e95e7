"""Champion, challenger and previous: the aliases of a registered model, and every switch of them."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fraud.errors import NotTrainedError
from fraud.settings import Experiment
from fraud.tracking import switches
from fraud.tracking.client import (
    CHALLENGER,
    CHAMPION,
    HASH_TAG,
    PREVIOUS,
    absent,
    client_of,
    model_folder,
    version_of,
    versions,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from fraud.settings import Settings


def register(
    client: "MlflowClient",
    name: str,
    run_id: str,
    digest: str,
    until: str,
    settings: "Settings",
    promote: bool,
    by: str,
    reason: str,
) -> str:
    """Make a version of what a training run kept; the first of a name is champion, a later one challenger.

    Parameters
    ----------
    promote : bool
        Whether a later one becomes champion all the same, by the person named.
    """
    from mlflow.exceptions import MlflowException

    try:
        former = client.get_registered_model(name).aliases.get(CHAMPION)
    except MlflowException:
        client.create_registered_model(name)
        former = None
    source = client.get_run(run_id).info.artifact_uri + "/model"
    made = client.create_model_version(
        name, source, run_id=run_id, tags={HASH_TAG: digest, "until": until}, await_creation_for=0
    )
    version = str(made.version)
    if former is None:
        switch(name, version, settings, kind="first", by=by or "fraud train", reason=reason or "first model")
    elif promote:
        switch(name, version, settings, kind="named", by=by, reason=reason)
    else:
        client.set_registered_model_alias(name, CHALLENGER, version)
    return version


def registered(name: str, settings: "Settings") -> bool:
    """Whether any version of a model of this name is registered."""
    if absent(settings):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(versions(client_of(settings), name))


def aliases(name: str, settings: "Settings") -> dict[str, str]:
    """Alias → version of a registered model; empty where none is registered."""
    if absent(settings):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException

        try:
            known = client_of(settings).get_registered_model(name).aliases
        except MlflowException:
            return {}
        return {str(k): str(v) for k, v in known.items()}


def about(name: str, alias: str, settings: "Settings") -> dict[str, Any]:
    """What is known of a version without loading it: name, version, until, digest and experiment.

    Raises
    ------
    NotTrainedError
        No such model, alias or version.
    """
    if absent(settings):
        raise NotTrainedError(f"No model named {name} is registered. Train one with `fraud train`.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = client_of(settings)
        version = version_of(client, name, alias)
        told = _experiment(client, version.run_id)
    return {
        "name": name,
        "version": str(version.version),
        "until": version.tags.get("until", ""),
        "digest": version.tags.get(HASH_TAG, ""),
        "experiment": told,
    }


def _experiment(client: "MlflowClient", run_id: str) -> dict[str, Any]:
    """Experiment of a training run, from the file that was registered."""
    from mlflow.exceptions import MlflowException

    try:
        with TemporaryDirectory(prefix="fraud-about-") as place:
            file = client.download_artifacts(run_id, "model/about.json", place)
            data = json.loads(Path(file).read_text(encoding="utf-8"))
    except (MlflowException, OSError):
        raise NotTrainedError(
            f"The files of run {run_id} cannot be read: the model folder was moved or cleaned. "
            "Put it back, or train again."
        ) from None
    return Experiment.model_validate(data["experiment"]).model_dump(mode="json")


def switch(
    name: str,
    version: str,
    settings: "Settings",
    *,
    kind: str,
    by: str,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a version champion; the former champion becomes "previous". Recorded before it is done.

    Parameters
    ----------
    name, version : str
    settings : Settings
    kind : str
        See `fraud.tracking.switches.KINDS`.
    by, reason : str
        Who decided, and why.
    evidence : mapping, optional
        Figures and hashes of what was looked at.

    Returns
    -------
    dict
        The record's line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = client_of(settings)
        known = dict(client.get_registered_model(name).aliases)
        former = known.get(CHAMPION)
        line = switches.record(
            model_folder(settings),
            {
                "name": name,
                "kind": kind,
                "before": "" if former is None else str(former),
                "after": version,
                "by": by,
                "reason": reason,
                "evidence": dict(evidence or {}),
            },
        )
        client.set_registered_model_alias(name, CHAMPION, version)
        _set(client, name, PREVIOUS, _previous(name, version, former, kind, settings))
        if str(known.get(CHALLENGER)) == version:
            client.delete_registered_model_alias(name, CHALLENGER)
    return line


def _previous(name: str, version: str, former: Any, kind: str, settings: "Settings") -> str | None:
    """What a later roll-back leads to: the former champion, or after a roll-back the one before it."""
    if kind != "back":
        return None if former is None else str(former)
    lines = switches.read(model_folder(settings), name)
    led = [line["before"] for line in lines if line["after"] == version and line["kind"] != "back"]
    return led[-1] if led and led[-1] else None


def _set(client: "MlflowClient", name: str, alias: str, version: str | None) -> None:
    if version is not None:
        client.set_registered_model_alias(name, alias, version)
    elif alias in client.get_registered_model(name).aliases:
        client.delete_registered_model_alias(name, alias)


def roll_back(name: str, settings: "Settings", *, by: str, reason: str) -> dict[str, Any]:
    """Make the former champion champion again.

    Raises
    ------
    NotTrainedError
        There is no former champion.
    """
    former = aliases(name, settings).get(PREVIOUS)
    if former is None:
        raise NotTrainedError(f"Model {name} has no former champion to go back to.")
    return switch(name, former, settings, kind="back", by=by, reason=reason)


def history(name: str, settings: "Settings") -> tuple[list[dict[str, Any]], str]:
    """Every switch, oldest first, and a warning where the champion is another than the last one says."""
    lines = switches.read(model_folder(settings), name)
    now = aliases(name, settings).get(CHAMPION, "")
    if lines and now != lines[-1]["after"]:
        return lines, (
            f"champion of {name} is version {now or '(none)'}, the record's last line says "
            f"{lines[-1]['after']}: the alias was moved outside `fraud promote`"
        )
    return lines, ""
