"""Names of robots, and what they log in as."""

from typing import NamedTuple

from haven_core.domain.names import MAX_LENGTH, is_project_name

PREFIX = "robot$"
MAX_LOGIN_LENGTH = len(PREFIX) + MAX_LENGTH


class RobotName(NamedTuple):
    """A robot's own name, and its project's ('' for a system robot)."""

    project: str
    name: str


def is_robot_name(name: str, project: str = "") -> bool:
    """Harbor's rule: lower-case letters and digits, single `.`, `_` or `-` between them; 255 with `project+`."""
    return is_project_name(name) and len(_joined(name, project)) <= MAX_LENGTH


def login_name(name: str, project: str = "") -> str:
    """`robot$name`, `robot$project+name`."""
    return PREFIX + _joined(name, project)


def parse_login(username: str) -> RobotName | None:
    """The inverse of login_name(); None for what can be no robot's."""
    if not username.startswith(PREFIX) or len(username) > MAX_LOGIN_LENGTH:
        return None
    first, plus, second = username.removeprefix(PREFIX).partition("+")
    parsed = RobotName(first, second) if plus else RobotName("", first)
    well_formed = is_project_name(parsed.name) and (not plus or is_project_name(parsed.project))
    return parsed if well_formed else None


def _joined(name: str, project: str) -> str:
    return f"{project}+{name}" if project else name
