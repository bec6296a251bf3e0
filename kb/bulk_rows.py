"""Many thousand rows written by their values: a fraction of the time that the ORM's objects and expressions take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

PARAMETERS = 999  # of one statement: what every SQLite takes
# The drivers of both databases take their values as they are; those of other fields are prepared.
PLAIN = (models.BooleanField, models.CharField, models.FloatField, models.ForeignKey, models.IntegerField)


def write_rows(
    model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]], *, overwrites: bool = False
) -> None:
    """Rows of all `fields` in their order; foreign keys by id. With `overwrites` those whose id exists are changed.

    Nothing is filled in: neither defaults nor times. Raises IntegrityError.
    """
    connection = connections[router.db_for_write(model)]
    prepare = [_find_preparation(model, name) for name in fields]
    head, tail = _make_statement(connection, model, fields, overwrites=overwrites)
    places = f"({', '.join(['%s'] * len(fields))})"
    left = iter(rows)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        while part := list(islice(left, PARAMETERS // len(fields))):
            values = [
                each(value, connection) if each else value
                for row in part
                for each, value in zip(prepare, row, strict=True)
            ]
            cursor.execute(f"{head} VALUES {', '.join([places] * len(part))} {tail}", values)


def write_selected(
    model: type[models.Model], fields: Sequence[str], rows: models.QuerySet[Any, Any], *, overwrites: bool = False
) -> int:
    """As `write_rows`, of what the database selects: `rows` holds values in the order of `fields`. Returns how many."""
    connection = connections[router.db_for_write(model)]
    selected, parameters = rows.query.get_compiler(connection=connection).as_sql()
    head, tail = _make_statement(connection, model, fields, overwrites=overwrites)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(f"{head} {selected} {tail}", parameters)
        return int(cursor.rowcount)


def _find_preparation(model: type[models.Model], name: str) -> Callable[[Any, BaseDatabaseWrapper], Any] | None:
    field: Any = model._meta.get_field(name)
    return None if isinstance(field, PLAIN) else field.get_db_prep_save


def _make_statement(
    connection: BaseDatabaseWrapper, model: type[models.Model], fields: Sequence[str], *, overwrites: bool
) -> tuple[str, str]:
    """What comes before the values, and what after."""
    quote = connection.ops.quote_name
    columns: list[Any] = [model._meta.get_field(name) for name in fields]
    names = [quote(column.column) for column in columns]
    head = f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(names)})"
    if not overwrites:
        return head, ""
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name != quote("id"))
    return head, f"ON CONFLICT ({quote('id')}) DO UPDATE SET {changed}"
