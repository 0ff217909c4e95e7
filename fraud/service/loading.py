"""Rules and history as they are put to use: read and checked apart, handed over in small pieces.

Python runs one thread at a time, so that work in a thread beside the one that answers makes requests
wait. A reload therefore leaves reading and checking to a process of its own, and takes what that found
piece by piece, with a rest after each.
"""

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from fraud.errors import EngineError, FraudError
from fraud.rules.checks_table import Pause, never
from fraud.rules.history import HistoryIndex
from fraud.rules.master import NO_MASTER
from fraud.rules.rule_set import load_rule_set
from fraud.rules.screen import Screen

STAGES = ("before", "during")
PIECE = 10
"""Checks of one piece: a fraction of a millisecond's work."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Screens by stage and the history index (None where there is none yet), of one moment."""

    screens: dict[str, Screen]
    index: HistoryIndex | None

    @property
    def versions(self) -> dict[str, str | int]:
        """Versions of rules and history, and how many checks there are by stage."""
        told: dict[str, str | int] = {"rules": self.screens["during"].version}
        told["history"] = "" if self.index is None else self.index.version
        return told | {f"checks_{stage}": len(s.checks) for stage, s in self.screens.items()}


class Rests:
    """Called between pieces of work: rests once enough was done since the last rest.

    Parameters
    ----------
    work, rest : float
        Seconds.
    """

    def __init__(self, work: float = 0.0005, rest: float = 0.004) -> None:
        self.work, self.rest = work, rest
        self._begun = time.perf_counter()

    def __call__(self) -> None:
        """Rest if it is time to."""
        if time.perf_counter() - self._begun >= self.work:
            time.sleep(self.rest)
            self._begun = time.perf_counter()


def pieces(rules: str, history: str) -> Iterator[bytes]:
    """Read and check: version, drug classes and item master, then the checks, some at a time; pickled.

    Parameters
    ----------
    rules : str
        User's folder of rules; empty for the built-in ones alone.
    history : str
        History index; empty, or not written yet, for none.

    Raises
    ------
    FraudError
        The rules or the index have mistakes.
    """
    rule_set, index = load_rule_set(rules), _index(history)
    master = NO_MASTER if index is None else index.master()
    if index is not None:
        index.close()
    yield pickle.dumps((rule_set.version, rule_set.classes, master))
    checks = rule_set.checks(master.limits)
    for begin in range(0, len(checks), PIECE):
        yield pickle.dumps(checks[begin : begin + PIECE])


def pieces_apart(rules: str, history: str) -> Iterator[bytes]:
    """The same as `pieces`, from a process of its own.

    Raises
    ------
    FraudError
        As `pieces`; `EngineError` where the process failed or ended early.
    """
    apart = multiprocessing.get_context("spawn")
    receiving, sending = apart.Pipe(duplex=False)
    process = apart.Process(target=_send, args=(sending, rules, history), daemon=True)
    process.start()
    sending.close()
    try:
        while (told := receiving.recv()) is not None:
            if not isinstance(told, bytes):
                kind, problems = told
                raise kind(problems)
            yield told
    except EOFError:
        raise EngineError("the process that reads the rules ended early.") from None
    finally:
        receiving.close()
        process.join()


def _send(sending: Connection, rules: str, history: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service is interrupted, and ends this process
    os.nice(10)
    with suppress(OSError):  # nobody listens any more
        try:
            for piece in pieces(rules, history):
                sending.send(piece)
            sending.send(None)
        except FraudError as error:
            sending.send((type(error), error.problems))
        except OSError:
            raise
        except Exception as error:
            sending.send((EngineError, (f"internal: {type(error).__name__}",)))


def assemble(told: Iterable[bytes], history: str, pause: Pause = never) -> Loaded:
    """Put what `pieces` told to use.

    Parameters
    ----------
    told : iterable of bytes
        From this program's own `pieces`; nothing else may be unpickled.
    history : str
        The same index.
    pause : callable
        Called after every piece of work.
    """
    rest = iter(told)
    version, classes, master = pickle.loads(next(rest))
    checks = []
    for piece in rest:
        checks += pickle.loads(piece)
        pause()
    screens = {stage: Screen.of(checks, classes, master, version, stage, pause) for stage in STAGES}
    return Loaded(screens, _index(history))


def _index(history: str) -> HistoryIndex | None:
    return HistoryIndex(history) if history and Path(history).exists() else None
