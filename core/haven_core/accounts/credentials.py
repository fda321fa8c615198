"""Checking a name and a password: slow once, cheap for a few seconds, never wrong after a change."""

import hashlib
import hmac
import secrets
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from haven_core.accounts import passwords, throttle
from haven_core.audit.services import record_login
from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.domain.names import MAX_LENGTH
from haven_core.domain.origin import Origin

CACHE_SECONDS = 10.0

_key = secrets.token_bytes(
    32
)  # per process: what lies in memory is no hash of a password that could be guessed elsewhere
_verdicts: TimedCache[bytes, bool] = TimedCache(seconds=CACHE_SECONDS, limit=10_000)
_running: dict[bytes, "Future[bool]"] = {}
_running_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Account:
    user_id: int
    stored: str
    is_sysadmin: bool
    epoch: int


_NOBODY = _Account(user_id=0, stored="", is_sysadmin=False, epoch=0)


def verify_basic(username: str, password: str, *, address: str = "") -> Actor | None:
    """The actor these credentials prove, or None. `address`: the client's, as the trusted gateway names it.

    One SQL statement always, which reads the account as it is now. One slow hash, and the throttle's statement, unless
    the same credentials were judged in the last CACHE_SECONDS under the same credential epoch: a new password or a
    disabled account counts at once, in every process. Equal requests that arrive together share one hash. An unknown
    name costs what a known one does. Repeating a wrong password counts as one guess, since clients do so by themselves
    (POST, then GET).

    Raises TooManyRequests after too many failures for this name from this network; proven credentials still pass.
    """
    if not (0 < len(username) <= MAX_LENGTH and 0 < len(password) <= passwords.MAX_LENGTH) or "\0" in username:
        return None
    account = _read(username)
    fingerprint = _fingerprint(account, username, password)
    proven = _verdicts.get(fingerprint)
    if proven is None:
        proven = _judge(fingerprint, account, username, password, address)
    if not proven:
        return None
    return Actor("user", account.user_id, username, account.is_sysadmin, account.epoch)


def forget_credentials() -> None:
    """Drop all verdicts of this process."""
    _verdicts.clear()


def _read(username: str) -> _Account:
    """The live, active account of this name; _NOBODY when there is none."""
    rows = backend.sql(
        "SELECT id, password, is_sysadmin, credential_epoch FROM account "
        "WHERE username = %s AND is_active AND deleted_at IS NULL",
        username,
    )
    if not rows:
        return _NOBODY
    user_id, stored, is_sysadmin, epoch = rows[0]
    return _Account(user_id, stored, bool(is_sysadmin), epoch)


def _fingerprint(account: _Account, username: str, password: str) -> bytes:
    """Names one verdict. The account's id and epoch are part of it, so no verdict survives a change."""
    text = f"{account.user_id}:{account.epoch}:{len(username)}:{username}{password}"
    return hmac.digest(_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _judge(fingerprint: bytes, account: _Account, username: str, password: str, address: str) -> bool:
    """Hash, once for all who ask the same thing now."""
    with _running_lock:
        verdict = _running.get(fingerprint)
        leads = verdict is None
        if verdict is None:
            verdict = _running[fingerprint] = Future()
    if not leads:
        return verdict.result()
    try:
        # The last leader may have ended between our look into the cache and our becoming one.
        proven = _verdicts.get(fingerprint)
        if proven is None:
            proven = _hash_and_count(fingerprint, account, username, password, address)
        verdict.set_result(proven)
    except BaseException as error:
        verdict.set_exception(error)  # those who wait must not wait for ever
        raise
    finally:
        with _running_lock:
            del _running[fingerprint]
    return proven


def _hash_and_count(fingerprint: bytes, account: _Account, username: str, password: str, address: str) -> bool:
    attempt = throttle.begin(username, address)
    proven = passwords.matches(password, account.stored)
    _verdicts.put(fingerprint, proven)
    (throttle.succeeded if proven else throttle.failed)(attempt)
    if not proven:
        # the name of no account may be a password somebody typed into the wrong field
        record_login(Origin(username if account.user_id else "", address), is_success=False)
    return proven
