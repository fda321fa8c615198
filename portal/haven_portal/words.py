"""Harbor's English words for what the services refuse, in the reader's language."""

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from haven_core.domain.roles import NAMES, Role
from haven_core.errors import (
    Conflict,
    Forbidden,
    HavenError,
    InUse,
    NotFound,
    ProjectInUse,
    ProjectUnknown,
    QuotaExceeded,
    TagImmutable,
    TooManyRequests,
)
from haven_core.policies.writes import ReadOnly
from haven_registry.errors import ManifestReferenced, ManifestUnknown, RepositoryUnknown, TagUnknown

_BY_CLASS: dict[type[HavenError], str | Promise] = {
    ReadOnly: _("The system is in read-only mode: nothing can be changed at the moment."),
    ProjectInUse: _("The project still contains repositories. Delete them first."),
    ProjectUnknown: _("The project does not exist any more."),
    Conflict: _("The name is already taken."),
    InUse: _("Something still refers to it."),
    NotFound: _("It does not exist any more."),
    Forbidden: _("You may not do this."),
    TagImmutable: _("A rule of the project makes this tag immutable."),
    ManifestReferenced: _("An index names it. Delete the index first."),
    ManifestUnknown: _("It does not exist any more."),
    RepositoryUnknown: _("It does not exist any more."),
    TagUnknown: _("It does not exist any more."),
}
ROLES: dict[str, str | Promise] = {
    NAMES[Role.PROJECT_ADMIN]: _("Project admin"),
    NAMES[Role.MAINTAINER]: _("Maintainer"),
    NAMES[Role.DEVELOPER]: _("Developer"),
    NAMES[Role.GUEST]: _("Guest"),
    NAMES[Role.LIMITED_GUEST]: _("Limited guest"),
}


def explain(error: HavenError) -> str:
    """One sentence for people. What has no words of its own is said as the API says it."""
    if isinstance(error, TooManyRequests):
        return too_many_attempts(error.retry_after_seconds)
    if isinstance(error, QuotaExceeded):
        return gettext("The project's storage quota is used up.")
    for kind in type(error).__mro__:
        if kind in _BY_CLASS:
            return str(_BY_CLASS[kind])
    return str(error)


def too_many_attempts(seconds: int) -> str:
    """Why a right password is not even looked at."""
    return ngettext(
        "Too many failed attempts. Try again in %(seconds)d second.",
        "Too many failed attempts. Try again in %(seconds)d seconds.",
        seconds,
    ) % {"seconds": seconds}


def role_name(name: str) -> str:
    """A role as people call it; a custom one by its own name."""
    return str(ROLES.get(name, name))
