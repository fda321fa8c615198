"""SQL that differs, or that the ORM can't say: locks weaker than UPDATE, INSERT … ON CONFLICT … RETURNING."""

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    connection,
    connections,
    models,
)
from django.db.backends.base.base import BaseDatabaseWrapper

MUST_BE_ONE = (
    "SELECT CASE count(*) WHEN 1 THEN 1 ELSE ('pushed step by step' || left(count(*)::text, 0))::int END FROM one"
)
"""PostgreSQL: after `WITH one AS (…)`, ends with an error (a number it is not) unless that is one row: for what can say no
more, see ahead() and write_at_once()."""
MAX_ROWS_PER_INSERT = 500
MAX_ROWS_PREPARED = 8
# invalid_sql_statement_name, duplicate_prepared_statement; feature_not_supported: a migration changed a column's type
_NOT_OUR_CONNECTION = ("26000", "42P05", "0A000")

_AS_IT_IS = frozenset({int, str, bytes, bool, type(None)})  # most parameters: a call for each costs more than the look
_PLAIN = (models.IntegerField, models.CharField, models.TextField, models.BooleanField, models.DateTimeField)

Row = tuple[Any, ...]

_thread = threading.local()  # connections belong to threads


def is_postgresql() -> bool:
    """Whether this process talks to PostgreSQL (else SQLite)."""
    return thread_connection().vendor == "postgresql"


def lock(strength: str, table: str, *, skip_locked: bool = False) -> str:
    """The end of a SELECT that locks rows of `table`: KEY SHARE, SHARE, NO KEY UPDATE or UPDATE.

    The ORM knows only the last two. SQLite: nothing, since the caller is inside BEGIN IMMEDIATE and the only writer.
    """
    return f" FOR {strength} OF {table}{' SKIP LOCKED' if skip_locked else ''}" if is_postgresql() else ""


def transaction_number() -> str:
    """SQL for the number of the running transaction; numbers grow in the order of beginnings. SQLite: 0."""
    return "pg_current_xact_id()::text::bigint" if is_postgresql() else "0"


def settled(column: str) -> str:
    """SQL: no transaction is running that is as old as the one whose number `column` holds. SQLite: always true."""
    return f"{column} < pg_snapshot_xmin(pg_current_snapshot())::text::bigint" if is_postgresql() else "1 = 1"


def newest_transaction() -> int:
    """No transaction of this server has a higher number by now. SQLite: 0."""
    if not is_postgresql():
        return 0
    return int(sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")[0][0])


def busy_sessions(*, within_seconds: float) -> int:
    """How many other sessions at our database run a statement, or ended one within that time. SQLite: 0."""
    if not is_postgresql():
        return 0
    return int(
        sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend' "
            "AND (state = 'active' OR state_change > clock_timestamp() - %s * interval '1 second')",
            within_seconds,
        )[0][0]
    )


def sql(text: str, *parameters: Any) -> list[Row]:
    """Run one statement. Hot ones are written out: compiling a queryset costs more than running it. Values come raw.

    The driver's own cursor is used, because Django's wrappers cost several times an indexed SELECT; they are back
    whenever somebody counts or wraps statements. Raises django.db's exceptions either way.
    """
    database = thread_connection()
    values = [value if type(value) in _AS_IT_IS else adapt(value) for value in parameters]
    if database.force_debug_cursor or database.execute_wrappers:
        with database.cursor() as wrapped:
            wrapped.execute(text, values)
            return list(wrapped.fetchall()) if wrapped.description else []
    return _run(database, text if database.vendor == "postgresql" else _with_question_marks(text), values)


def prepared(text: str, *parameters: Any) -> list[Row]:
    """Like sql(), for what every push and pull says: on PostgreSQL planned once for each connection.

    Planning costs several times the execution. The types of the parameters must follow from the statement. Behind a pooler,
    which may give each transaction another connection of the server, nothing is prepared. One that hides itself is found
    out by the first statement that is lost: in a transaction that one raises, and run_write begins again.
    """
    database = thread_connection()
    if not _may_prepare(database):
        return sql(text, *parameters)
    try:
        return _run(database, _execution(database, text, len(parameters)), list(parameters))
    except DatabaseError as error:
        if not is_lost_statement(error) or database.in_atomic_block:
            raise
        return sql(text, *parameters)


