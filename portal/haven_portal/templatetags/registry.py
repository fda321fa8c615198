"""Small parts of the pages about what was pushed."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from haven_portal.clients import Registry

register = template.Library()
_PARTS = "haven_portal/parts/"


@register.inclusion_tag(_PARTS + "push_clients.html", takes_context=True)
def push_clients(context: template.Context, project: str, group: str = "push") -> dict[str, Any]:
    """How to push into a project with each client: one of them open, the others to be opened. group: of another name for
    each on a page, since of a group one is open."""
    request = context["request"]
    actor = context.get("actor")
    name = actor.name if actor is not None and not actor.is_anonymous else ""
    registry = Registry.of(request)
    return {"pushes": registry.push(project, name), "registry": registry, "group": group}


@register.filter
def compact(number: int) -> str:
    """A large number in few characters: 17.7k."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size * 10 or (number >= size and unit != "k"):
            return f"{number / size:.1f}".rstrip("0").rstrip(".") + unit
    return str(number)


@register.filter
def total(values: Any) -> int:
    """The sum of numbers."""
    return sum(values)


@register.simple_tag
def pull_chart(values: Sequence[int], label: str) -> SafeString:
    """A line of numbers as wide as its card, the newest right, from zero up; the highest is written above it."""
    highest = max([*values, 1])
    step = 300 / max(len(values) - 1, 1)
    points = [(f"{index * step:.1f}", f"{70 - 62 * value / highest:.1f}") for index, value in enumerate(values)]
    line = format_html_join(" ", "{},{}", points)
    return format_html(
        '<svg class="sparkline wide" viewBox="0 0 300 72" preserveAspectRatio="none" role="img" aria-label="{}: {}">'
        '<polygon points="0,72 {} 300,72"/><polyline points="{}"/></svg>',
        label, ", ".join(map(str, values)), line, line,
    )  # fmt: skip


@register.simple_tag
def layer_bar(size: int, whole: int, color: int) -> SafeString:
    """A layer's share of its image."""
    width = 100 * size / max(whole, 1)
    return format_html(
        '<svg class="bar thin" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="{} %">'
        '<rect class="layer-{}" width="{}" height="1"/></svg>',
        f"{width:.0f}", color, f"{width:.2f}",
    )  # fmt: skip
