"""The one door: map columns, decode, cast, NaN→NULL, pseudonymise, validate, quarantine.

`ingest` turns any layout into a dataset folder, `check` reports the quality of one, and
`canonical_dataset` makes a folder of contract-named files ready for the engines.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fraud.ingest.datasets import canonical_dataset, check
    from fraud.ingest.quality import Check, QualityReport
    from fraud.ingest.run import ingest

__all__ = ["Check", "QualityReport", "canonical_dataset", "check", "ingest"]


_HOMES = {
    "Check": "quality",
    "QualityReport": "quality",
    "canonical_dataset": "datasets",
    "check": "datasets",
    "ingest": "run",
}


def __getattr__(name: str) -> Any:
    # lazily, because DuckDB and pyarrow take long to import
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
