"""What the office keeps besides cases: sheets that came back, what listed a case, and sealed names."""

from django.db import models

from fraud.workbench.models import ID, Account, Case

MARK_KINDS: dict[str, tuple[str, str]] = {
    "rule": ("规则", "rule"),
    "detector": ("检测方法", "detector"),
    "reason": ("理由", "reason"),
}


class ReplySheet(models.Model):
    """A filled-in workbook as it was read: its rows, not the file; who sent it decides about it."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="sheets")
    at = models.DateTimeField(auto_now_add=True)
    name = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    form = models.CharField(max_length=16)
    rows = models.JSONField(default=list)
    applied_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)


class Mark(models.Model):
    """A rule, detector or reason that put a case on the list, for the figures and their filters."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="marks", db_index=False)
    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=64)

    class Meta:
        """A mark is on a case once; read both ways."""

        constraints = [models.UniqueConstraint(fields=["case", "kind", "code"], name="mark_once")]
        indexes = [models.Index(fields=["kind", "code", "case"], name="mark_code")]


class Tally(models.Model):
    """Sums of what was decided in a week; see `fraud.workbench.tallies`."""

    week = models.DateField()
    kind = models.CharField(max_length=16, blank=True)
    code = models.CharField(max_length=ID, blank=True)
    decided = models.BigIntegerField()
    confirmed = models.BigIntegerField()
    cleared = models.BigIntegerField()
    at_risk_cents = models.BigIntegerField()
    confirmed_cents = models.BigIntegerField()
    recovered_cents = models.BigIntegerField()
    spent_hours = models.BigIntegerField()
    held_hours = models.BigIntegerField()
    held = models.BigIntegerField()
    took_0 = models.BigIntegerField()
    took_1 = models.BigIntegerField()
    took_2 = models.BigIntegerField()
    took_3 = models.BigIntegerField()

    class Meta:
        """A sum is kept once."""

        constraints = [models.UniqueConstraint(fields=["week", "kind", "code"], name="tally_once")]


class Word(models.Model):
    """Chinese and English of a mark's code, as the newest publication knew them."""

    code = models.CharField(max_length=64, primary_key=True)
    zh = models.CharField(max_length=200)
    en = models.CharField(max_length=200, blank=True)


class SealedName(models.Model):
    """Name and certificate number of a subject, encrypted; see `fraud.workbench.sealed`."""

    subject_kind = models.CharField(max_length=16)
    subject_id = models.CharField(max_length=ID)
    sealed = models.BinaryField()

    class Meta:
        """A subject has one name."""

        constraints = [models.UniqueConstraint(fields=["subject_kind", "subject_id"], name="name_once")]


class Choice(models.Model):
    """Something the head of the office has chosen in the pages, over the settings."""

    name = models.CharField(max_length=32, primary_key=True)
    value = models.CharField(max_length=200)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now=True)
