"""Who asks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a request, after authentication.

    user_id: 0 for nobody. epoch: the account's credential epoch at the time of the proof; a token made for this actor
    carries it, and dies with it.
    """

    kind: Literal["anonymous", "user"]
    user_id: int
    name: str
    is_sysadmin: bool
    epoch: int = 0

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody logged in."""
        return self.kind == "anonymous"


ANONYMOUS = Actor(kind="anonymous", user_id=0, name="", is_sysadmin=False)
