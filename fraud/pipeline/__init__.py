"""The only room that knows the order: train, score, rings, back-test, demo."""

from fraud.pipeline.backtesting import Backtest, backtest
from fraud.pipeline.collusion import RingRun, find_rings
from fraud.pipeline.demonstration import demo
from fraud.pipeline.drifting import check_drift
from fraud.pipeline.monitoring import Monitored, monitor
from fraud.pipeline.promoting import Switched, promote, roll_back, switches
from fraud.pipeline.scoring import Run, score
from fraud.pipeline.training import Trained, train

__all__ = [
    "Backtest",
    "Monitored",
    "RingRun",
    "Run",
    "Switched",
    "Trained",
    "backtest",
    "check_drift",
    "demo",
    "find_rings",
    "monitor",
    "promote",
    "roll_back",
    "score",
    "switches",
    "train",
]
