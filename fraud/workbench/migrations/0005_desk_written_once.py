"""Comments, attachments and words on claims are written once too."""

from django.db import migrations

TABLES = ("workbench_comment", "workbench_attachment", "workbench_verdict")


def protect(apps, editor):
    vendor = editor.connection.vendor
    for table in TABLES:
        if vendor == "sqlite":
            for event in ("update", "delete"):
                editor.execute(
                    f"CREATE TRIGGER {table}_{event} BEFORE {event.upper()} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'rows of this table are written once'); END"
                )
        elif vendor == "postgresql":
            editor.execute(
                f"CREATE TRIGGER {table}_once BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION workbench_written_once()"
            )


class Migration(migrations.Migration):
    dependencies = [("workbench", "0004_desk")]
    operations = [migrations.RunPython(protect, migrations.RunPython.noop)]
