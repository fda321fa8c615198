"""Foreign keys as the chain needs them."""

from typing import Any

from django.db import connection, models


def reference(to: Any, **options: Any) -> Any:
    """A foreign key that the database alone enforces: no cascade, no reverse accessor, no query by Django before a delete.

    RESTRICT in effect, because constraints are immediate: a row goes only when nothing points at it.
    """
    return models.ForeignKey(to, on_delete=models.DO_NOTHING, **{"related_name": "+", **options})


def one_to_one(to: Any, **options: Any) -> Any:
    """Like reference(), and unique."""
    return models.OneToOneField(to, on_delete=models.DO_NOTHING, **{"related_name": "+", **options})


def make_constraints_immediate(**_: Any) -> None:
    """Make every foreign key NOT DEFERRABLE; runs after each migrate, so keys of later migrations are covered too.

    Django makes them DEFERRABLE INITIALLY DEFERRED. Deferred, their checks and KEY SHARE locks come at COMMIT, after the
    quota row is locked: the lock order is broken and two transactions can deadlock. SET CONSTRAINTS ALL IMMEDIATE in each
    transaction would cost a statement each and can be forgotten. SQLite has one writer, so the moment does not matter.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint c "
            "JOIN pg_namespace n ON n.oid = connamespace "
            "WHERE contype = 'f' AND condeferrable AND nspname = current_schema()"
        )
        for table, name in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")
