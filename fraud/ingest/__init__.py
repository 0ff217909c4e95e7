"""The one door: map columns, decode, cast, NaN→NULL, pseudonymise, validate, quarantine.

`ingest` turns any layout into a dataset folder, `check` reports the quality of one, and
`canonical_dataset` makes a folder of contract-named files ready for the engines.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fraud.ingest.quality import Check, QualityReport
    from fraud.ingest.run import canonical_dataset, check, ingest

__all__ = ["Check", "QualityReport", "canonical_dataset", "check", "ingest"]


def __getattr__(name: str) -> Any:
    # lazily, because DuckDB and pyarrow take long to import
    from importlib import import_module

    if name in ("Check", "QualityReport"):
        return getattr(import_module("fraud.ingest.quality"), name)
    if name in ("canonical_dataset", "check", "ingest"):
        return getattr(import_module("fraud.ingest.run"), name)
    raise AttributeError(name)
