"""Collusion rings: who meets far more often than chance, and is it innocent?"""

from fraud.rings.find import Rings, find

__all__ = ["Rings", "find"]
