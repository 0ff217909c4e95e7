"""The doctor's screen: one encounter against every rule in force before or during a visit."""

from collections.abc import Sequence
from pathlib import Path

from fraud.rules.checks_table import Pause, never
from fraud.rules.compiled import CompiledRules
from fraud.rules.encounter import Encounter
from fraud.rules.knowledge import DrugClasses
from fraud.rules.master import NO_MASTER, Master
from fraud.rules.past import NOTHING, History
from fraud.rules.rule_set import Check, load_rule_set
from fraud.rules.single import find
from fraud.rules.single_hits import Hit, single_hits


class Screen:
    """Rules ready for single encounters; immutable, so that a reload is one assignment.

    Attributes
    ----------
    version : str
        Version of the rule set.
    checks : tuple of Check
        What is asked.
    """

    def __init__(self, rules: CompiledRules, version: str) -> None:
        self.rules, self.version = rules, version

    @classmethod
    def load(
        cls, rules_folder: Path | str = "", master: Master | None = None, stage: str = "during"
    ) -> "Screen":
        """Load the rule set and compile the checks of a stage.

        Raises
        ------
        UsageError
            Every mistake in the rules, with file and row.
        """
        rule_set, master = load_rule_set(rules_folder), master or NO_MASTER
        checks = rule_set.checks(master.limits)
        return cls.of(checks, rule_set.classes, master, rule_set.version, stage)

    @classmethod
    def of(
        cls, checks: Sequence[Check], classes: DrugClasses, master: Master, version: str, stage: str,
        pause: Pause = never,
    ) -> "Screen":  # fmt: skip
        """Compile the checks of a stage; `pause` is called after every piece of work."""
        own = [c for c in checks if stage in c.rule.stages and c.rule.kind != "measure"]
        rules = CompiledRules(own, classes, master, pause)
        for item in master.items.values():  # so that the first request for an item does not pay for it
            rules.entry(item.code, item.name, item.category)
            pause()
        return cls(rules, version)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What is asked."""
        return self.rules.table.checks

    def check(self, encounter: Encounter, history: History = NOTHING) -> list[Hit]:
        """Hits of one encounter, the gravest and dearest first."""
        found = find(self.rules, encounter, history)
        if not found.rows:
            return []
        total = encounter.total if encounter.total is not None else sum(o.amount for o in encounter.orders)
        return single_hits(self.rules, found, max(total, 0))
