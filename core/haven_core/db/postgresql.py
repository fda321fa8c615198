"""A connection to PostgreSQL that says several things in one message.

psycopg2 sends BEGIN alone and waits for its answer. Here BEGIN waits for the transaction's first statement and goes with
it, as does every statement that was put ahead() of the next. The server runs the statements of one message in order and
stops at the first that fails (https://www.postgresql.org/docs/current/protocol-flow.html, "Multiple Statements in a Simple
Query"). A small push makes a hundred round trips otherwise, and most of its time is theirs.

Django hands over what is here by OPTIONS: its own backend is used as it is.
"""

from collections.abc import Sequence
from typing import Any

from psycopg2 import extensions

BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"  # whatever the server's default is: locks here rely on it
_IDLE = extensions.TRANSACTION_STATUS_IDLE
# Left to itself the server plans some look-ups by key each time, which takes forty times as long as to run them.
_PLAN_ONCE = "SET plan_cache_mode = force_generic_plan"
_FIRST_PLANS = 100  # statements that are run by the first plans; the next ones serve ten times as many, and so on


class Connection(extensions.connection):  # type: ignore[misc]  # the driver has no types
    """The driver's connection. To psycopg2 it is in autocommit mode always; begins and ends are said here."""

    def __init__(self, dsn: str, **arguments: Any) -> None:
        super().__init__(dsn, **arguments)
        extensions.connection.autocommit.__set__(self, True)
        self._is_autocommit = True
        self._ahead: list[bytes] = []
        self.statements: set[str] = set()
        """Names of what is prepared on it; whoever prepares adds his."""
        self._is_direct: bool | None = None
        self._executions = 0
        self._plans_serve = 0  # as many of them; none before the session plans once

    def is_direct(self) -> bool:
        """Whether the server itself is at the other end, and not a pooler, whose sessions have names of its own. Asks once."""
        if self._is_direct is None:
            with self.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._is_direct = cursor.fetchone()[0] == self.get_backend_pid()
        return self._is_direct

    def count_execution(self) -> None:
        """Call before something prepared is run. Plans made while tables were small are bad when they have grown, which the
        server finds out only when it next counts rows, in minutes: so they are made anew now and then."""
        self._executions += 1
        if self._executions <= self._plans_serve or not self.is_at_rest():
            return  # a transaction might take it back
        statement = "DISCARD PLANS" if self._plans_serve else _PLAN_ONCE
        self._plans_serve = max(10 * self._plans_serve, _FIRST_PLANS)
        with self.cursor() as cursor:
            cursor.execute(statement)

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction. Setting it sends nothing."""
        return self._is_autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._is_autocommit = value

    def ahead(self, statement: bytes) -> None:
        """Run a statement before the next one, or before COMMIT, whichever is first. Nobody learns its result; its error
        is the next one's. Outside of a transaction it is one with that next one."""
        self._ahead.append(statement)

    def forget_ahead(self) -> None:
        """Say nothing of what waits."""
        self._ahead = []

    def has_ahead(self) -> bool:
        """Whether something must be said before the next statement."""
        return bool(self._ahead) or (not self._is_autocommit and self.get_transaction_status() == _IDLE)

    def take_ahead(self) -> list[bytes]:
        """What must be said before the next statement: BEGIN, if it is due, and what was put ahead."""
        waiting, self._ahead = self._ahead, []
        if not self._is_autocommit and self.get_transaction_status() == _IDLE:
            waiting.insert(0, BEGIN)
        return waiting

    def is_at_rest(self) -> bool:
        """Whether it is open and nothing is begun, or still to be said, on it."""
        is_idle = not self.closed and self.get_transaction_status() == _IDLE
        return is_idle and self._is_autocommit and not self._ahead

    def commit(self) -> None:
        """End the transaction, if anything was said in it."""
        if self._ahead or self.get_transaction_status() != _IDLE:
            self._say([*self.take_ahead(), b"COMMIT"])

    def rollback(self) -> None:
        """Undo the transaction, and forget what was still to be said in it."""
        self.forget_ahead()
        if self.get_transaction_status() != _IDLE:
            self._say([b"ROLLBACK"])

    def say_at_once(self, statements: Sequence[tuple[str, list[Any]]]) -> None:
        """BEGIN, statements with their values, and COMMIT; what was put ahead goes first, inside. Whoever is told of an error
        rolls back."""
        with self.cursor() as cursor:
            text = "; ".join(statement for statement, _ in statements)
            said = cursor.mogrify(text, [value for _, values in statements for value in values])
            ahead, self._ahead = self._ahead, []
            cursor.execute(b"; ".join([BEGIN, *ahead, said, b"COMMIT"]))

    def _say(self, statements: Sequence[bytes]) -> None:
        with self.cursor() as cursor:
            extensions.cursor.execute(cursor, b"; ".join(statements))


class Cursor(extensions.cursor):  # type: ignore[misc]  # the same
    """The driver's cursor: whatever it sends, what waits goes first. Not for named cursors, which settings forbid."""

    def execute(self, query: Any, values: Any = None) -> None:
        """Raises psycopg2's errors, of what went ahead too."""
        if not self.connection.has_ahead():
            super().execute(query, values)
            return
        text = self.mogrify(query, values)  # may raise, and then what waits goes on waiting
        super().execute(b"; ".join([*self.connection.take_ahead(), text]))

    def executemany(self, query: Any, vars_list: Any) -> None:
        """As the driver's."""
        self._catch_up()
        super().executemany(query, vars_list)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """As the driver's."""
        self._catch_up()
        super().copy_expert(sql, file, size)

    def _catch_up(self) -> None:
        """The driver's C code would send its own without asking execute()."""
        if waiting := self.connection.take_ahead():
            super().execute(b"; ".join(waiting))
