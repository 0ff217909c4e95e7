"""The only room that knows the order: train, score, demo."""

from fraud.pipeline.demonstration import demo
from fraud.pipeline.scoring import Run, score
from fraud.pipeline.training import Trained, train

__all__ = ["Run", "Trained", "demo", "score", "train"]
