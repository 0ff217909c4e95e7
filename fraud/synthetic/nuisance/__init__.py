"""Innocent look-alikes: what honest people do that looks like fraud."""

from fraud.synthetic.nuisance.base import Nuisance

NUISANCES: tuple[type[Nuisance], ...] = ()

__all__ = ["NUISANCES", "Nuisance"]
