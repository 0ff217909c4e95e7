"""The configured MLflow store, its client, and how a version is found in it."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.errors import EngineError, NotTrainedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from fraud.settings import Settings

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
HASH_TAG = "content_sha256"
"""Tag of a version: hash of its files."""


def model_folder(settings: "Settings") -> Path:
    """Folder of the model store."""
    return Path(settings.tracking.models).resolve()


def _database(settings: "Settings") -> Path:
    return model_folder(settings) / "mlflow.db"


def absent(settings: "Settings") -> bool:
    """Whether the local store does not exist yet (asking MLflow would create it)."""
    return not settings.tracking.uri and not _database(settings).exists()


def client_of(settings: "Settings") -> "MlflowClient":
    """Client of the configured store, without chatter; the local store is made on first use."""
    # MLflow and its dependencies warn about each other's futures: nothing a user of ours can act on
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mlflow import MlflowClient

            for noisy in ("mlflow", "alembic"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            uri = settings.tracking.uri
            if not uri:
                model_folder(settings).mkdir(parents=True, exist_ok=True)
                uri = f"sqlite:///{_database(settings)}"
            return MlflowClient(tracking_uri=uri, registry_uri=uri)
        except Exception as error:
            raise EngineError(
                f"MLflow does not open its store {settings.tracking.uri or _database(settings).name}: "
                f"{type(error).__name__}. Check [tracking] uri, and that the model folder is writable."
            ) from error


def version_of(client: "MlflowClient", name: str, alias: str) -> Any:
    """MLflow's version of a registered model by alias or number.

    Raises
    ------
    NotTrainedError
        There is none; says which there are.
    """
    from mlflow.exceptions import MlflowException

    try:
        if alias.isdigit():
            return client.get_model_version(name, alias)
        return client.get_model_version_by_alias(name, alias)
    except MlflowException:
        there = versions(client, name)
        known = f"it has versions {', '.join(there)}" if there else "none is registered"
        raise NotTrainedError(
            f"No model {name} with alias or version {alias}: {known}. Train one with `fraud train`, "
            "or name another with --model."
        ) from None


def versions(client: "MlflowClient", name: str) -> list[str]:
    """Versions of a registered model, ascending."""
    quoted = name.replace("'", "")
    found = client.search_model_versions(f"name='{quoted}'")
    return sorted((str(v.version) for v in found), key=int)
