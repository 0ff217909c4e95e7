from collections import defaultdict
from datetime import timedelta

from django.db import migrations


def sum_portions(apps, editor):
    """What cases fall on, summed once."""
    editor.execute(
        "INSERT INTO workbench_portionsum (kind, code, name, cases, claims, cents) "
        "SELECT kind, code, MAX(name), COUNT(*), SUM(claims), SUM(cents) FROM workbench_portion GROUP BY kind, code"
    )


def count_decisions(apps, editor):
    """What was decided before is counted too."""
    model = {n: apps.get_model("workbench", n) for n in ("Case", "Mark", "Portion", "Tally")}
    keys = defaultdict(list)
    for case, kind, code in model["Mark"].objects.values_list("case_id", "kind", "code").iterator():
        keys[case].append((kind, code))
    departments = model["Portion"].objects.filter(kind="department")
    for case, code in departments.values_list("case_id", "code").iterator():
        keys[case].append(("department", code))
    sums: dict = defaultdict(lambda: defaultdict(int))
    for case in model["Case"].objects.exclude(decided_on=None).iterator():
        week = case.decided_on - timedelta(case.decided_on.weekday())
        held = [("holder", str(case.assignee_id))] if case.assignee_id else []
        for kind, code in [("", ""), *keys[case.pk], *held]:
            own = sums[week, kind, code]
            own["decided"] += 1
            own[case.outcome] += 1
            if kind == "":
                spent = case.spent_hours or 0
                took = sum(spent // 24 > last for last in (7, 30, 90))
                own[f"took_{took}"] += 1
                own["at_risk_cents"] += case.at_risk_cents
                own["confirmed_cents"] += (case.amount_cents or 0) if case.outcome == "confirmed" else 0
                own["recovered_cents"] += case.recovered_cents or 0
                own["spent_hours"] += spent
                own["held_hours"] += case.held_hours or 0
                own["held"] += case.held_hours is not None
    names = [f.name for f in model["Tally"]._meta.get_fields() if f.name not in ("id", "week", "kind", "code")]
    model["Tally"].objects.bulk_create(
        [
            model["Tally"](week=week, kind=kind, code=code, **{n: own[n] for n in names})
            for (week, kind, code), own in sorted(sums.items())
        ],
        batch_size=1000,
    )


class Migration(migrations.Migration):
    dependencies = [("workbench", "0009_sums")]
    operations = [
        migrations.RunPython(sum_portions, migrations.RunPython.noop),
        migrations.RunPython(count_decisions, migrations.RunPython.noop),
    ]
