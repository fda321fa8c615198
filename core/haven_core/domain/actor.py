"""Who asks."""

from dataclasses import dataclass
from typing import Literal

from haven_core.domain.rights import NO_RIGHTS, Rights

Kind = Literal["anonymous", "user", "robot"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a request, after authentication.

    user_id: 0 for nobody and for robots, so that no membership or ownership of a person can be taken for a robot's.
    epoch: the account's or robot's credential epoch at the time of the proof; a token made for this actor carries it,
    and dies with it. robot_id, rights: of a robot only.
    """

    kind: Kind
    user_id: int
    name: str
    is_sysadmin: bool
    epoch: int = 0
    robot_id: int = 0
    rights: Rights = NO_RIGHTS

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody logged in."""
        return self.kind == "anonymous"

    @property
    def is_robot(self) -> bool:
        """Whether a robot asks; its `rights` are then all it has, beside what is public."""
        return self.kind == "robot"

    @property
    def subject_id(self) -> int:
        """The id within its kind."""
        return self.robot_id if self.kind == "robot" else self.user_id

    @property
    def subject(self) -> str:
        """Names who it is for ever: `user:1`, `robot:1`, `anonymous:0`."""
        return f"{self.kind}:{self.subject_id}"


ANONYMOUS = Actor(kind="anonymous", user_id=0, name="", is_sysadmin=False)
