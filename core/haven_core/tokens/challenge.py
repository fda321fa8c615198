"""The WWW-Authenticate header of /v2 (distribution: docs/spec/auth/token)."""

from collections.abc import Iterable
from typing import Literal

from haven_core.tokens.grants import SERVICE

BASIC_CHALLENGE = 'Basic realm="haven"'
TOKEN_PATH = "/service/token"  # noqa: S105  # a path


def bearer_challenge(
    realm_base: str,
    scopes: Iterable[str] = (),
    error: Literal["invalid_token", "insufficient_scope"] | None = None,
) -> str:
    """`Bearer realm="…",service="…",scope="a b",error="…"`.

    realm_base: scheme and host of this registry, from the configuration or the request, never from X-Forwarded-* of a
    stranger. scopes: `repository:<name>:pull,push`, actions in that order. error: None when no token was sent;
    containerd gives up when one request meets the same error twice.
    """
    parts = [f'realm="{_quoted(realm_base)}{TOKEN_PATH}"', f'service="{SERVICE}"']
    if scope := " ".join(scopes):
        parts.append(f'scope="{_quoted(scope)}"')
    if error:
        parts.append(f'error="{error}"')
    return "Bearer " + ",".join(parts)


def _quoted(text: str) -> str:
    """Without what could end the quotes or the header."""
    return "".join(character for character in text if character.isprintable() and character not in '"\\')
