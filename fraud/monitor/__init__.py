"""Is the model still good, how do we know, what would one change: from what months brought and promised."""

from fraud.monitor.advice import Advice, advice
from fraud.monitor.checks import Check, checks, verdict
from fraud.monitor.lists import by_month, judged, together
from fraud.monitor.live import auc, live

__all__ = ["Advice", "Check", "advice", "auc", "by_month", "checks", "judged", "live", "together", "verdict"]
