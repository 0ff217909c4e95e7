"""What the workbench keeps. Money is integer cents. What a run said is written once and never changed."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from fraud.workbench import workflow
from fraud.workbench.roles import permissions_of

ID = 128
"""Longest id of a subject or claim."""


class Account(AbstractUser):
    """Somebody who signs in; the groups' names are roles."""

    @property
    def roles(self) -> frozenset[str]:
        """Roles held."""
        if not hasattr(self, "_roles"):
            self._roles = frozenset(self.groups.values_list("name", flat=True))
        return self._roles

    def may(self, permission: str) -> bool:
        """Whether one of the roles holds a permission."""
        return self.is_active and permission in permissions_of(self.roles)


class Scope(models.Model):
    """A unit that an account is limited to; see `fraud.workbench.scope`."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="scopes")
    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=ID)

    class Meta:
        """A limit is given once."""

        constraints = [models.UniqueConstraint(fields=["account", "kind", "code"], name="scope_once")]


class FailedSignIn(models.Model):
    """Failures of one name in a row; names are kept as keyed hashes, for people mistype passwords there."""

    name_hash = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    locked_until = models.DateTimeField(null=True)


class Run(models.Model):
    """A published run folder."""

    month = models.CharField(max_length=7)
    fingerprint = models.CharField(max_length=64)
    folder = models.TextField()
    model = models.CharField(max_length=200, blank=True)
    rule_set = models.CharField(max_length=64, blank=True)
    totals = models.JSONField(default=dict)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """One row per run, however often it is published."""

        constraints = [models.UniqueConstraint(fields=["month", "fingerprint"], name="run_once")]


class Case(models.Model):
    """The auditor's unit of work: one subject, from the first listing to a human conclusion.

    ``decided_on`` and hours are ``decided_at`` as the figures count it: the office's day, and whole
    hours since the case was opened and first taken.

    What the machine said last (``month`` to ``claims``) is a copy of the newest `Suspicion`, for the
    list. What people said (``state`` and below) is never written by a run.
    """

    suspicion_id = models.CharField(max_length=64, db_index=True)
    subject_kind = models.CharField(max_length=16)
    subject_id = models.CharField(max_length=ID, db_index=True)

    month = models.CharField(max_length=7)
    score = models.FloatField()
    at_risk_cents = models.BigIntegerField()
    expected_cents = models.BigIntegerField()
    status = models.CharField(max_length=24)
    top_reason = models.TextField(blank=True)
    top_reason_en = models.TextField(blank=True)
    rule_marks = models.JSONField(default=list)
    ring_id = models.CharField(max_length=ID, blank=True)
    claims = models.PositiveIntegerField(default=0)

    state = models.CharField(
        max_length=20, default=workflow.START, choices=[(s, w[0]) for s, w in workflow.STATES.items()]
    )
    open = models.BooleanField(default=True)
    assignee = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.PROTECT, related_name="cases"
    )
    outcome = models.CharField(max_length=16, blank=True)
    scheme = models.CharField(max_length=32, blank=True)
    clause = models.TextField(blank=True)
    amount_cents = models.BigIntegerField(null=True)
    recovered_cents = models.BigIntegerField(null=True)
    decided_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(default=timezone.now)
    taken_at = models.DateTimeField(null=True)
    decided_on = models.DateField(null=True)
    spent_hours = models.PositiveIntegerField(null=True)
    held_hours = models.PositiveIntegerField(null=True)
    due_on = models.DateField(null=True)
    source = models.CharField(max_length=16, default="ranked")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        """A subject has one open case at most; the list reads its pages from an index."""

        constraints = [
            models.UniqueConstraint(
                fields=["suspicion_id"], condition=models.Q(open=True), name="one_open_case"
            )
        ]
        indexes = [
            models.Index(fields=["-expected_cents", "id"], name="case_money"),
            models.Index(fields=["state", "-expected_cents", "id"], name="case_state_money"),
            models.Index(fields=["subject_kind", "-expected_cents", "id"], name="case_kind_money"),
            models.Index(fields=["status", "-expected_cents", "id"], name="case_status_money"),
            models.Index(fields=["-month", "-expected_cents", "id"], name="case_month_money"),
            models.Index(fields=["assignee", "-expected_cents", "id"], name="case_assignee_money"),
            models.Index(fields=["-at_risk_cents", "-expected_cents", "id"], name="case_risk"),
            models.Index(fields=["-score", "-expected_cents", "id"], name="case_score"),
            models.Index(fields=["due_on", "-expected_cents", "id"], name="case_due"),
            models.Index(fields=["ring_id", "-expected_cents", "id"], name="case_ring"),
            # the figures are read from these alone
            models.Index(
                fields=["opened_at", "at_risk_cents", "expected_cents"],
                name="case_open_figures",
                condition=models.Q(open=True),
            ),
            models.Index(
                fields=[
                    "decided_on",
                    "outcome",
                    "spent_hours",
                    "held_hours",
                    "assignee",
                    "at_risk_cents",
                    "amount_cents",
                    "recovered_cents",
                ],
                name="case_decided_figures",
                condition=models.Q(decided_on__isnull=False),
            ),
            # how often each month's list was right
            models.Index(
                fields=["month", "source", "outcome"],
                name="case_month_outcome",
                condition=models.Q(decided_on__isnull=False),
            ),
            models.Index(fields=["assignee"], condition=models.Q(open=True), name="case_mine"),
            # how much of the random slice was taken
            models.Index(
                fields=["month", "source"], condition=models.Q(taken_at__isnull=False), name="case_taken"
            ),
        ]

    @property
    def state_words(self) -> tuple[str, str]:
        """State in Chinese and English."""
        return workflow.STATES[self.state]

    @property
    def reason_words(self) -> tuple[str, str]:
        """Strongest reason in Chinese and English."""
        return self.top_reason, self.top_reason_en


class Unit(models.Model):
    """A region, institution or department that a case rests on; see `fraud.workbench.scope`."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="units", db_index=False)
    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=ID)

    class Meta:
        """A case rests on a unit once; read by case, and by unit for the figures."""

        constraints = [models.UniqueConstraint(fields=["case", "kind", "code"], name="unit_once")]
        indexes = [models.Index(fields=["kind", "code", "case"], name="unit_code")]


