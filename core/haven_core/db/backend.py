"""SQL that differs, or that the ORM can't say: locks weaker than UPDATE, INSERT … ON CONFLICT … RETURNING, keys that
check at once."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connection, models

MAX_ROWS_PER_INSERT = 500

Row = tuple[Any, ...]


def is_postgresql() -> bool:
    """Whether this process talks to PostgreSQL (else SQLite)."""
    return connection.vendor == "postgresql"


def make_constraints_immediate(**_: Any) -> None:
    """Make every foreign key NOT DEFERRABLE; runs after each migrate, so keys of later migrations are covered too.

    Django makes them DEFERRABLE INITIALLY DEFERRED. Deferred, their checks and KEY SHARE locks come at COMMIT, after the
    quota row is locked: the lock order is broken and two transactions can deadlock. SET CONSTRAINTS ALL IMMEDIATE in each
    transaction would cost a statement each and can be forgotten. SQLite has one writer, so the moment does not matter.
    """
    if not is_postgresql():
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint c "
            "JOIN pg_namespace n ON n.oid = connamespace "
            "WHERE contype = 'f' AND condeferrable AND nspname = current_schema()"
        )
        for table, name in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")


def lock(strength: str, table: str, *, skip_locked: bool = False) -> str:
    """The end of a SELECT that locks rows of `table`: KEY SHARE, SHARE, NO KEY UPDATE or UPDATE.

    The ORM knows only the last two. SQLite: nothing, since the caller is inside BEGIN IMMEDIATE and the only writer.
    """
    return f" FOR {strength} OF {table}{' SKIP LOCKED' if skip_locked else ''}" if is_postgresql() else ""


def sql(text: str, *parameters: Any) -> list[Row]:
    """Run one statement. Hot ones are written out: compiling a queryset costs more than running it. Values come raw."""
    with connection.cursor() as cursor:
        cursor.execute(text, [_adapt(parameter) for parameter in parameters])
        return list(cursor.fetchall()) if cursor.description else []


def placeholders(values: Sequence[Any]) -> str:
    """`%s, %s, …`, for an IN list."""
    return ", ".join(["%s"] * len(values))


def _adapt(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) and not is_postgresql() else value


def as_datetime(raw: datetime) -> datetime:
    """A time as sql() returns it (SQLite: without zone) as an aware datetime."""
    return raw if raw.tzinfo else raw.replace(tzinfo=UTC)


def locked(queryset: "models.QuerySet[Any, Any]", strength: str, *, skip_locked: bool = False) -> list[Row]:
    """Run a values_list() query now and lock the rows of its main table. Values come raw: ask for ids and numbers."""
    try:
        text, parameters = queryset.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(text + lock(strength, queryset.model._meta.db_table, skip_locked=skip_locked), parameters)
        return list(cursor.fetchall())


def insert(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    on_conflict: str = "",
    returning: Iterable[str] = ("id",),
) -> list[Row]:
    """Multi-row INSERT in the given row order; the same text on both databases.

    on_conflict is the SQL after ON CONFLICT, such as "DO NOTHING": then only rows really inserted are returned, which
    bulk_create(ignore_conflicts=True) can't tell. Returned values are raw: ids and numbers only.
    """
    fields: list[models.Field[Any, Any]] = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column or "") for field in fields)
    head = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES "
    tail = (f" ON CONFLICT {on_conflict}" if on_conflict else "") + f" RETURNING {', '.join(returning)}"
    one = "(" + ", ".join(["%s"] * len(fields)) + ")"
    result: list[Row] = []
    with connection.cursor() as cursor:
        for start in range(0, len(rows), MAX_ROWS_PER_INSERT):
            chunk = rows[start : start + MAX_ROWS_PER_INSERT]
            values = [
                field.get_db_prep_save(value, connection)
                for row in chunk
                for field, value in zip(fields, row, strict=True)
            ]
            cursor.execute(head + ", ".join([one] * len(chunk)) + tail, values)
            result += cursor.fetchall()
    return result


def is_foreign_key_violation(error: IntegrityError) -> bool:
    """Whether the database refused a reference to a row that is gone (or the removal of one still referenced)."""
    return getattr(error.__cause__, "pgcode", None) == "23503" or "FOREIGN KEY constraint failed" in str(error)
