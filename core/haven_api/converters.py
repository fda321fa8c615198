"""Path converters of the REST API."""

from urllib.parse import quote, unquote


class RepositoryName:
    """A repository's name in one part of a path: `a/b` is sent as `a%252Fb`, and `a%2Fb` is understood too (Harbor).

    The server has decoded the path once when it gets here. What is no name afterwards is for the view to refuse.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        """Encoded once; Django's reverse encodes a second time."""
        return quote(value, safe="")
