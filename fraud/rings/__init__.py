"""Collusion rings: who meets far more often than chance, and which innocent reasons were tried."""

from fraud.rings.find import Rings, find, suspicion_of_ties

__all__ = ["Rings", "find", "suspicion_of_ties"]
