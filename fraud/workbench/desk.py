"""What people add to a case besides its steps, and what its page shows besides the rationale."""

from django.db import models

from fraud.workbench.models import ID, Account, Case, Evidence, Suspicion, Written

VERDICTS: dict[str, tuple[str, str]] = {"fraud": ("属实", "fraud"), "innocent": ("无问题", "innocent")}


class Comment(Written):
    """Words of somebody on a case."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="comments")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    text = models.TextField()


class Attachment(Written):
    """A file on a case; its bytes are in the folder of attachments under ``stored``."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="attachments")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    name = models.CharField(max_length=150)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    stored = models.CharField(max_length=32, unique=True)


class Verdict(Written):
    """What somebody said of one evidence claim of a case; the newest counts."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="verdicts")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    claim_id = models.CharField(max_length=ID)
    verdict = models.CharField(max_length=16, choices=[(v, w[0]) for v, w in VERDICTS.items()])


class SavedView(models.Model):
    """Filters and order of the list that somebody keeps under a name."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="views")
    name = models.CharField(max_length=40)
    query = models.TextField(blank=True)

    class Meta:
        """A name is used once."""

        constraints = [models.UniqueConstraint(fields=["account", "name"], name="view_once")]


class Portion(models.Model):
    """What of a case's evidence falls on a patient, doctor, department, institution or item.

    For an item, ``cents`` is what its lines cost; for all others, what the claims have at risk.
    """

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="portions", db_index=False)
    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=ID)
    name = models.CharField(max_length=200, blank=True)
    claims = models.PositiveIntegerField()
    cents = models.BigIntegerField()

    class Meta:
        """One row per case and what it falls on; read both ways."""

        constraints = [models.UniqueConstraint(fields=["case", "kind", "code"], name="portion_once")]
        # all that a sum by code reads is in the index
        indexes = [models.Index(fields=["kind", "code", "case", "cents", "claims"], name="portion_code")]


class PortionSum(models.Model):
    """Sums of `Portion` over all cases, written anew with them: the first level of a break-down."""

    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=ID)
    name = models.CharField(max_length=200, blank=True)
    cases = models.PositiveIntegerField()
    claims = models.BigIntegerField()
    cents = models.BigIntegerField()

    class Meta:
        """One row per what cases fall on; the dearest are read first."""

        constraints = [models.UniqueConstraint(fields=["kind", "code"], name="portion_sum_once")]
        indexes = [models.Index(fields=["kind", "-cents", "code"], name="portion_sum_dear")]


class Lines(models.Model):
    """Lines of an evidence claim, the odd ones first, as the dataset had them when the run was published."""

    evidence = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="lines")
    total = models.PositiveIntegerField()
    odd = models.PositiveIntegerField()
    rows = models.JSONField(default=list)


class Timeline(models.Model):
    """Claims of a suspicion's subject over time, evidence marked; see `fraud.workbench.timeline`."""

    suspicion = models.OneToOneField(Suspicion, on_delete=models.PROTECT, related_name="timeline")
    rows = models.JSONField(default=list)
