"""The side navigation: what there is, and who sees it. What somebody can never do is not shown."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from haven_core.domain.actor import Actor
from haven_core.rbac.permissions import Action, Resource, evaluate

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Link:
    """A line of the navigation. route: its URL's name in this app; key: of the keyboard, after `g`."""

    route: str
    label: Text
    icon: str
    is_for: Callable[[Actor], bool]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading; the first has none."""

    heading: Text
    links: tuple[Link, ...]


def _everybody(_: Actor) -> bool:
    return True


def _may(resource: Resource, action: Action) -> Callable[[Actor], bool]:
    return lambda actor: evaluate(actor, resource, action)


def _people(actor: Actor) -> bool:
    return not actor.is_anonymous


SECTIONS = (
    Section(
        "",
        (
            Link("home", _("Home"), icon="home", is_for=_everybody, key="h"),
            Link("projects", _("Projects"), icon="packages", is_for=_everybody, key="p"),
            Link("activity", _("Audit log"), icon="history", is_for=_people, key="a"),
        ),
    ),
    Section(
        _("Administration"),
        (
            Link("quotas", _("Quotas"), icon="gauge", is_for=_may(Resource.QUOTA, Action.LIST), key="q"),
            Link("labels", _("Global labels"), icon="bookmark", is_for=_may(Resource.LABEL, Action.CREATE), key="l"),
        ),
    ),
)


def sections_for(actor: Actor) -> list[Section]:
    """What the actor sees."""
    found = (Section(one.heading, tuple(link for link in one.links if link.is_for(actor))) for one in SECTIONS)
    return [section for section in found if section.links]
