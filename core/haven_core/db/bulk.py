"""Writing millions of rows at once: COPY on PostgreSQL, prepared INSERTs on SQLite. For a database nobody else uses."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count, islice
from typing import Any

from django.db import connection, models

from haven_core.db import backend

ROWS_PER_COPY = 10_000
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def next_ids(model: type[models.Model]) -> Iterator[int]:
    """Ids of this table that were never used: from behind its sequence on. Nobody else may insert meanwhile, this is
    called once for a table, and settle_ids() must follow in the same transaction."""
    table = model._meta.db_table
    if backend.is_postgresql():
        return count(int(backend.sql("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", table)[0][0]))
    rows = backend.sql("SELECT seq FROM sqlite_sequence WHERE name = %s", table)
    return count(int(rows[0][0]) + 1 if rows else 1)


def settle_ids(model: type[models.Model]) -> None:
    """Let the table's sequence go on behind its largest id. SQLite does so by itself."""
    if not backend.is_postgresql():
        return
    table = model._meta.db_table
    backend.sql(
        "SELECT setval(pg_get_serial_sequence(%s, 'id'), "
        f"greatest((SELECT coalesce(max(id), 1) FROM {table}), nextval(pg_get_serial_sequence(%s, 'id'))))",
        table, table,
    )  # fmt: skip


def load(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert rows in a bulk; returns how many. Columns that are not named get NULL or the database's default.

    Values come as the database keeps them: ids for references, digests encoded, JSON as text or as an object.
    """
    fields: list[models.Field[Any, Any]] = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    columns = [field.column or "" for field in fields]
    quoted = ", ".join(connection.ops.quote_name(column) for column in columns)
    table = connection.ops.quote_name(model._meta.db_table)
    chunks = iter(rows)
    done = 0
    with connection.cursor() as cursor:
        while chunk := list(islice(chunks, ROWS_PER_COPY)):
            if backend.is_postgresql():
                text = "".join(["\t".join([_copied(value) for value in row]) + "\n" for row in chunk])
                cursor.copy_expert(f"COPY {table} ({quoted}) FROM STDIN", io.BytesIO(text.encode()))
            else:
                values = [[_stored(value) for value in row] for row in chunk]
                cursor.executemany(f"INSERT INTO {table} ({quoted}) VALUES ({backend.placeholders(columns)})", values)
            done += len(chunk)
    return done


@contextmanager
def without_keys(tables: Sequence[type[models.Model]]) -> Iterator[None]:
    """Inside a transaction: take foreign keys, unique constraints and indexes of the tables away, and build them when
    the block ends, which checks every row. Many times as fast as keeping them up to date row by row.

    Locks: the tables, and those they point at (ACCESS EXCLUSIVE, PostgreSQL). SQLite keeps everything in place.
    """
    if not backend.is_postgresql():
        yield
        return
    names = [model._meta.db_table for model in tables]
    constraints = backend.sql(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype IN ('f', 'u') AND conrelid = ANY(%s::regclass[]) ORDER BY contype DESC, conname",
        names,
    )
    indexes = backend.sql(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i WHERE NOT indisprimary "
        "AND indrelid = ANY(%s::regclass[]) AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)",
        names,
    )
    for table, name, _ in reversed(constraints):
        backend.sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for index, _ in indexes:
        backend.sql(f"DROP INDEX {index}")
    yield
    backend.sql("SET LOCAL maintenance_work_mem = '256MB'")
    for _, definition in indexes:
        backend.sql(definition)
    for table, name, definition in constraints:
        backend.sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def refresh_statistics(tables: Sequence[type[models.Model]]) -> None:
    """After the transaction: what the planner must know of the tables, and which of their pages everybody may see."""
    if backend.is_postgresql():
        backend.sql("VACUUM (ANALYZE) " + ", ".join(model._meta.db_table for model in tables))


def _copied(value: Any) -> str:
    """A value in COPY's text format."""
    return _COPIED[type(value)](value)


def _escaped(text: str) -> str:
    for character, escape in _ESCAPES:  # most texts have none, and looking is much cheaper than str.translate
        if character in text:
            text = text.replace(character, escape)
    return text


_COPIED: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "\\N",
    bool: lambda value: "t" if value else "f",
    int: str,
    str: _escaped,
    bytes: lambda value: "\\\\x" + value.hex(),
    datetime: lambda value: str(value.isoformat()),
    dict: lambda value: _escaped(json.dumps(value)),
    list: lambda value: _escaped(json.dumps(value)),
}


def _stored(value: Any) -> Any:
    """A value as SQLite's driver takes it."""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return backend.adapt(value)
