"""Reasons: what moved a score, in the catalog's words, against peers and against the own past."""

from fraud.explain.beside import Columns, ParquetColumns
from fraud.explain.reasons import Reason, explain, show

__all__ = ["Columns", "ParquetColumns", "Reason", "explain", "show"]
