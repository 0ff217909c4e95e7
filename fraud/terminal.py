"""What every command shares: options, settings, progress bars and tables on the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.errors import UsageError

Progress = Callable[[str, int, int], None]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Settings file; fraud.toml here is used when it exists.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder that holds the run folders.")]


def settings_of(config: Path | None) -> Any:
    """Settings of a file, or of fraud.toml here where there is one."""
    from fraud.settings import load_settings

    default = Path("fraud.toml")
    return load_settings(config or (default if default.exists() else None))


@contextmanager
def bars() -> Iterator[Progress]:
    """Progress bars on standard error, one per stage; plain lines where it is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<42}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as shown:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total)
                if not console.is_terminal:
                    console.print(stage, highlight=False)
            shown.update(tasks[stage], completed=done, total=total)

        yield report


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; wide enough for a log where it is not a terminal."""
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title, title_justify="left", show_lines=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(made)


def month_of(text: str) -> str:
    """A month as ``YYYY-MM``, or a clear error."""
    import re

    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise UsageError(f"{text!r} is not a month; write YYYY-MM, for example 2026-07.")
    return text
