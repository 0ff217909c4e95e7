"""``fraud publish``, ``fraud workbench`` and ``fraud audits``: the auditors' web pages and their labels."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from fraud.errors import DataError, UsageError
from fraud.terminal import ConfigOption, settings_of

AuditsOption = Annotated[
    str | None,
    typer.Option(
        "--audits",
        help="Decisions beside the dataset's own: 'workbench' for its database, or a Parquet file.",
    ),
]
PASSWORD_VARIABLE = "FRAUD_WORKBENCH_PASSWORD"
workbench_app = typer.Typer(help="The auditors' web pages (稽核工作台).", invoke_without_command=True)
audits_app = typer.Typer(help="What auditors concluded (稽核结论).", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the workbench's commands to ``fraud``."""
    app.command("publish")(publish)
    app.add_typer(workbench_app, name="workbench")
    app.add_typer(audits_app, name="audits")


def _set_up(config: Path | None, **given: Any) -> Any:
    """Settings, with Django ready and the tables up to date."""
    from fraud.workbench.configure import set_up

    settings = settings_of(config)
    own = settings.workbench.model_copy(update={k: v for k, v in given.items() if v is not None})
    set_up(own)
    return settings.model_copy(update={"workbench": own})


def _who() -> str:
    """Who types, for the trail."""
    try:
        return f"console:{getpass.getuser()}"
    except (KeyError, OSError):
        return "console"


@contextmanager
def decided(audits: str | None, config: Path | None) -> Iterator[Path | None]:
    """File of decisions to read: the workbench's, written for the while, or one that is given."""
    if audits != "workbench":
        yield Path(audits) if audits else None
        return
    _set_up(config)
    from fraud.workbench.audits import export as run

    with TemporaryDirectory() as folder:
        path = Path(folder) / "audits.parquet"
        typer.echo(f"{run(path, _who())} decisions of the workbench.", err=True)
        yield path


def publish(
    run: Annotated[Path, typer.Argument(help="Run folder, such as runs/2026-07.")],
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", help="Its dataset folder: dates, places and amounts of evidence claims."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Publish a run to the workbench: whole or not at all; again does no harm."""
    settings = _set_up(config)
    from fraud.features.catalog import features
    from fraud.rules.rule_set import load_rule_set
    from fraud.workbench.publishing import publish as run_publish

    rules = load_rule_set(settings.rules.folder).rules
    names = {code: (rule.name_zh, rule.clause) for code, rule in rules.items()}
    words = {f.name: (f.title_zh, f.title_en) for f in features().values()}
    words |= {code: (rule.name_zh, rule.name_en) for code, rule in rules.items()}
    done = run_publish(run, _who(), names, dataset, words)
    if done.already:
        typer.echo(f"{done.month}: already published, nothing to do.")
    else:
        typer.echo(f"{done.month}: {done.opened} cases opened, {done.updated} updated.")


@workbench_app.callback()
def workbench(
    context: typer.Context,
    host: Annotated[str | None, typer.Option("--host", help="Address; [workbench] host.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port, 0 for any free; [workbench] port.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Serve the auditors' web pages; see [workbench] of the settings."""
    if context.invoked_subcommand is not None:
        return
    settings = _set_up(config, host=host, port=port)
    from fraud.workbench.serving import serve

    serve(settings.workbench, lambda address: typer.echo(f"稽核工作台 workbench: {address}", err=True))


@workbench_app.command("user")
def user(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[
        str,
        typer.Option(
            "--role", help="auditor, senior_auditor, head, data_scientist, read_only or administrator."
        ),
    ],
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            help="Sees only region=…, institution=… or department=… (repeat for more); none for all.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make an account, or give one a new role and password (asked for, or FRAUD_WORKBENCH_PASSWORD)."""
    _set_up(config)
    from fraud.workbench.accounts import save_account
    from fraud.workbench.scope import limit, units

    wanted = None if limits is None else units(" ".join(limits))
    account, new = save_account(name, role, _password(), _who())
    if wanted is not None:
        limit(account, wanted, _who())
    typer.echo(f"{account.username}: {'made' if new else 'changed'}, {role}.")


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is None and not sys.stdin.isatty():
        raise UsageError(f"No terminal to ask for a password on: set {PASSWORD_VARIABLE}.")
    return given or typer.prompt("密码 password", hide_input=True, confirmation_prompt=True)


@workbench_app.command("names")
def names(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns subject_id, name, and perhaps certificate_no, subject_kind."
        ),
    ],
    config: ConfigOption = None,
) -> None:
    """Keep names and certificate numbers, encrypted; each showing goes into the trail."""
    _set_up(config)
    from fraud.workbench.sealed import keep, read_names

    typer.echo(f"{keep(read_names(file), _who())} names kept, encrypted.")


@workbench_app.command("verify-trail")
def verify_trail(
    expect: Annotated[
        str, typer.Option("--expect", help="Hash noted earlier that the trail must contain.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Prove the audit trail whole, or name its first broken row (exit code 3)."""
    _set_up(config)
    from fraud.workbench.trail import verify

    found = verify(expect)
    if not found.whole:
        raise DataError(f"audit trail: row {found.broken}: {found.why}. Rows before it are whole.")
    typer.echo(f"{found.rows} rows, whole. Head {found.head or '-'}: note it elsewhere.")


@audits_app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="File to write, .parquet or .csv.")],
    config: ConfigOption = None,
) -> None:
    """Write what auditors concluded in the contract's form: confirmed and cleared cases, no others."""
    _set_up(config)
    from fraud.workbench.audits import export as run

    typer.echo(f"{out}: {run(out, _who())} decisions.")