def ahead(text: str, *parameters: Any) -> None:
    """Like prepared(), for a statement of a transaction whose result nobody needs: on PostgreSQL it goes with the next
    one, or COMMIT, which raises what it would have raised. What may fail for a good reason is asked again in another way."""
    database = thread_connection()
    if not (database.in_atomic_block and _may_prepare(database)):
        sql(text, *parameters)
        return
    execution = _execution(database, text, len(parameters))
    with database.wrap_database_errors, database.connection.cursor() as cursor:
        database.connection.ahead(cursor.mogrify(execution, list(parameters)))


def write_at_once(*statements: tuple[str, Sequence[Any]]) -> None:
    """A transaction in one message: statements, each with its parameters, that need nothing from each other but what the
    database holds. Each sees what those before it did, and what others committed before it began. They can only tell us
    something by failing: then nothing was done. Inside run_write(is_one_statement=True). Raises NotSupportedError where
    that can't be said: to SQLite, by way of a pooler, within a test's transaction."""
    database = thread_connection()
    if database.in_atomic_block or not _may_prepare(database):
        raise NotSupportedError
    executions = [(_execution(database, text, len(values)), list(values)) for text, values in statements]
    try:
        with database.wrap_database_errors:
            database.connection.say_at_once(executions)
    except DatabaseError:
        with suppress(DatabaseError, InterfaceError), database.wrap_database_errors:
            database.connection.rollback()
        raise


@contextmanager
def nothing_left_unsaid() -> Iterator[None]:
    """Around a write that is no transaction: what was to go with it, and never went, goes with nothing else. Raises
    RuntimeError inside a transaction, but for a test's, as atomic(durable=True) does."""
    blocks = thread_connection().atomic_blocks
    if blocks and not blocks[-1]._from_testcase:  # type: ignore[attr-defined]  # noqa: SLF001
        raise RuntimeError("a write of one statement can't be part of a transaction")
    try:
        yield
    finally:
        database = thread_connection()
        if database.vendor == "postgresql" and database.connection is not None and not database.in_atomic_block:
            database.connection.forget_ahead()


def is_lost_statement(error: DatabaseError) -> bool:
    """Whether a prepared statement is not on the connection where it was prepared: this process prepares no more."""
    global _is_pooled
    if getattr(error.__cause__, "pgcode", None) not in _NOT_OUR_CONNECTION:
        return False
    _is_pooled = True
    return True


_is_pooled = False  # a pooler stands between us and PostgreSQL, as far as this process knows


def _may_prepare(database: BaseDatabaseWrapper) -> bool:
    if database.vendor != "postgresql" or _is_pooled or database.force_debug_cursor or database.execute_wrappers:
        return False
    connect(database)
    with database.wrap_database_errors:
        return bool(database.connection.is_direct())


def _execution(database: BaseDatabaseWrapper, text: str, number: int) -> str:
    """The EXECUTE, with placeholders, of a statement of so many parameters; prepared now if this connection has it not."""
    name, preparation, execution = _as_prepared(text, number)
    with database.wrap_database_errors:
        database.connection.count_execution()
    if name not in database.connection.statements:
        _run(database, preparation, [])
        database.connection.statements.add(name)
    return execution


@lru_cache(maxsize=1024)
def _as_prepared(text: str, number: int) -> tuple[str, str, str]:
    """A name that only this statement has, in every process, as a pooler may give our connection to any of them; PREPARE;
    and EXECUTE."""
    name = f"haven_{sha256(text.encode()).hexdigest()[:24]}"
    numbered = text % tuple(f"${place}" for place in range(1, number + 1))
    values = f" ({', '.join(['%s'] * number)})" if number else ""
    return name, f"PREPARE {name} AS {numbered}", f"EXECUTE {name}{values}"


