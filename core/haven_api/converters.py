"""Parts of paths."""

from rest_framework.exceptions import ValidationError

_LARGEST = 2**63 - 1


class Id:
    """An integer id. Anything else in its place is the view's 422, as go-openapi answers, not a path that isn't there."""

    regex = "[^/]+"

    def to_python(self, value: str) -> "int | BadId":
        """The number, or what requested_id() refuses."""
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and len(digits) < 20 and abs(int(value)) <= _LARGEST:
            return int(value)
        return BadId(value)

    def to_url(self, value: int) -> str:
        """The inverse."""
        return str(value)


class BadId(str):
    """A text where an id belongs."""

    __slots__ = ()


def requested_id(name: str, value: "int | BadId") -> int:
    """The id a path names. Raises ValidationError (422)."""
    if isinstance(value, BadId):
        raise ValidationError({name: f"must be an integer, not {str(value)!r}"})
    return value
