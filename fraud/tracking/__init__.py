"""Training and scoring runs in MLflow: a local SQLite store by default, any tracking URI if set.

`log_training` keeps and registers a model, `load_model` brings it back by alias or version,
`log_scoring` records a run, `switch` and `roll_back` change the champion. Importing this room neither
loads MLflow nor touches a network.
"""

import os

from fraud.tracking.registry import about, aliases, history, registered, roll_back, switch
from fraud.tracking.store import load_model, log_backtest, log_scoring, log_training

# read by MLflow when it is first imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

__all__ = [
    "about",
    "aliases",
    "history",
    "load_model",
    "log_backtest",
    "log_scoring",
    "log_training",
    "registered",
    "roll_back",
    "switch",
]
