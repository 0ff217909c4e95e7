"""Rules on trial: what a changed rule set would have caught beside the live one, and how rules fare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.errors import UsageError
from fraud.pipeline.frames import dataset_name, decisions, opened, require_span, under
from fraud.pipeline.ruling import STAGE, audited_hits, latest_decisions, rule_hits, rule_set
from fraud.rules.records import Rule
from fraud.rules.rule_set import Check, RuleSet, load_rule_set
from fraud.runs import RunFolder, StageClock, code_version, fingerprint, write_table
from fraud.schema import month_number
from fraud.settings import Settings

Progress = Any
TRIAL = (
    "rule", "name_zh", "name_en", "change", "live_claims", "trial_claims", "new_claims", "gone_claims",
    "live_amount", "trial_amount", "new_confirmed", "new_cleared",
)  # fmt: skip
HEALTH = (
    "rule", "name_zh", "name_en", "enabled", "listing", "hits", "amount_at_issue", "snoozed", "audited",
    "confirmed", "cleared", "confirmed_share", "at_least", "last_month",
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """What a changed rule set would have caught.

    Attributes
    ----------
    folder : Path
        Holds ``trial.csv`` (the summary) and ``rule_hits.parquet`` (the hits of the changed rules).
    summary : DataFrame
        `TRIAL`, one row per rule that differs; amounts at issue in currency units.
    skipped : dict of str to str
        Rules that this data cannot decide, and why.
    """

    folder: Path
    summary: pd.DataFrame
    skipped: dict[str, str]


def try_rules(
    dataset: Path,
    rules: Path,
    first: str,
    last: str,
    out: Path,
    settings: Settings,
    progress: Progress = None,
) -> Trial:
    """Run the rules of a folder that differ from the live ones over some months, beside the live ones.

    Parameters
    ----------
    dataset : Path
    rules : Path
        Folder of rules and knowledge to try, as ``[rules] folder`` would name it.
    first, last : str
        ``YYYY-MM``, inclusive.
    out : Path
        The trial goes into ``rules-FIRST-LAST`` in it.

    Raises
    ------
    UsageError
        Mistakes in the rules, or nothing differs from the live ones.
    """
    live, tried = rule_set(settings), load_rule_set(rules)
    changed = differing(live, tried)
    if not changed:
        raise UsageError(f"{rules.name}: no rule differs from the live ones; nothing to try.")
    begin, end = month_number(first), month_number(last)
    if end < begin:
        raise UsageError(f"--to {last} is before --from {first}; write the earlier month first.")
    clock = StageClock(progress)
    with opened(dataset, settings, out) as (engine, _), RunFolder(out, f"rules-{first}-{last}") as folder:
        require_span(engine, dataset, begin, end)
        months = list(range(begin, end + 1))
        with clock.stage(STAGE):
            step = under(progress, STAGE)
            before = rule_hits(engine, months, _only(live, changed), progress=step)
            after = rule_hits(engine, months, _only(tried, changed), progress=step)
        decided = latest_decisions(decisions(engine))
        summary = _compared(changed, live, tried, before.table, after.table, decided)
        write_table(after.table, "rule_hits", folder.part)
        summary.to_csv(folder.part / "trial.csv", index=False, encoding="utf-8-sig")
        facts = {
            "months": [first, last],
            "live": live.version,
            "tried": tried.version,
            "code": code_version(),
        }
        facts |= {"skipped": after.skipped, "fingerprint": fingerprint(facts)}
        folder.write_manifest(facts, clock.measured())
    return Trial(folder.final, summary, after.skipped)


def differing(live: RuleSet, tried: RuleSet) -> dict[str, str]:
    """Rules that differ: code → new, changed, knowledge changed, switched off or removed."""
    found: dict[str, str] = {}
    was, now = _checks(live), _checks(tried)
    for code in sorted(set(live.rules) | set(tried.rules)):
        a, b = live.rules.get(code), tried.rules.get(code)
        if a is None or b is None:
            found[code] = "new" if a is None else "removed"
        elif a != b:
            found[code] = "switched off" if a.enabled and not b.enabled else "changed"
        elif was.get(code) != now.get(code):
            found[code] = "knowledge changed"
    return found


def _checks(rules: RuleSet) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in rules.checks():
        found.setdefault(check.rule.code, []).append(check)
    return found


def _only(rules: RuleSet, codes: dict[str, str]) -> RuleSet:
    chosen = {c: r for c, r in rules.rules.items() if c in codes}
    return RuleSet(chosen, rules.knowledge, rules.classes, rules.snoozes, rules.version)


def _compared(
    changed: dict[str, str],
    live: RuleSet,
    tried: RuleSet,
    before: pd.DataFrame,
    after: pd.DataFrame,
    decided: pd.DataFrame,
) -> pd.DataFrame:
    outcome = dict(zip(decided["subject_id"], decided["outcome"], strict=True))
    rows = []
    for code, change in changed.items():
        rule = tried.rules.get(code) or live.rules[code]
        old, new = before[before["rule"] == code], after[after["rule"] == code]
        had, has = set(old["claim_id"]), set(new["claim_id"])
        told = [outcome.get(c) for c in has - had]
        rows.append(
            (
                code, rule.name_zh, rule.name_en, change, len(had), len(has), len(has - had), len(had - has),
                round(float(old["amount_at_issue"].sum()), 2), round(float(new["amount_at_issue"].sum()), 2),
                told.count("confirmed"), told.count("cleared"),
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(TRIAL))


def rule_health(dataset: Path, out: Path, month: str, settings: Settings) -> pd.DataFrame:
    """How each rule fared in the runs before a month: `HEALTH`, one row per rule, the dearest first.

    Parameters
    ----------
    dataset : Path
        Its audits say which hits were right; only decisions before `month` count.
    out : Path
        Folder of the run folders.
    month : str
        ``YYYY-MM``.
    """
    rules = rule_set(settings)
    with opened(dataset, settings, out) as (engine, _):
        audited = audited_hits(out, month, decisions(engine))
    rows = [_health(code, rule, audited) for code, rule in sorted(rules.rules.items())]
    table = pd.DataFrame(rows, columns=list(HEALTH))
    return table.sort_values(["amount_at_issue", "rule"], ascending=[False, True], ignore_index=True)


def _health(code: str, rule: Rule, audited: pd.DataFrame) -> dict[str, Any]:
    about = {
        "rule": code,
        "name_zh": rule.name_zh,
        "name_en": rule.name_en,
        "enabled": rule.enabled,
        "listing": rule.listing,
    }
    if code not in audited.index:
        return {**dict.fromkeys(HEALTH, 0), **about, "confirmed_share": None, "last_month": ""}
    own = audited.loc[code].to_dict()
    n = int(own["confirmed"] + own["cleared"])
    return {**own, **about, "audited": n, "confirmed_share": own["confirmed"] / n if n else None}


def mine_rules(
    dataset: Path,
    first: str,
    last: str,
    folder: Path,
    most: int,
    settings: Settings,
    progress: Progress = None,
) -> tuple[Any, list[Path]]:
    """Propose rules from the months of a dataset and write them as rows of knowledge tables.

    Returns
    -------
    Proposals
        See `fraud.rules.mining.propose`.
    list of Path
        Files written into `folder`.
    """
    from fraud.rules import mining, proposals

    with opened(dataset, settings, folder.parent) as (engine, canonical):
        found = mining.propose(engine, first, last, most, dataset=dataset_name(canonical))
    return found, proposals.write(found, folder)
