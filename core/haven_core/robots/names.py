"""Names of robots, and what they log in as."""

from typing import NamedTuple

from haven_core.configuration import selectors as configuration
from haven_core.domain.names import MAX_LENGTH, is_project_name

MAX_JOINED = MAX_LENGTH - 32  # the longest prefix there may be; a login name fits where a user name does


class RobotName(NamedTuple):
    """A robot's own name, and its project's ('' for a system robot)."""

    project: str
    name: str


def is_robot_name(name: str, project: str = "") -> bool:
    """Harbor's rule: lower-case letters and digits, single `.`, `_` or `-` between them. With
    `project+` it has at most MAX_JOINED characters, so that a login name is never longer than a user's."""
    return is_project_name(name) and len(_joined(name, project)) <= MAX_JOINED


def prefix() -> str:
    """What login names begin with: the configuration's robot_name_prefix. Changing it renames every robot at once."""
    return str(configuration.value("robot_name_prefix"))


def login_name(name: str, project: str = "") -> str:
    """`robot$name`, `robot$project+name`."""
    return prefix() + _joined(name, project)


def parse_login(username: str) -> RobotName | None:
    """The inverse of login_name(); None for what can be no robot's."""
    begin = prefix()
    if not username.startswith(begin):
        return None
    first, plus, second = username.removeprefix(begin).partition("+")
    parsed = RobotName(first, second) if plus else RobotName("", first)
    well_formed = is_project_name(parsed.name) and (not plus or is_project_name(parsed.project))
    return parsed if well_formed else None


def _joined(name: str, project: str) -> str:
    return f"{project}+{name}" if project else name
