"""``fraud rules``: check, try, mine and import rules, and see how they fare."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.terminal import ConfigOption, OutOption, bars, month_of, settings_of, table

rules_app = typer.Typer(
    help="Rules and knowledge (规则与知识库): check, try, mine, import, health.", no_args_is_help=True
)
DatasetArgument = Annotated[Path, typer.Argument(help="Dataset folder.")]
FirstOption = Annotated[str, typer.Option("--from", help="First month, YYYY-MM.")]
LastOption = Annotated[str, typer.Option("--to", help="Last month, YYYY-MM; nothing later is looked at.")]


@rules_app.command("check")
def check_rules(
    folder: Annotated[
        Path | None, typer.Argument(help="Your folder of rules; [rules] folder where none is named.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Load a folder's rules and knowledge over the built-in ones; tell every mistake, or what there is."""
    from fraud.rules.rule_set import load_rule_set

    found = load_rule_set(folder or settings_of(config).rules.folder)
    checks = found.checks()
    rows = [
        [
            c,
            r.name_zh,
            r.name_en,
            r.kind,
            r.table or "—",
            str(sum(k.rule.code == c for k in checks)),
            r.listing,
        ]
        for c, r in sorted(found.rules.items())
    ]
    table(
        f"规则 rules {found.version} — {len(found.rules)} rules, {len(checks)} checks",
        ["code", "名称", "name", "kind", "knowledge", "checks", "listing"],
        rows,
    )


@rules_app.command("try")
def try_rules(
    dataset: DatasetArgument,
    rules: Annotated[Path, typer.Option("--rules", help="Folder of rules and knowledge to try.")],
    first: FirstOption,
    last: LastOption,
    out: OutOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Run new or changed rules over past months beside the live ones, and show the difference."""
    from fraud.pipeline import trial

    with bars() as progress:
        found = trial.try_rules(
            dataset, rules, month_of(first), month_of(last), out, settings_of(config), progress
        )
    columns = ["rule", "name", "change", "live", "trial", "new", "gone", "at issue", "confirmed", "cleared"]
    rows = [
        [r["rule"], r["name_zh"], r["change"], str(r["live_claims"]), str(r["trial_claims"]),
         str(r["new_claims"]), str(r["gone_claims"]), f"{r['trial_amount']:,.0f}",
         str(r["new_confirmed"]), str(r["new_cleared"])]
        for r in found.summary.to_dict("records")
    ]  # fmt: skip
    table(f"试运行 trial {first} – {last}: claims hit", columns, rows)
    for code, why in found.skipped.items():
        typer.echo(f"skipped {code}: {why}", err=True)
    typer.echo(f"Hits: {found.folder / 'rule_hits.parquet'}")


@rules_app.command("health")
def health(
    dataset: DatasetArgument,
    month: Annotated[
        str, typer.Option("--month", help="Runs and decisions before this month count, YYYY-MM.")
    ],
    out: OutOption = Path("runs"),
    config: ConfigOption = None,
) -> None:
    """Show per rule what earlier runs hit, and how much of it auditors confirmed or cleared."""
    from fraud.pipeline import trial

    found = trial.rule_health(dataset, out, month_of(month), settings_of(config))
    columns = [
        "rule",
        "名称",
        "hits",
        "at issue",
        "snoozed",
        "confirmed",
        "cleared",
        "share",
        "at least",
        "last",
    ]
    rows = [_health_row(r) for r in found.to_dict("records") if r["hits"]]
    table(f"规则表现 rule health before {month}", columns, rows)
    quiet = list(found["rule"][found["hits"] == 0])
    if quiet:
        typer.echo(f"No hits: {', '.join(sorted(quiet))}")


def _health_row(r: dict[str, Any]) -> list[str]:
    share = "—" if r["audited"] == 0 else f"{r['confirmed_share']:.0%}"
    return [
        r["rule"], r["name_zh"], f"{r['hits']:,}", f"{r['amount_at_issue']:,.0f}", str(r["snoozed"]),
        str(r["confirmed"]), str(r["cleared"]), share, f"{r['at_least']:.2f}", r["last_month"],
    ]  # fmt: skip


@rules_app.command("mine")
def mine(
    dataset: DatasetArgument,
    first: FirstOption,
    last: LastOption,
    folder: Annotated[Path, typer.Option("--folder", help="New folder for the candidate rows.")],
    most: Annotated[int, typer.Option("--most", min=1, help="Most candidates.")] = 200,
    config: ConfigOption = None,
) -> None:
    """Propose limits that nearly every charge keeps, with the exceptions: candidate rows for an expert."""
    from fraud.pipeline import trial

    with bars() as progress:
        found, written = trial.mine_rules(
            dataset, month_of(first), month_of(last), folder, most, settings_of(config), progress
        )
    rows = [
        [str(r["rank"]), r["item_name"] or r["items"], r["context"], str(r["charges"]), str(r["exceptions"]),
         f"{r['exception_amount'] / 100:,.0f}", f"{r['q_value']:.3f}", r["note_zh"]]
        for r in found.frame.head(20).to_dict("records")
    ]  # fmt: skip
    columns = ["#", "项目", "context", "charges", "exceptions", "yuan", "q", "证据"]
    table(f"候选规则 candidates — {len(found.frame)} of {found.tested:,} tested", columns, rows)
    for path in written:
        typer.echo(f"Rows: {path}")


@rules_app.command("import")
def import_points(
    source: Annotated[Path, typer.Argument(help="Spreadsheet of knowledge points (知识点), .xlsx.")],
    folder: Annotated[
        Path, typer.Option("--folder", help="Your folder of rules; rows go to its knowledge/.")
    ],
) -> None:
    """Import an official knowledge-point spreadsheet into your own folder of knowledge."""
    from fraud.rules.points import import_points as run

    found = run(source, folder / "knowledge")
    for name, count in sorted(found.written.items()):
        typer.echo(f"{name}: {count} rows")
    typer.echo(
        f"{found.points} knowledge points read, {found.untranslated} left to a person: untranslated.csv"
    )
