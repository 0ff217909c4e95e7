"""The ``fraud`` command. Progress bars and printing live here and nowhere else."""

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from fraud import __version__
from fraud.cli_models import add_to as add_models_to
from fraud.cli_rules import rules_app
from fraud.cli_workbench import AuditsOption, decided
from fraud.cli_workbench import add_to as add_workbench_to
from fraud.errors import FraudError
from fraud.terminal import ConfigOption, OutOption, bars, month_of, settings_of, table

app = typer.Typer(
    name="fraud",
    help="Finds medical-insurance fraud suspicions (医保基金疑点) in claims data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(rules_app, name="rules")
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT") if hasattr(errno, name)}


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the city is generated.")] = Path(
        "data/synthetic/demo"
    ),
    out: OutOption = Path("runs"),
    patients: Annotated[int, typer.Option("--patients", min=200, help="Insured people.")] = 6000,
    months: Annotated[int, typer.Option("--months", min=6, help="Months of claims.")] = 15,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the city.")] = 42,
    config: ConfigOption = None,
) -> None:
    """Generate a city, train, score its last month and print the list: the main job."""
    from fraud import pipeline

    settings = settings_of(config)
    with bars() as progress:
        _, run = pipeline.demo(folder, out, patients, months, seed, settings, progress)
    _show_run(run)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="Dataset folder to write.")],
    patients: Annotated[int, typer.Option("--patients", min=200, help="Insured people.")] = 6000,
    months: Annotated[int, typer.Option("--months", min=1, help="Months of claims.")] = 15,
    seed: Annotated[int, typer.Option("--seed", help="Seed; the same seed gives the same bytes.")] = 42,
    camouflage: Annotated[
        float, typer.Option("--camouflage", min=0, max=1, help="How well schemes hide: 0 not, 1 very.")
    ] = 0.4,
    start: Annotated[str, typer.Option("--start", help="First month, YYYY-MM.")] = "2025-04",
) -> None:
    """Generate a synthetic city: claims, lines, people, audits, and the truth beside them."""
    from fraud.synthetic import generate

    with bars() as progress:
        generate(
            out,
            patients=patients,
            months=months,
            seed=seed,
            camouflage=camouflage,
            start=month_of(start),
            progress=progress,
        )
    typer.echo(f"{out}")


