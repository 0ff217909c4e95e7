"""Drift: whether a month's data look like the months before, before a model is asked about them."""

from fraud.drift.judge import CODES, LEVELS, Drift, Finding, judge
from fraud.drift.profile import Profile, profile
from fraud.drift.shifted import shifted
from fraud.drift.window import window

__all__ = ["CODES", "LEVELS", "Drift", "Finding", "Profile", "judge", "profile", "shifted", "window"]
