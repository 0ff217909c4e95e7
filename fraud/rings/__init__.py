"""Collusion rings: who meets far more often than chance, and which innocent reasons were tried."""

from fraud.rings.find import Rings, find

__all__ = ["Rings", "find"]
