"""``fraud monitor`` and ``fraud promote``: is the model still good, and which model is champion."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.cli_workbench import AuditsOption, decided
from fraud.terminal import ConfigOption, OutOption, bars, month_of, settings_of, table


def monitor(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder; its audits are the judges.")],
    out: OutOption = Path("runs"),
    month: Annotated[
        str | None,
        typer.Option("--month", help="Month at whose end to look, YYYY-MM; the latest run's when left out."),
    ] = None,
    months: Annotated[int, typer.Option("--months", min=1, help="Months looked back at.")] = 12,
    audits: AuditsOption = None,
    config: ConfigOption = None,
) -> None:
    """Is the model still good, how do we know, what would one change; exit code 3 where it says act."""
    from fraud import pipeline

    with decided(audits, config) as more, bars() as progress:
        found = pipeline.monitor(
            dataset,
            out,
            settings_of(config),
            progress,
            month=month_of(month) if month else "",
            months=months,
            audits=more,
            named=audits or "",
        )
    _show_monitored(found)
    if found.verdict == "act":
        raise typer.Exit(3)


def _show_monitored(found: Any) -> None:
    from fraud.report.monitor_page import VERDICT_WORDS

    typer.echo(f"模型监测 {found.month}: {' '.join(VERDICT_WORDS[found.verdict])}")
    for check in found.figures["checks"]:
        typer.echo(f"{check['level']:7} {check['zh']} ({check['en']})")
    for change in found.figures["advice"]:
        command = change["command"].replace("\n", "\n         ")
        typer.echo(f"{change['urgency']:5} -> {change['zh']} ({change['en']})\n         {command}")
    typer.echo(f"Page: {found.page}")


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
    app.command()(monitor)
    app.command()(promote)
