"""Errors a user can act on, one exit code per kind (the codes are the contract's)."""

from collections.abc import Sequence


class FraudError(Exception):
    """Base of every error the toolkit raises on purpose.

    Parameters
    ----------
    problems : str or sequence of str
        What is wrong, where, and what to do; all problems found, not the first.
    """

    exit_code = 5

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class UsageError(FraudError):
    """Wrong arguments or settings."""

    exit_code = 2


class DataError(FraudError):
    """Input data refused: unreadable, incomplete, or the quality gate failed."""

    exit_code = 3


class NotTrainedError(FraudError):
    """No model to score with, or one that does not fit the data."""

    exit_code = 4


class EngineError(FraudError):
    """The engine failed: disk full, out of memory, a lost worker."""

    exit_code = 5
