"""The database itself refuses to change or delete rows of the trail and of the cases' history."""

from django.db import migrations

TABLES = ("workbench_trailentry", "workbench_step")


def _sqlite(table, event):
    return (
        f"CREATE TRIGGER {table}_{event} BEFORE {event.upper()} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'rows of this table are written once'); END"
    )


def protect(apps, editor):
    vendor = editor.connection.vendor
    if vendor == "postgresql":
        editor.execute(
            "CREATE FUNCTION workbench_written_once() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'rows of this table are written once'; END $$"
        )
    for table in TABLES:
        if vendor == "sqlite":
            editor.execute(_sqlite(table, "update"))
            editor.execute(_sqlite(table, "delete"))
        elif vendor == "postgresql":
            editor.execute(
                f"CREATE TRIGGER {table}_once BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION workbench_written_once()"
            )


def start_trail(apps, editor):
    apps.get_model("workbench", "TrailHead").objects.create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("workbench", "0001_initial")]
    operations = [
        migrations.RunPython(protect, migrations.RunPython.noop),
        migrations.RunPython(start_trail, migrations.RunPython.noop),
    ]
