"""Registry tokens: short ES256 JWTs (distribution: docs/spec/auth/jwt)."""

import hashlib
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, get_args

import jwt

from haven_core.accounts import actors
from haven_core.caches import TimedCache
from haven_core.domain.actor import ANONYMOUS, Actor, Kind
from haven_core.personal_tokens.holders import current_holder
from haven_core.robots.actors import current_robot
from haven_core.tokens import keys
from haven_core.tokens.scopes import Scope

SERVICE = "haven-registry"  # the audience, and the service named in challenges
ISSUER = "haven-token-issuer"
CATALOG = Scope("registry", "catalog", frozenset({"*"}))
MAX_TOKEN_LENGTH = 16 * 1024  # longer than any header nginx passes on

_ALGORITHM = "ES256"
_STARTS_BEFORE = timedelta(seconds=10)
_NOTHING: frozenset[str] = frozenset()


class TokenInvalid(Exception):
    """No token of ours. Clients get the challenge with error="invalid_token"."""


class TokenExpired(TokenInvalid):
    """A token of ours, past its time. `claims` are genuine: the holder of an upload begun under them may finish it."""

    def __init__(self, claims: "Claims") -> None:
        super().__init__("the token has expired")
        self.claims = claims


class IssuedToken(NamedTuple):
    """A signed token; expires_in in seconds."""

    token: str
    expires_in: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. subject_id: the user's or robot's. personal_token_id: of the personal access token that
    the user had it issued with, or 0.

    access: "type:name" to actions; iat and exp in seconds since the epoch."""

    sub: str
    kind: Kind
    subject_id: int
    epoch: int
    iat: int
    exp: int
    jti: str
    access: Mapping[str, frozenset[str]] = field(default_factory=dict)
    personal_token_id: int = 0

    def actions_on(self, repository: str) -> frozenset[str]:
        """Actions granted on a repository, by its full name."""
        return self.access.get(f"repository:{repository}", _NOTHING)

    @property
    def may_list_catalog(self) -> bool:
        """Whether the token opens /v2/_catalog."""
        return "*" in self.access.get("registry:catalog", _NOTHING)


# A token is verified once in each process; expiry is looked at every time, revocation by current_actor().
_verified: TimedCache[bytes, Claims] = TimedCache(seconds=3600.0, limit=10_000)


def issue_token(actor: Actor, access: Iterable[Scope], lifetime: timedelta | None = None) -> IssuedToken:
    """Sign a token for `actor` with exactly the given grants. `lifetime`: that of the key token_expiration at most,
    its default."""
    longest = keys.longest_lifetime()
    seconds = int(min(lifetime or longest, longest).total_seconds())
    now = datetime.now(UTC).replace(microsecond=0)
    kid, private = keys.signing_key()
    payload = {
        "iss": ISSUER,
        "sub": actor.name,
        "aud": SERVICE,
        "iat": int(now.timestamp()),
        "nbf": int((now - _STARTS_BEFORE).timestamp()),
        "exp": int(now.timestamp()) + seconds,
        "jti": uuid.uuid4().hex,
        "kind": actor.kind,
        "uid": actor.subject_id,
        "epoch": actor.epoch,
        **({"pat": actor.token_id} if actor.token_id else {}),
        "access": [{"type": one.type, "name": one.name, "actions": one.ordered_actions()} for one in access],
    }
    return IssuedToken(jwt.encode(payload, private, algorithm=_ALGORITHM, headers={"kid": kid}), seconds, now)


def verify_token(token: str) -> Claims:
    """The claims of a token of ours. Raises TokenExpired, with the claims, or TokenInvalid.

    The signature costs once per token and process (a bounded cache by the token's hash). The algorithm is fixed and the
    key is the one we stored under `kid`: jwk, jku, x5c and x5u headers are not looked at. Clocks may differ by
    keys.LEEWAY.
    """
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise TokenInvalid("no token of this registry")
    fingerprint = hashlib.sha256(token.encode()).digest()
    claims = _verified.get(fingerprint)
    if claims is None:
        claims = _read(_decode(token))
        _verified.put(fingerprint, claims)
    if claims.exp + keys.LEEWAY.total_seconds() < time.time():
        raise TokenExpired(claims)
    return claims


def current_actor(claims: Claims) -> Actor | None:
    """Who holds the token, as of now; None when the account or robot is disabled, expired, deleted or has
    new credentials since.

    May be actors.STALENESS_SECONDS late (and the same for robots), in another process than the one that took the right away.
    """
    if claims.kind == "robot":
        return current_robot(claims.subject_id, claims.epoch)
    if claims.personal_token_id:
        return current_holder(claims.personal_token_id, claims.epoch)
    return ANONYMOUS if claims.kind == "anonymous" else actors.current_actor(claims.subject_id, claims.epoch)


def forget_tokens() -> None:
    """Verify every token again."""
    _verified.clear()


def _decode(token: str) -> dict[str, Any]:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        public = keys.public_key(kid) if isinstance(kid, str) else None
        if public is None:
            raise TokenInvalid("signed by no key of this registry")
        return jwt.decode(
            token,
            public,
            algorithms=[_ALGORITHM],
            audience=SERVICE,
            issuer=ISSUER,
            leeway=keys.LEEWAY,
            options={"require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"], "verify_exp": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise TokenInvalid("no valid token of this registry") from error


def _read(payload: dict[str, Any]) -> Claims:
    """The payload with every type checked; what another issuer might leave loose is an error here."""
    sub, kind, jti = payload["sub"], payload.get("kind"), payload["jti"]
    numbers = [payload.get(name) for name in ("uid", "epoch", "iat", "exp")] + [payload.get("pat", 0)]
    if not (isinstance(sub, str) and isinstance(jti, str) and all(type(number) is int for number in numbers)):
        raise TokenInvalid("claims of wrong types")
    if kind not in get_args(Kind):
        raise TokenInvalid("an unknown kind of subject")
    subject_id, epoch, issued, expires, personal_token_id = numbers
    access = _read_access(payload.get("access"))
    return Claims(sub, kind, subject_id, epoch, issued, expires, jti, access, personal_token_id)  # type: ignore[arg-type]  # checked above


def _read_access(entries: Any) -> dict[str, frozenset[str]]:
    if not isinstance(entries, list):
        raise TokenInvalid("access is no list")
    access: dict[str, frozenset[str]] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise TokenInvalid("access holds something else than objects")
        kind, name, actions = entry.get("type"), entry.get("name"), entry.get("actions")
        if not (isinstance(kind, str) and isinstance(name, str) and isinstance(actions, list)):
            raise TokenInvalid("an access entry of wrong types")
        if not all(isinstance(action, str) for action in actions):
            raise TokenInvalid("an action that is no text")
        key = f"{kind}:{name}"
        access[key] = access.get(key, _NOTHING) | frozenset(actions)
    return access
