"""Curves of a training run as pictures (PNG, no display needed)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_SIZE = (5.0, 3.6)


def draw(folder: Path, curves: Mapping[str, Any], importance: Mapping[str, float]) -> None:
    """Write the pictures the data allow: log-loss, precision–recall, reliability, Shapley summary."""
    if curves.get("held_out_log_loss"):
        _save(folder / "log_loss.png", lambda axes: _log_loss(axes, curves["held_out_log_loss"]))
    if curves.get("precision_recall"):
        _save(folder / "precision_recall.png", lambda axes: _recall(axes, curves["precision_recall"]))
    if curves.get("reliability"):
        _save(folder / "reliability.png", lambda axes: _reliability(axes, curves["reliability"]))
    if importance:
        _save(folder / "shap_summary.png", lambda axes: _bars(axes, importance))


def _save(path: Path, paint: Callable[[Any], None]) -> None:
    # the object interface: no global state, no display, no clash with a user's own figures
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="tight")
    FigureCanvasAgg(figure)
    paint(figure.add_subplot())
    # no software version or date in the file: same run, same bytes
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _log_loss(axes: Any, curve: Sequence[float]) -> None:
    axes.plot(range(1, len(curve) + 1), curve)
    axes.set(xlabel="trees", ylabel="held-out log-loss")


def _recall(axes: Any, points: Sequence[Sequence[float]]) -> None:
    axes.plot([p[0] for p in points], [p[1] for p in points])
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))


def _reliability(axes: Any, bins: Sequence[Mapping[str, float]]) -> None:
    stated = [b["stated"] for b in bins]
    low = [b["observed"] - b["low"] for b in bins]
    high = [b["high"] - b["observed"] for b in bins]
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.errorbar(stated, [b["observed"] for b in bins], yerr=[low, high], marker="o", capsize=2)
    axes.set(xlabel="stated probability", ylabel="share confirmed")


def _bars(axes: Any, importance: Mapping[str, float], most: int = 20) -> None:
    top = list(importance.items())[:most][::-1]
    axes.barh([name for name, _ in top], [value for _, value in top])
    axes.tick_params(axis="y", labelsize=5)
    axes.set_xlabel("mean absolute contribution (log-odds)")
