"""``fraud promote``: which model is champion."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.terminal import ConfigOption, OutOption, settings_of, table


def promote(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder; its name is the model's.")],
    model: Annotated[str, typer.Option("--model", help="Alias or version to promote.")] = "challenger",
    by: Annotated[str, typer.Option("--by", help="A person who decides whatever the evidence says.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Go back to the former champion.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Only show every switch so far.")] = False,
    out: OutOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Make the challenger champion if back-tests of both say so; exit code 3, with numbers, if not."""
    from fraud import pipeline

    settings = settings_of(config)
    if history:
        _show_switches(*pipeline.switches(dataset, settings))
        return
    if back:
        done = pipeline.roll_back(dataset, settings, by=by, reason=reason)
    else:
        done = pipeline.promote(dataset, out, settings, model=model, by=by, reason=reason)
    for said in done.said:
        typer.echo(said)
    line = done.line
    typer.echo(f"champion of {line['name']}: version {line['after']} (before: version {line['before']})")


def _show_switches(lines: list[dict[str, Any]], warning: str) -> None:
    rows = [[s["at"], s["before"] or "–", s["after"], s["kind"], s["by"], s["reason"]] for s in lines]
    table("切换记录 switches", ["at", "from", "to", "how", "by", "why"], rows)
    if warning:
        typer.echo(f"warning: {warning}", err=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands about models."""
    app.command()(promote)
