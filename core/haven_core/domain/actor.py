"""Who asks."""

from dataclasses import dataclass
from typing import Literal

from haven_core.domain.limits import UNLIMITED, Limit
from haven_core.domain.rights import NO_RIGHTS, Rights

Kind = Literal["anonymous", "user", "robot"]
_READ_PROJECT = ("project", "read")


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a request, after authentication.

    user_id: 0 for nobody and for robots, so that no membership or ownership of a person can be taken for a robot's.
    epoch: the account's or robot's credential epoch at the time of the proof; a token made for this actor carries it,
    and dies with it. robot_id: of a robot only.
    rights: what it may beside its memberships and what is public; all that a robot has. limit: what of its memberships it
    may use. Both are rbac.reach's to fill in for an auditor.
    is_auditor: a user who sees everything and changes nothing; never together with is_sysadmin.
    token_id: of the personal access token that it came by; then what is here is what the token may use of its owner's.
    is_registry_only: whether that token is none for the REST API.
    """

    kind: Kind
    user_id: int
    name: str
    is_sysadmin: bool
    epoch: int = 0
    robot_id: int = 0
    rights: Rights = NO_RIGHTS
    limit: Limit = UNLIMITED
    is_auditor: bool = False
    token_id: int = 0
    is_registry_only: bool = False

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody logged in."""
        return self.kind == "anonymous"

    @property
    def is_robot(self) -> bool:
        """Whether a robot asks; its `rights` are then all it has, beside what is public."""
        return self.kind == "robot"

    @property
    def is_read_only(self) -> bool:
        """Whether its limit leaves nothing of the REST API that changes something."""
        return self.limit.permissions is not None

    @property
    def sees_everything(self) -> bool:
        """Whether no project and no account is hidden from it, so that "not found" tells it nothing."""
        return self.is_sysadmin or (not self.is_robot and _READ_PROJECT in self.rights.everywhere)

    @property
    def subject_id(self) -> int:
        """The id within its kind."""
        return self.robot_id if self.kind == "robot" else self.user_id

    @property
    def subject(self) -> str:
        """Names who it is for ever: `user:1`, `robot:1`, `anonymous:0`."""
        return f"{self.kind}:{self.subject_id}"


ANONYMOUS = Actor(kind="anonymous", user_id=0, name="", is_sysadmin=False)
