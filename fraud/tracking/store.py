"""The MLflow store: where runs and models are kept, and how a model is found again."""

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from fraud.errors import NotTrainedError
from fraud.settings import Experiment
from fraud.tracking.card import write_card
from fraud.tracking.client import HASH_TAG, absent, client_of, model_folder, version_of
from fraud.tracking.registry import register

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from fraud.detectors.scorer import Scorer
    from fraud.settings import Settings

WINDOW = "window.json"
"""Beside a scorer: what its training window looked like (`fraud.drift.window`)."""
DECIDED = "decided.parquet"
"""Beside the scorer of claims: features and outcome of the claims whose audits it knows."""
# MLflow takes at most these many per call
_METRICS, _PARAMS = 1000, 100


def _experiment_id(client: "MlflowClient", settings: "Settings") -> str:
    name = settings.tracking.experiment
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = None if settings.tracking.uri else (model_folder(settings) / "artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\x1f{digest}\n".encode())
    return total.hexdigest()


def log_training(
    scorers: "Mapping[str, Scorer]",
    *,
    name: str,
    until: str,
    experiment: Experiment,
    settings: "Settings",
    skipped: Mapping[str, str] | None = None,
    promote: bool = True,
    by: str = "",
    reason: str = "",
) -> tuple[str, str]:
    """Keep a trained model with everything needed to judge it, and register it.

    Parameters
    ----------
    scorers : mapping of str to Scorer
        Per kind of subject.
    name : str
        Registered model; the dataset's name.
    until : str
        Last training month, ``YYYY-MM``.
    experiment : Experiment
    settings : Settings
    skipped : mapping, optional
        Feature → why it was skipped.
    promote : bool
        Make it champion (the former champion stays as "previous"). The first model of a name becomes
        champion in any case; without promotion a later one becomes "challenger".
    by, reason : str
        Who makes it champion and why, for the record.

    Returns
    -------
    run_id, version : str
    """
    with TemporaryDirectory(prefix="fraud-model-") as place:
        folder = Path(place)
        model = folder / "model"
        _write_model(model, scorers, name, until, experiment)
        digest = folder_hash(model)
        write_card(folder, scorers, name, until, experiment, skipped or {}, digest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = client_of(settings)
            run_id = _run(client, settings, f"train {name} {until}", {"fraud.stage": "train"})
            _log(client, run_id, _parameters(name, until, experiment, scorers), _metrics(scorers))
            _log_curves(client, run_id, scorers)
            client.log_artifacts(run_id, str(folder))
            client.set_terminated(run_id)
            return run_id, register(client, name, run_id, digest, until, settings, promote, by, reason)


def _write_model(
    folder: Path, scorers: "Mapping[str, Scorer]", name: str, until: str, experiment: Experiment
) -> None:
    for kind, scorer in scorers.items():
        scorer.save(folder / kind)
        if scorer.window:
            text = json.dumps(scorer.window, sort_keys=True, separators=(",", ":"), allow_nan=False)
            (folder / kind / WINDOW).write_text(text + "\n", encoding="utf-8", newline="\n")
        if scorer.decided is not None:
            scorer.decided.to_parquet(folder / kind / DECIDED, index=False)
    about = {"name": name, "until": until, "kinds": list(scorers), "experiment": experiment.model_dump()}
    text = json.dumps(about, ensure_ascii=False, sort_keys=True, indent=1)
    (folder / "about.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def _run(client: "MlflowClient", settings: "Settings", title: str, tags: Mapping[str, str]) -> str:
    run = client.create_run(_experiment_id(client, settings), run_name=title, tags=dict(tags))
    return str(run.info.run_id)


def _log(
    client: "MlflowClient", run_id: str, parameters: Mapping[str, Any], metrics: Mapping[str, float]
) -> None:
    from mlflow.entities import Metric, Param
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    points = [Metric(_key(k), float(v), now, 0) for k, v in metrics.items() if v == v]
    params = [Param(_key(k), str(v)[:5000]) for k, v in parameters.items()]
    for i in range(0, len(points), _METRICS):
        client.log_batch(run_id, metrics=points[i : i + _METRICS])
    for i in range(0, len(params), _PARAMS):
        client.log_batch(run_id, params=params[i : i + _PARAMS])


def _log_curves(client: "MlflowClient", run_id: str, scorers: "Mapping[str, Scorer]") -> None:
    """Held-out log-loss by round, so that MLflow can draw it."""
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    for kind, scorer in scorers.items():
        curve = scorer.summary.get("curve", [])
        points = [Metric(f"{kind}.held_out_log_loss", v, now, i + 1) for i, v in enumerate(curve)]
        for i in range(0, len(points), _METRICS):
            client.log_batch(run_id, metrics=points[i : i + _METRICS])


def _key(text: str) -> str:
    """Characters MLflow allows in a key."""
    return re.sub(r"[^\w\-. /]", "_", text)[:250]


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            out |= _flat(value, f"{name}.")
        else:
            out[name] = value
    return out


def _parameters(
    name: str, until: str, experiment: Experiment, scorers: "Mapping[str, Scorer]"
) -> dict[str, Any]:
    out = {"model": name, "until": until} | _flat(experiment.model_dump(), "experiment.")
    for kind, scorer in scorers.items():
        notes = [note["code"] for note in scorer.summary["fallbacks"]]
        out |= {f"{kind}.supervised": scorer.supervised is not None, f"{kind}.fallbacks": " ".join(notes)}
    return out


def _metrics(scorers: "Mapping[str, Scorer]") -> dict[str, float]:
    out: dict[str, float] = {}
    for kind, scorer in scorers.items():
        numbers = _flat(
            {k: v for k, v in scorer.summary.items() if k not in ("importance", "second_stage", "curves")}
        )
        for key, value in numbers.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                out[f"{kind}.{key}"] = float(value)
    return out


def load_model(name: str, alias: str, settings: "Settings", threads: int | None = None) -> dict[str, Any]:
    """Bring back a registered model.

    Parameters
    ----------
    name : str
        Registered model.
    alias : str
        Alias (champion, challenger, previous) or version number.
    settings : Settings
    threads : int, optional
        Threads the scorers use; the engine's by default.

    Returns
    -------
    dict
        name, version, until, experiment (Experiment), scorers (kind → Scorer).

    Raises
    ------
    NotTrainedError
        No such model, alias or version, or its files changed after training.
    """
    from fraud.detectors.scorer import Scorer

    if absent(settings):
        raise NotTrainedError(
            f"No model named {name} is registered: the model store {model_folder(settings).name} is empty. "
            "Train one with `fraud train`."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = client_of(settings)
        found = version_of(client, name, alias)
        folder = Path(_download(client, found.run_id, settings))
    if folder_hash(folder) != found.tags.get(HASH_TAG):
        raise NotTrainedError(
            f"Model {name} version {found.version}: its files are not those that were registered (content "
            "hash differs). Restore the model folder from a backup, or train again with `fraud train`."
        )
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    threads = settings.engine.threads if threads is None else threads
    scorers = {kind: Scorer.load(folder / kind, threads) for kind in about["kinds"]}
    for kind, scorer in scorers.items():
        if (folder / kind / WINDOW).exists():
            scorer.window = json.loads((folder / kind / WINDOW).read_text(encoding="utf-8"))
        if (folder / kind / DECIDED).exists():
            scorer.decided = pd.read_parquet(folder / kind / DECIDED)
    return {
        "name": name,
        "version": str(found.version),
        "until": about["until"],
        "experiment": Experiment.model_validate(about["experiment"]),
        "scorers": scorers,
    }


def _download(client: "MlflowClient", run_id: str, settings: "Settings") -> str:
    """Local folder of a version's files: in place for a local store, else a copy in the model folder."""
    from mlflow.exceptions import MlflowException

    try:
        if not settings.tracking.uri:
            return str(client.download_artifacts(run_id, "model"))
        copy = model_folder(settings) / "downloaded" / run_id
        copy.mkdir(parents=True, exist_ok=True)
        return str(client.download_artifacts(run_id, "model", str(copy)))
    except (MlflowException, OSError) as error:
        raise NotTrainedError(
            f"The files of run {run_id} cannot be read ({type(error).__name__}): the model folder was moved "
            "or cleaned. Put it back where it was when the model was trained, or train again."
        ) from None


def log_scoring(run: Path, name: str, version: str, settings: "Settings") -> str:
    """Record a published run: its manifest, counts and totals.

    Parameters
    ----------
    run : Path
        Run folder; its name is the scored month. Looks at manifest.json, claims_scored.parquet and
        suspicions.parquet, where they are there.
    name, version : str
        The model that scored.
    settings : Settings

    Returns
    -------
    str
        MLflow run id.
    """
    manifest = run / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    given: dict[str, Any] = {"model": name, "version": version, "month": run.name}
    given |= {k: v for k, v in _flat(facts).items() if isinstance(v, (str, int, bool)) and k not in given}
    totals = {k: v for k, v in _flat(facts.get("totals", {})).items() if isinstance(v, (int, float))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = client_of(settings)
        run_id = _run(client, settings, f"score {name} {run.name}", {"fraud.stage": "score"})
        _log(client, run_id, given, totals | _run_figures(run))
        if manifest.exists():
            client.log_artifact(run_id, str(manifest))
        client.set_terminated(run_id)
    return run_id


def log_backtest(
    title: str, metrics: Mapping[str, float], experiment: Experiment, settings: "Settings", folder: Path
) -> str:
    """Record a back-test beside the training runs, so that several can be compared side by side.

    Parameters
    ----------
    title : str
    metrics : mapping of str to float
        Its few headline figures; NaN are left out.
    experiment : Experiment
        Its settings become parameters.
    settings : Settings
    folder : Path
        Page and figures, kept as artifacts.

    Returns
    -------
    str
        MLflow run id.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = client_of(settings)
        run_id = _run(client, settings, title, {"fraud.stage": "backtest"})
        _log(client, run_id, _flat(experiment.model_dump(), "experiment."), metrics)
        for name in ("backtest.html", "figures.json"):
            client.log_artifact(run_id, str(folder / name))
        client.set_terminated(run_id)
    return run_id


def _run_figures(run: Path) -> dict[str, float]:
    """Count rows, sum money and average scores of a run folder's tables."""
    import pyarrow.parquet as pq

    out: dict[str, float] = {}
    for table, wanted in (
        ("claims_scored", ["score", "p_supervised", "anomaly"]),
        ("suspicions", ["score", "amount_at_risk", "expected_recovery"]),
    ):
        path = run / f"{table}.parquet"
        if not path.exists():
            continue
        present = [c for c in wanted if c in pq.read_schema(path).names]
        frame = pq.read_table(path, columns=present).to_pandas()
        out[f"{table}.rows"] = float(len(frame))
        for column in present:
            values = frame[column].astype(float)
            money = column in ("amount_at_risk", "expected_recovery")
            out[f"{table}.{column}.{'sum' if money else 'mean'}"] = float(
                values.sum() if money else values.mean()
            )
    return out