class Suspicion(models.Model):
    """What one run said of a case, frozen: the rationale as it was when the score was made."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="suspicions")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="suspicions")
    month = models.CharField(max_length=7)
    rank = models.PositiveIntegerField()
    score = models.FloatField()
    at_risk_cents = models.BigIntegerField()
    expected_cents = models.BigIntegerField()
    status = models.CharField(max_length=24)
    reasons = models.JSONField(default=list)
    rationale_hash = models.CharField(max_length=64)

    class Meta:
        """A run speaks of a case once."""

        constraints = [models.UniqueConstraint(fields=["case", "run"], name="suspicion_once")]


class Evidence(models.Model):
    """An evidence claim of a suspicion, strongest first."""

    suspicion = models.ForeignKey(Suspicion, on_delete=models.PROTECT, related_name="evidence")
    place = models.PositiveIntegerField()
    claim_id = models.CharField(max_length=ID, db_index=True)
    score = models.FloatField(null=True)
    at_risk_cents = models.BigIntegerField(null=True)
    rules = models.JSONField(default=list)
    ring_id = models.CharField(max_length=ID, blank=True)
    facts = models.JSONField(default=dict)


class RuleHit(models.Model):
    """A rule's hit on an evidence claim."""

    suspicion = models.ForeignKey(Suspicion, on_delete=models.PROTECT, related_name="rule_hits")
    claim_id = models.CharField(max_length=ID)
    rule = models.CharField(max_length=64)
    name = models.TextField(blank=True)
    clause = models.TextField(blank=True)
    result = models.CharField(max_length=16)
    amount_cents = models.BigIntegerField()
    sentence = models.TextField()
    sentence_en = models.TextField(blank=True)
    exemptions = models.JSONField(default=list)
    exemptions_en = models.JSONField(default=list)
    snoozed = models.BooleanField(default=False)

    @property
    def sentence_words(self) -> tuple[str, str]:
        """Finding in Chinese and English."""
        return self.sentence, self.sentence_en


class Ring(models.Model):
    """A ring as a run found it."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="rings")
    ring_id = models.CharField(max_length=ID)
    kind = models.CharField(max_length=32)
    size = models.PositiveIntegerField()
    claims = models.PositiveIntegerField()
    amount_cents = models.BigIntegerField()
    q_value = models.FloatField(null=True)
    first_seen = models.CharField(max_length=19)
    last_seen = models.CharField(max_length=19)
    evidence = models.JSONField(default=dict)
    members = models.JSONField(default=list)

    class Meta:
        """A run finds a ring once."""

        constraints = [models.UniqueConstraint(fields=["run", "ring_id"], name="ring_once")]


class Written(models.Model):
    """A row that is written once; the database's triggers refuse more than this class does."""

    class Meta:
        """Not a table."""

        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write a new row.

        Raises
        ------
        TypeError
            The row exists.
        """
        if not self._state.adding:
            raise TypeError(f"{type(self).__name__} rows are never changed")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(f"{type(self).__name__} rows are never deleted")


class Step(Written):
    """One step of a case: who, when, why, amount before and after."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="steps")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=32)
    from_state = models.CharField(max_length=20, blank=True)
    to_state = models.CharField(max_length=20)
    reason = models.CharField(max_length=32, blank=True)
    text = models.TextField(blank=True)
    clause = models.TextField(blank=True)
    amount_before = models.BigIntegerField(null=True)
    amount_after = models.BigIntegerField(null=True)
    assignee = models.CharField(max_length=150, blank=True)


class TrailEntry(Written):
    """One row of the audit trail; see `fraud.workbench.trail`."""

    number = models.BigIntegerField(primary_key=True)
    at = models.CharField(max_length=32)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=32, db_index=True)
    subject = models.CharField(max_length=200, blank=True, db_index=True)
    details = models.TextField(blank=True)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)


class TrailHead(models.Model):
    """The one row that says where the trail ends; whoever appends holds it."""

    number = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)
