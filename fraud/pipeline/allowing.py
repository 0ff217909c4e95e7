"""Checks that may fail by name: which are meant, and how a refusal names what to allow."""

from collections.abc import Sequence
from pathlib import Path

from fraud.drift import CODES
from fraud.errors import DataError, UsageError

PREFIX = "drift_"
"""Begins the names of differences from earlier months, beside those of the quality gate's checks."""


def split_allowed(allow: tuple[str, ...], known: set[str]) -> tuple[str, ...]:
    """Checks of the quality gate among what is allowed.

    Raises
    ------
    UsageError
        A name is neither a check of the gate nor a finding of drift.
    """
    drifts = {PREFIX + c for c in CODES}
    unknown = [a for a in allow if a not in known | drifts]
    if unknown:
        raise UsageError(
            f"--allow: no such check: {', '.join(unknown)}. "
            f"The checks are: {', '.join(sorted(known | drifts))}."
        )
    return tuple(a for a in allow if a in known)


def refused_folder(out: Path, month: str) -> Path:
    """Where what was found in a refused month is kept."""
    return out / "refused" / month


def refusal(problems: Sequence[str], page: Path, names: Sequence[str]) -> DataError:
    """Error of a month that is not scored: its problems, what to read, and what could be allowed."""
    allow = " ".join(f"--allow {name}" for name in names)
    return DataError(
        [*problems, f"Nothing was published. Read {page}; mend the data, or name what to accept: {allow}."]
    )
