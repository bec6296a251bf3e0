"""Many thousand rows written by their values: a fraction of the time that the ORM's objects and expressions take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections, models, router, transaction


def write_rows(
    model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]], *, overwrites: bool = False
) -> None:
    """Rows of all `fields` in their order; foreign keys by id. With `overwrites` those whose id exists are changed.

    Nothing is filled in: neither defaults nor times. Raises IntegrityError.
    """
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    columns: list[Any] = [model._meta.get_field(name) for name in fields]
    names = [quote(column.column) for column in columns]
    places = ", ".join(["%s"] * len(names))
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  names of columns
    if overwrites:
        sql += f" ON CONFLICT ({quote('id')}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"
    prepare = [column.get_db_prep_save for column in columns]
    values = ([each(value, connection) for each, value in zip(prepare, row, strict=True)] for row in rows)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.executemany(sql, values)  # type: ignore[arg-type]  # takes any iterable
