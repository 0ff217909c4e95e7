"""Fraud schemes, one module each."""

from fraud.synthetic.schemes.base import Group, Scheme

SCHEMES: tuple[type[Scheme], ...] = ()

__all__ = ["SCHEMES", "Group", "Scheme"]
