"""What a profile may say: Harbor's rules (harbor: src/server/v2.0/handler/user.go, validateUserProfile)."""

import re

from haven_core.errors import BadRequest

MAX_COMMENT = 30
_MAX = 255
_FORBIDDEN_IN_REALNAME = frozenset(",~#$%")
_LOCAL = r"""[^<>()\[\]\\.,;:\s@"]+(?:\.[^<>()\[\]\\.,;:\s@"]+)*|"[^"]+\""""
_EMAIL = re.compile(rf"(?:{_LOCAL})@(?:\[(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}\]|(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{{2,}})")


def check_profile(*, email: str, realname: str, comment: str) -> None:
    """Raises BadRequest, with Harbor's words."""
    if not email:
        raise BadRequest("email can't be empty")
    if len(email) > _MAX or not _EMAIL.fullmatch(email):
        raise BadRequest("email with illegal format")
    if not 1 <= len(realname) <= _MAX:
        raise BadRequest("realname with illegal length")
    if not _FORBIDDEN_IN_REALNAME.isdisjoint(realname) or not realname.isprintable():
        raise BadRequest("realname contains illegal characters")
    if len(comment) > MAX_COMMENT:
        raise BadRequest("comment with illegal length")
