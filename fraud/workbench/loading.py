"""Many rows into a table at once: by COPY on PostgreSQL, by one prepared statement on SQLite.

Django's ``bulk_create`` makes an object and a piece of SQL of every row; of two million rows of a
publication that was five sixths of the time.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from django.db import connection
from django.db.models import DateField, DateTimeField, JSONField, Model

_ROWS = 5000


def reserve(model: type[Model], number: int) -> list[int]:
    """Primary keys for rows to come; within a transaction that holds SQLite's write lock."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            keys = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
            cursor.execute(keys, [table, number])
            return [key for (key,) in cursor.fetchall()]
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        last = (cursor.fetchone() or (0,))[0]
    return [*range(last + 1, last + 1 + number)]


def load(model: type[Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert rows; how many.

    Parameters
    ----------
    model : type
    names : sequence of str
        Columns that the rows give, by the fields' names (``case_id``); all others must have a default
        in the database.
    rows : iterable of sequence
        Values as the model holds them; integers are not checked.
    """
    fields = {f.attname: f for f in model._meta.concrete_fields}
    made = [_converter(fields[n]) for n in names]
    told = (tuple([c(v) if c else v for c, v in zip(made, row, strict=True)]) for row in rows)
    quoted = ", ".join(connection.ops.quote_name(fields[n].column or n) for n in names)
    table = connection.ops.quote_name(model._meta.db_table)
    count = 0
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            statement = f"COPY {table} ({quoted}) FROM STDIN"
            with connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in told:
                    copy.write_row(row)
                    count += 1
            return count
        marks = ", ".join(["%s"] * len(names))
        insert = f"INSERT INTO {table} ({quoted}) VALUES ({marks})"  # noqa: S608
        while part := list(islice(told, _ROWS)):
            cursor.executemany(insert, part)
            count += len(part)
    return count


def load_objects(model: type[Model], objects: Iterable[Model], but: Iterable[str] = ()) -> int:
    """Insert objects with the keys they have; how many."""
    left_out = set(but)
    names = [f.attname for f in model._meta.concrete_fields if f.attname not in left_out]
    return load(model, names, ([getattr(o, n) for n in names] for o in objects))


def store(model: type[Model], names: Sequence[str], objects: Iterable[Model]) -> None:
    """Write some columns of objects that are in the table already, each by the same prepared statement."""
    fields = {f.attname: f for f in model._meta.concrete_fields}
    made = [(n, _converter(fields[n])) for n in names]
    sets = ", ".join(f"{connection.ops.quote_name(fields[n].column or n)} = %s" for n in names)
    told = f"UPDATE {connection.ops.quote_name(model._meta.db_table)} SET {sets} WHERE id = %s"  # noqa: S608
    rows = ([*(c(getattr(o, n)) if c else getattr(o, n) for n, c in made), o.pk] for o in objects)
    with connection.cursor() as cursor:
        while part := list(islice(rows, _ROWS)):
            cursor.executemany(told, part)


def _converter(field: Any) -> Callable[[Any], Any] | None:
    """What makes a column's value of a field's; None where it is the same."""
    if isinstance(field, JSONField):
        return json.dumps
    if isinstance(field, DateTimeField):
        return connection.ops.adapt_datetimefield_value
    return connection.ops.adapt_datefield_value if isinstance(field, DateField) else None