@app.command()
def ingest(
    source: Annotated[str, typer.Argument(help="Folder, file or SQLAlchemy URL.")],
    out: Annotated[Path, typer.Argument(help="Dataset folder to write.")],
    profile: Annotated[
        str, typer.Option("--profile", help="canonical, nhsa, kc2x, medicare_inpatient, or a TOML file.")
    ] = "canonical",
    config: ConfigOption = None,
) -> None:
    """Turn any layout into a dataset folder, with its quality report."""
    from fraud.ingest import ingest as run

    with bars() as progress:
        report = run(source, out, profile=profile, settings=settings_of(config), progress=progress)
    _show_gate(report, out / "quality.html")


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    month: Annotated[str | None, typer.Option("--month", help="Month about to be scored, YYYY-MM.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for quality.json and .html.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Quality report alone; exit code 3 where the gate fails."""
    from fraud.ingest import check as run
    from fraud.schema import month_number

    with bars() as progress:
        number = month_number(month_of(month)) if month else None
        quality = run(dataset, settings_of(config), progress, month=number)
    if report:
        quality.write(report)
    _show_gate(quality, report / "quality.html" if report else None)


@app.command()
def drift(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    month: Annotated[str, typer.Option("--month", help="Month to compare with those before it, YYYY-MM.")],
    out: OutOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """What differs between a month and those before it; exit code 3 where scoring would stop."""
    from fraud import pipeline

    found = pipeline.check_drift(dataset, month_of(month), settings_of(config), out)
    for f in found.findings:
        typer.echo(f"{f.level:4} {f.code}: {f.zh} ({f.en})")
    if not found.findings:
        typer.echo(f"没有明显不同 nothing much differs from the {len(found.compared)} months before")
    if found.stops:
        raise typer.Exit(3)


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    until: Annotated[str, typer.Option("--until", help="Last month whose decisions are known, YYYY-MM.")],
    experiment: Annotated[
        Path | None, typer.Option("--experiment", help="Experiment file; defaults when left out.")
    ] = None,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote/--challenger",
            help="Make the model champion as --by decides, or challenger. The first is champion anyway.",
        ),
    ] = False,
    by: Annotated[str, typer.Option("--by", help="Who promotes it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    audits: AuditsOption = None,
    config: ConfigOption = None,
) -> None:
    """Train on what was known at the end of a month; tracked in MLflow."""
    from fraud import pipeline
    from fraud.settings import load_experiment

    with decided(audits, config) as more, bars() as progress:
        trained = pipeline.train(
            dataset,
            month_of(until),
            load_experiment(experiment),
            settings_of(config),
            progress,
            promote=promote,
            by=by,
            reason=reason,
            audits=more,
        )
    for line in trained.summary_lines():
        typer.echo(line)


@app.command()
def score(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    month: Annotated[str, typer.Option("--month", help="Month to score, YYYY-MM.")],
    model: Annotated[str, typer.Option("--model", help="Alias or version of the model.")] = "champion",
    out: OutOption = Path("runs"),
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", help="Score although this check of the gate fails (repeat for more)."),
    ] = None,
    audits: AuditsOption = None,
    config: ConfigOption = None,
) -> None:
    """Score a month: ranked suspicions with reasons, in OUT/MONTH."""
    from fraud import pipeline

    with decided(audits, config) as more, bars() as progress:
        run = pipeline.score(
            dataset,
            month_of(month),
            out,
            settings_of(config),
            progress,
            model=model,
            allow=tuple(allow or ()),
            audits=more,
        )
    _show_run(run)


@app.command()
def backtest(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, with audits.")],
    first: Annotated[str, typer.Option("--from", help="First month to score, YYYY-MM.")],
    last: Annotated[str, typer.Option("--to", help="Last month to score, YYYY-MM.")],
    experiment: Annotated[
        Path | None, typer.Option("--experiment", help="Experiment file; defaults when left out.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", help="Alias or version of a model that scores every month as it is; none is trained."
        ),
    ] = "",
    out: OutOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Back-test: train on what was known then, month by month; compare with what was decided later."""
    from fraud import pipeline
    from fraud.settings import load_experiment

    with bars() as progress:
        run = pipeline.backtest(
            dataset,
            month_of(first),
            month_of(last),
            out,
            load_experiment(experiment),
            settings_of(config),
            progress,
            model=model,
        )
    _show_backtest(run)


@app.command()
def rings(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    first: Annotated[str, typer.Option("--from", help="First month, YYYY-MM.")],
    last: Annotated[str, typer.Option("--to", help="Last month, YYYY-MM; nothing later is looked at.")],
    out: OutOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Find collusion rings (团伙) of a period: members, roles, evidence, pictures, in OUT/rings-FROM-TO."""
    from fraud import pipeline

    with bars() as progress:
        run = pipeline.find_rings(
            dataset, month_of(first), month_of(last), out, settings_of(config), progress
        )
    _show_rings(run)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address; [service] host.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port, 0 for any free one; [service] port.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Check prescriptions over HTTP as doctors write them; see [service] and [rules] of the settings."""
    from fraud.service.server import serve as run

    settings = settings_of(config)
    given = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    settings = settings.model_copy(update={"service": settings.service.model_copy(update=given)})
    run(settings, ready=lambda address: typer.echo(f"Prescriptions are checked at {address}", err=True))


add_models_to(app)
add_workbench_to(app)  # here, so that help lists its commands after those before it in a month


def _show_gate(report: Any, page: Path | None) -> None:
    for check in report.gate:
        mark = "ok  " if check.passed else "FAIL"
        typer.echo(f"{mark} {check.name}: {check.message}")
    if page is not None:
        typer.echo(f"Quality report: {page}")
    if not report.passed:
        raise typer.Exit(3)


def _show_run(run: Any) -> None:
    rows = [
        [
            str(row["rank"]),
            row["subject_kind"],
            row["subject_id"],
            f"{row['score']:.2f}",
            f"{row['amount_at_risk']:,.0f}",
            f"{row['expected_recovery']:,.0f}",
            row["reasons"][0]["sentence_zh"] if len(row["reasons"]) else "",
        ]
        for row in run.top(10)
    ]
    columns = ["#", "kind", "subject", "score", "at risk", "expected", "reason"]
    table(f"疑点清单 suspicions {run.month} — {run.listed} listed", columns, rows)
    typer.echo(f"Report: {run.folder / 'report.html'}")
    typer.echo(f"Excel:  {run.folder / 'suspicions.xlsx'}")


def _show_backtest(run: Any) -> None:
    from fraud.report.backtest_page import WAY_WORDS, share, span, verdict

    whole = run.figures["all"]
    rows = [
        [
            " ".join(WAY_WORDS[way]),
            span(r["average_precision"]),
            span(r["lead"]) if "lead" in r else "–",
            share(r["precision"]["value"]),
            f"{r['money']:,.0f}",
        ]
        for way, r in whole["ways"].items()
    ]
    span_of = f"{run.first} – {run.last}"
    title = f"回测 back-test {span_of}: {whole['decided']} decided, {whole['confirmed']} confirmed"
    table(title, ["order", "average precision", "model's lead", "listed confirmed", "money"], rows)
    for _, zh, en in verdict(run.figures):
        typer.echo(f"{zh} {en}")
    typer.echo(f"Page: {run.page}")


def _show_rings(run: Any) -> None:
    import json

    from fraud.report.content import RING_WORDS

    found = run.rings
    rows = [
        [
            str(rank),
            RING_WORDS.get(ring["kind"], (ring["kind"], ""))[0],
            str(ring["members"]),
            f"{ring['amount']:,.0f}",
            f"{ring['q_value']:.3f}",
            json.loads(ring["evidence"])["summary_zh"],
        ]
        for rank, ring in enumerate(found.head(20).to_dict("records"), 1)
    ]
    columns = ["#", "kind", "members", "amount", "q", "what was done"]
    table(f"团伙 rings {run.first} – {run.last} — {len(found)} found", columns, rows)
    typer.echo(f"Page: {run.page}")


def _system_error(error: BaseException) -> OSError | None:
    """Operating system's error: this one, or the full disk behind what a library made of it."""
    if isinstance(error, OSError):
        return error
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OSError) and behind.errno in _FULL:
            return behind
        behind = behind.__cause__ or behind.__context__
    return None


def main() -> None:
    """Run the command; every known error becomes one message and its exit code.

    An unknown error prints its type and place but not its text, which could hold a patient's value;
    the environment variable ``FRAUD_DEBUG`` shows it whole.
    """
    try:
        app()
    except FraudError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("FRAUD_DEBUG"):
            raise
        if failed := _system_error(error):
            full = "the disk or quota is full; free space and run again, nothing half-written was kept"
            what = full if failed.errno in _FULL else failed.strerror
            typer.echo(f"error: {failed.filename or 'output'}: {what}.", err=True)
            sys.exit(5)
        place = traceback.extract_tb(error.__traceback__)[-1]
        typer.echo(
            f"error: internal: {type(error).__name__} in {Path(place.filename).name}:{place.lineno}. "
            "Set FRAUD_DEBUG=1 to see it whole (it may show patient data).",
            err=True,
        )
        sys.exit(5)
