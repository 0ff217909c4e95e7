"""What a run leaves of its learning: groups of odd claims no label explains, and what the challenger made."""

from django.db import models

from fraud.workbench.models import ID, Run


class NewScheme(models.Model):
    """A group of claims that are odd in the same way, as a run found it.

    ``features`` and ``places`` are those of `fraud.pipeline.new_schemes`, with their words.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="schemes")
    place = models.PositiveIntegerField()
    group_id = models.CharField(max_length=64, db_index=True)
    claims = models.PositiveIntegerField()
    patients = models.PositiveIntegerField()
    cents = models.BigIntegerField()
    alike = models.FloatField()
    features = models.JSONField(default=list)
    places = models.JSONField(default=list)

    class Meta:
        """A run's groups are in an order, the most interesting first."""

        constraints = [models.UniqueConstraint(fields=["run", "place"], name="scheme_place")]


class OddClaim(models.Model):
    """A claim of a group, with what a case made of it will show; see `fraud.workbench.scheme_cases`."""

    scheme = models.ForeignKey(NewScheme, on_delete=models.PROTECT, related_name="own", db_index=False)
    place = models.PositiveIntegerField()
    claim_id = models.CharField(max_length=ID, db_index=True)
    cents = models.BigIntegerField()
    score = models.FloatField(null=True)
    facts = models.JSONField(default=dict)
    kept = models.JSONField(default=dict)

    class Meta:
        """Claims of a group are in an order, the dearest first."""

        constraints = [models.UniqueConstraint(fields=["scheme", "place"], name="odd_claim_place")]


class Contest(models.Model):
    """The models of a run: ``champion`` made the list, ``told`` is what the challenger made of it, if any."""

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="contest")
    champion = models.JSONField(default=dict)
    told = models.JSONField(default=dict)
