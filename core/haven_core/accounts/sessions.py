"""Sessions of browsers: rows, so that they outlive every process and end everywhere at once. The cookie holds 256 random
bits; the database their hash."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http.response import HttpResponseBase
from django.utils import timezone

from haven_core.accounts.models import Session
from haven_core.accounts.policy import session_timeout
from haven_core.audit.services import record_login, record_logout
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.origin import Origin
from haven_core.rbac.reach import user_actor

COOKIE = "sid"
RENEW_SECONDS = 60  # a session's end moves at most this often: requests of one page don't write one after another
_SWEEP = 200


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that stands. must_change_password: it may do nothing but that."""

    actor: Actor
    must_change_password: bool


def open_session(actor: Actor, *, replaces: str = "", address: str = "") -> str:
    """Begin a session for who just proved to be `actor`; returns the cookie's value, always a new one, so that a cookie
    set by somebody else is never the one that is logged in. `replaces`: the value the browser had, which ends.

    Durable. Sweeps some sessions that ran out.
    """
    value, now = secrets.token_urlsafe(32), timezone.now()

    def write() -> None:
        expired = Session.objects.filter(expires_at__lt=now).values_list("pk", flat=True)[:_SWEEP]
        Session.objects.filter(pk__in=[bytes(key) for key in expired]).delete()
        if replaces:
            Session.objects.filter(pk=_key(replaces)).delete()
        Session.objects.create(
            key=_key(value),
            user_id=actor.user_id,
            epoch=actor.epoch,
            created_at=now,
            expires_at=now + session_timeout(),
        )

    run_write(write)
    record_login(Origin(actor.name, address), is_success=True)
    return value


def find_session(value: str, *, renews: bool = True) -> LiveSession | None:
    """The session of a cookie's value, unless it ran out or the account changed since. One SQL statement.

    Unless `renews` is false its end moves to session_timeout from now, at most every RENEW_SECONDS.
    """
    now, key = timezone.now(), _key(value)
    rows = backend.sql(
        "SELECT a.id, a.username, a.is_sysadmin, a.is_auditor, a.credential_epoch, a.must_change_password, s.expires_at "
        "FROM session s JOIN account a ON a.id = s.user_id AND a.credential_epoch = s.epoch "
        "WHERE s.key = %s AND s.expires_at > %s AND a.is_active AND a.deleted_at IS NULL",
        key, now,
    )  # fmt: skip
    if not rows:
        return None
    user_id, name, is_sysadmin, is_auditor, epoch, must_change, ends = rows[0]
    if renews:
        _renew(key, now, backend.as_datetime(ends))
    actor = user_actor(user_id, name, is_sysadmin=bool(is_sysadmin), is_auditor=bool(is_auditor), epoch=epoch)
    return LiveSession(actor, bool(must_change))


def close_session(value: str, *, address: str = "") -> None:
    """End a session; nothing happens when there is none."""
    session = find_session(value, renews=False)
    if session is not None and run_write(lambda: Session.objects.filter(pk=_key(value)).delete()[0]):
        record_logout(Origin(session.actor.name, address))


def set_session_cookie(response: HttpResponseBase, value: str, *, is_secure: bool) -> None:
    """Give the browser its session; the cookie goes with the browser, the session by itself ends earlier. is_secure:
    whether the request came over TLS."""
    response.set_cookie(COOKIE, value, httponly=True, samesite="Lax", secure=is_secure, path="/")


def _renew(key: bytes, now: datetime, ends: datetime) -> None:
    until = now + session_timeout()
    if abs(until - ends) < timedelta(seconds=RENEW_SECONDS):
        return
    run_write(lambda: Session.objects.filter(pk=key, expires_at=ends).update(expires_at=until), is_durable=False)


def _key(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
