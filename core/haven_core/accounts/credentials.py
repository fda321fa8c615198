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
from haven_core.personal_tokens.holders import find_holder
from haven_core.rbac.reach import user_actor
from haven_core.robots.actors import RobotLogin, current_robot, find_login
from haven_core.uses import ROBOT_SECRETS

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
    is_auditor: bool
    epoch: int


_NOBODY = _Account(user_id=0, stored="", is_sysadmin=False, is_auditor=False, epoch=0)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a password is held against. version: names the row and its epoch, that is what `stored` is ('': nothing)."""

    version: str
    stored: str
    is_known: bool


def verify_basic(username: str, password: str, *, address: str = "", takes_tokens: bool = False) -> Actor | None:
    """The actor these credentials prove, or None. `address`: the client's, as the trusted gateway names it.

    One SQL statement always, which reads the account as it is now. One slow hash, and the throttle's statement, unless
    the same credentials were judged in the last CACHE_SECONDS under the same credential epoch: a new password or a
    disabled account counts at once, in every process. Equal requests that arrive together share one hash. An unknown
    name costs what a known one does. Repeating a wrong password counts as one guess, since clients do so by themselves
    (POST, then GET).

    What begins as robots' names do is looked up among them first, by one statement more; see _verify_robot(). What that
    is, is configuration: its version costs a statement every few seconds.

    takes_tokens: whether one of the user's personal access tokens may stand in the password's place. Not where a session
    begins or a password is asked for once more. One costs a statement, no slow hash, and is never throttled; what is none
    is a wrong password.

    Raises TooManyRequests after too many failures for this name from this network; proven credentials still pass.
    """
    if not (0 < len(username) <= MAX_LENGTH and 0 < len(password) <= passwords.MAX_LENGTH) or "\0" in username:
        return None
    robot = find_login(username)
    if robot is not None:
        return _verify_robot(robot, username, password, address)
    if takes_tokens and (holder := find_holder(username, password, address=address)) is not None:
        return holder
    account = _read(username)
    candidate = _Candidate(f"{account.user_id}:{account.epoch}", account.stored, is_known=account != _NOBODY)
    if not _is_proven(candidate, username, password, address):
        return None
    return user_actor(
        account.user_id,
        username,
        is_sysadmin=account.is_sysadmin,
        is_auditor=account.is_auditor,
        epoch=account.epoch,
    )


def forget_credentials() -> None:
    """Drop all verdicts of this process."""
    _verdicts.clear()


def _read(username: str) -> _Account:
    """The live, active account of this name; _NOBODY when there is none."""
    rows = backend.prepared(
        "SELECT id, password, is_sysadmin, is_auditor, credential_epoch FROM account "
        "WHERE username = %s AND is_active AND deleted_at IS NULL",
        username,
    )
    if not rows:
        return _NOBODY
    user_id, stored, is_sysadmin, is_auditor, epoch = rows[0]
    return _Account(user_id, stored, bool(is_sysadmin), bool(is_auditor), epoch)


def _verify_robot(robot: RobotLogin, username: str, password: str, address: str) -> Actor | None:
    """The robot, proven by a live secret. A generated one costs no slow hash and is never throttled: it can't be guessed.

    Whatever is wrong costs what a wrong password of a user does, so time tells nothing of robots either.
    """
    secret = robot.proven_by(password)
    if secret is None:
        secret = robot.chosen
        version = f"robot:{robot.robot_id}:{robot.epoch}:{secret.secret_id if secret else 0}"
        candidate = _Candidate(version, secret.hash if secret else "", is_known=True)
        if not _is_proven(candidate, username, password, address):
            return None
    actor = current_robot(robot.robot_id, robot.epoch)
    if actor is not None and secret is not None:
        ROBOT_SECRETS.note(secret.secret_id, address)
    return actor


def _is_proven(candidate: _Candidate, username: str, password: str, address: str) -> bool:
    """Whether `password` is the candidate's."""
    fingerprint = _fingerprint(candidate, username, password)
    proven = _verdicts.get(fingerprint)
    return _judge(fingerprint, candidate, username, password, address) if proven is None else proven


def _fingerprint(candidate: _Candidate, username: str, password: str) -> bytes:
    """Names one verdict. The candidate's version is part of it, so no verdict survives a change."""
    text = f"{candidate.version}:{len(username)}:{username}{password}"
    return hmac.digest(_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _judge(fingerprint: bytes, candidate: _Candidate, username: str, password: str, address: str) -> bool:
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
            proven = _hash_and_count(fingerprint, candidate, username, password, address)
        verdict.set_result(proven)
    except BaseException as error:
        verdict.set_exception(error)  # those who wait must not wait for ever
        raise
    finally:
        with _running_lock:
            del _running[fingerprint]
    return proven


def _hash_and_count(fingerprint: bytes, candidate: _Candidate, username: str, password: str, address: str) -> bool:
    attempt = throttle.begin(username, address)
    proven = passwords.matches(password, candidate.stored)
    _verdicts.put(fingerprint, proven)
    (throttle.succeeded if proven else throttle.failed)(attempt)
    if not proven:
        # the name of no account may be a password somebody typed into the wrong field
        record_login(Origin(username if candidate.is_known else "", address), is_success=False)
    return proven
