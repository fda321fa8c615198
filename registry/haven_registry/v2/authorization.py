"""Who asks, and whether they may. Every refusal is 401 with a challenge, never 403 or 404, so that a private repository
and one that does not exist can't be told apart (Harbor, v2auth; protocol of the token specification)."""

from dataclasses import dataclass
from typing import Literal

from haven_core.accounts.basic import parse_basic
from haven_core.accounts.credentials import verify_basic
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.errors import Unauthorized
from haven_core.rbac.access import ProjectAccess, may_list_catalog, project_access
from haven_core.tokens.challenge import bearer_challenge
from haven_core.tokens.grants import Claims, TokenExpired, TokenInvalid, current_actor, verify_token
from haven_registry.v2.http import Request

PULL, PUSH, DELETE = "pull", "push", "delete"
CATALOG_SCOPE = "registry:catalog:*"
_ACTIONS = {"GET": PULL, "HEAD": PULL, "POST": PUSH, "PUT": PUSH, "PATCH": PUSH, "DELETE": DELETE}
# stable spellings: clients compare scopes as strings
_SCOPE_ACTIONS = {PULL: "pull", PUSH: "pull,push", DELETE: "delete"}
TokenError = Literal["invalid_token", "insufficient_scope"]
_NEEDED = {action: frozenset({action}) for action in (PULL, PUSH, DELETE)}


class Challenge(Unauthorized):
    """401, with the WWW-Authenticate value that tells the client where to get a token for what."""

    def __init__(self, request: Request, scopes: list[str], error: TokenError | None = None) -> None:
        super().__init__("authentication required" if error is None else "the token does not allow this")
        self.header = bearer_challenge(request.base_url, scopes, error)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. claims: what the bearer token allows, None with Basic (then the actor's own rights count alone).

    expired: the token's time is over. It still proves who began an upload (allow_expired), nothing else.
    """

    actor: Actor
    claims: Claims | None = None
    expired: bool = False
    is_anonymous_request: bool = False


def identify(request: Request, scopes: list[str]) -> Identity:
    """The identity behind the Authorization header. Raises Challenge, naming `scopes`, for credentials that are wrong; not
    for missing ones."""
    header: str | None = request.environ.get("HTTP_AUTHORIZATION")
    if not header:
        return Identity(ANONYMOUS, is_anonymous_request=True)
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return _from_bearer(value.strip(), request, scopes)
    credentials = parse_basic(header)
    if credentials is None:
        raise Challenge(request, scopes)
    actor = verify_basic(*credentials, address=request.client_address, takes_tokens=True)
    if actor is None:
        raise Challenge(request, scopes)
    return Identity(actor)


def _from_bearer(token: str, request: Request, scopes: list[str]) -> Identity:
    try:
        claims, expired = verify_token(token), False
    except TokenExpired as error:
        claims, expired = error.claims, True
    except TokenInvalid:
        raise Challenge(request, scopes, "invalid_token") from None
    actor = current_actor(claims)
    if actor is None:  # disabled, deleted, or a password changed since
        raise Challenge(request, scopes, "invalid_token")
    return Identity(actor, claims, expired)


def scope(name: str, action: str) -> str:
    """'repository:<name>:<actions>' as a challenge spells it."""
    return f"repository:{name}:{_SCOPE_ACTIONS[action]}"


def action_of(method: str, *, upload: bool = False) -> str:
    """The action a method needs; cancelling an upload needs push only (podman refuses to ask for delete there)."""
    return PUSH if upload else _ACTIONS[method]


def authorize(
    request: Request, identity: Identity, name: str, action: str, scopes: list[str], *, allow_expired: bool = False
) -> ProjectAccess:
    """The access to the repository `name` = 'project/…', or Challenge, which asks for `scopes`.

    A request with no Authorization at all is always challenged, even where the public may pull: clients decide by the
    first answer whether they will ever send a token (Harbor, v2auth).
    allow_expired: for the requests of an upload that was begun in time, so that a long one does not fail at its end.
    """
    access = (
        None
        if identity.is_anonymous_request
        else project_access(identity.actor, name.partition("/")[0], _NEEDED[action])
    )
    if access is not None and action in access.actions and _token_allows(identity, name, action, allow_expired):
        return access
    error: TokenError | None = None
    if identity.claims is not None:
        error = "invalid_token" if identity.expired else "insufficient_scope"
    raise Challenge(request, scopes, error)


def _token_allows(identity: Identity, name: str, action: str, allow_expired: bool) -> bool:
    claims = identity.claims
    if claims is None:
        return True
    return (allow_expired or not identity.expired) and action in claims.actions_on(name)


def may_pull(identity: Identity, name: str) -> bool:
    """Whether the identity's person may pull from `name`, whatever the token at hand says."""
    access = project_access(identity.actor, name.partition("/")[0], _NEEDED[PULL])
    return access is not None and PULL in access.actions


def token_covers(identity: Identity, name: str, action: str) -> bool:
    """Whether the token at hand, if one is used, was issued for `action` on `name`."""
    return _token_allows(identity, name, action, allow_expired=False)


def require_catalog(request: Request, identity: Identity) -> None:
    """Listing repositories needs a person, or a robot with the permission, and a token issued for it."""
    if not may_list_catalog(identity.actor):
        raise Challenge(request, [CATALOG_SCOPE])
    if identity.claims is not None and (identity.expired or not identity.claims.may_list_catalog):
        raise Challenge(request, [CATALOG_SCOPE], "invalid_token" if identity.expired else "insufficient_scope")


def require_identity(request: Request, identity: Identity) -> None:
    """GET /v2/: any valid credentials, an anonymous token included; never none at all."""
    if identity.is_anonymous_request or identity.expired:
        raise Challenge(request, [], "invalid_token" if identity.expired else None)