def thread_connection() -> BaseDatabaseWrapper:
    """This thread's connection wrapper, which never changes; Django's own look-up costs as much as an indexed SELECT."""
    database: BaseDatabaseWrapper | None = getattr(_thread, "database", None)
    if database is None:
        database = _thread.database = connections[DEFAULT_DB_ALIAS]
    return database


def connect(database: BaseDatabaseWrapper) -> None:
    """What Django's cursor() does first: under its handler the connection is tried once a request."""
    if database.connection is None or not database.health_check_done:  # type: ignore[attr-defined]  # stubs lack it
        database.close_if_health_check_failed()
        database.ensure_connection()


def _run(database: BaseDatabaseWrapper, text: str, values: list[Any]) -> list[Row]:
    connect(database)
    try:
        cursor = database.connection.cursor()
        try:
            cursor.execute(text, values)
            rows: list[Row] = cursor.fetchall() if cursor.description else []
        finally:
            cursor.close()
    except Exception:
        with database.wrap_database_errors:  # it translates errors, so it is entered for one
            raise
    return rows


@lru_cache(maxsize=512)
def _with_question_marks(text: str) -> str:
    """The same statement in sqlite3's spelling of parameters."""
    return text.replace("%s", "?").replace("%%", "%")


def database_file() -> str | None:
    """SQLite's file; None with PostgreSQL, and for a database in memory."""
    database = thread_connection()
    path = str(database.settings_dict["NAME"])
    return None if database.vendor == "postgresql" or "mode=memory" in path else path


def matches(column: str) -> str:
    """SQL: the column has a match of the regular expression that is the next parameter."""
    return f"{column} {'~' if is_postgresql() else 'REGEXP'} %s"


def placeholders(values: Collection[Any]) -> str:
    """`%s, %s, …`, for an IN list."""
    return ", ".join(["%s"] * len(values))


def adapt(value: Any) -> Any:
    """A parameter as the driver takes it: times and UUIDs differ between the databases."""
    if isinstance(value, datetime):
        return thread_connection().ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) and not is_postgresql() else value


def as_datetime(raw: datetime | str) -> datetime:
    """A time as sql() returns it (SQLite: without zone, and as a text when it is no column's) as an aware datetime."""
    moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
    bulk_create(ignore_conflicts=True) can't tell. Returned values are raw: ids and numbers only. returning: empty, and
    few rows go ahead(). Only few go prepared: each number of them is a statement.
    """
    database = thread_connection()
    fields, head, one = _insertion(model, tuple(names))
    tail = f" ON CONFLICT {on_conflict}" if on_conflict else ""
    if returning:
        tail += f" RETURNING {', '.join(returning)}"
    result: list[Row] = []
    for start in range(0, len(rows), MAX_ROWS_PER_INSERT):
        chunk = rows[start : start + MAX_ROWS_PER_INSERT]
        values = [
            value if is_plain else field.get_db_prep_save(value, database)
            for row in chunk
            for (field, is_plain), value in zip(fields, row, strict=True)
        ]
        text = head + ", ".join([one] * len(chunk)) + tail
        if len(chunk) > MAX_ROWS_PREPARED:
            result += sql(text, *values)
        elif returning:
            result += prepared(text, *values)
        else:
            ahead(text, *values)
    return result


@lru_cache(maxsize=128)
def _insertion(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[list[tuple["models.Field[Any, Any]", bool]], str, str]:
    """The fields, each with whether its values go to sql() as they are; the statement up to its rows; and the placeholders
    of one row."""
    fields: list[models.Field[Any, Any]] = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column or "") for field in fields)
    head = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES "
    return [(field, _is_plain(field)) for field in fields], head, "(" + ", ".join(["%s"] * len(fields)) + ")"


def _is_plain(field: "models.Field[Any, Any]") -> bool:
    """Whether sql() takes the field's values as they are."""
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    return isinstance(target, _PLAIN)


def is_foreign_key_violation(error: IntegrityError) -> bool:
    """Whether the database refused a reference to a row that is gone (or the removal of one still referenced)."""
    return getattr(error.__cause__, "pgcode", None) == "23503" or "FOREIGN KEY constraint failed" in str(error)
