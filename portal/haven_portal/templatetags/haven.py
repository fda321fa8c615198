"""The small parts of pages: what is one element, or has a shape that HTML alone can't say."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from haven_core.accounts import csrf as tokens
from haven_core.domain.roles import BY_STRENGTH, NAMES
from haven_core.errors import human_size
from haven_portal import words
from haven_portal.assets import asset_url
from haven_portal.lists import PER_PAGE, ListState

register = template.Library()
_PARTS = "haven_portal/parts/"
_STEPS = ((60, "minute"), (24, "hour"), (30, "day"), (12, "month"))


@register.simple_tag
def asset(name: str) -> str:
    """The address of one of the portal's files."""
    return asset_url(name)


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """An icon of the sprite, for the eyes only. size: '' or 'small'."""
    kind = "icon icon-small" if size == "small" else "icon"
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', kind, asset_url("icons.svg"), name
    )


@register.simple_tag(takes_context=True)
def csrf(context: template.Context) -> SafeString:
    """The hidden field without which no form is taken. In every form that posts. '' on the page of an error so early that
    the browser has no cookie yet."""
    cookie = context["request"].COOKIES.get(tokens.COOKIE, "")
    if not tokens.is_genuine(cookie):
        return SafeString("")
    token = tokens.token_for(cookie)
    return format_html('<input type="hidden" name="{}" value="{}">', tokens.FORM_FIELD, token)


@register.filter
def size(value: int | None) -> str:
    """Bytes for people: 12.6 MiB."""
    return human_size(value or 0)


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """How long since, with the moment itself for who points at it."""
    if moment is None:
        return format_html('<span class="muted">–</span>')
    exact = date_format(timezone.localtime(moment), "Y-m-d H:i:s")
    return format_html('<time datetime="{}" title="{} UTC">{}</time>', moment.isoformat(), exact, _since(moment))


@register.filter
def day(moment: datetime | None) -> str:
    """The date, as it is written everywhere: 2026-11-24."""
    return moment.strftime("%Y-%m-%d") if moment else ""


@register.filter
def role(name: str) -> str:
    """A role's name in the reader's language."""
    return words.role_name(name)


@register.filter
def role_names(roles: Sequence[int]) -> list[str]:
    """Role numbers as names, the strongest first; the custom ones have no number of ours and are left to their pages."""
    return [words.role_name(NAMES[role]) for role in BY_STRENGTH if role in roles]


@register.filter
def initials(name: str) -> str:
    """Two letters for an avatar."""
    parts = [part for part in name.replace("-", " ").replace("_", " ").replace(".", " ").split() if part]
    return ("".join(part[0] for part in parts[:2]) if len(parts) > 1 else name[:2]).upper()


@register.filter
def short_digest(digest: str) -> str:
    """The first twelve characters behind the algorithm."""
    return digest.partition(":")[2][:12] or digest


@register.simple_tag
def bar(value: int, total: int | None, label: str, second: int = 0, *, plain: bool = False) -> SafeString:
    """A bar of `value`, and behind it `second`, out of `total`; red beyond 85 %, unless it is plain. label: for who
    can't see it."""
    whole = max(total or 0, value + second, 1)
    width, more = 100 * value / whole, 100 * second / whole
    kind = "bar thin warn" if total and value >= 0.85 * total and not plain else "bar thin"
    return format_html(
        '<svg class="{}" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="main-part" width="{}" height="1"/><rect class="second-part" x="{}" width="{}" height="1"/></svg>',
        kind, label, f"{width:.2f}", f"{width:.2f}", f"{more:.2f}",
    )  # fmt: skip


@register.simple_tag
def sparkline(values: Sequence[int], label: str) -> SafeString:
    """A line of numbers, the newest right, from zero up."""
    highest = max([*values, 1])
    step = 76 / max(len(values) - 1, 1)
    points = [(f"{index * step:.1f}", f"{25 - 22 * value / highest:.1f}") for index, value in enumerate(values)]
    line = format_html_join(" ", "{},{}", points)
    last = points[-1] if points else ("0", "25")
    return format_html(
        '<svg class="sparkline" width="76" height="26" viewBox="0 0 76 26" role="img" aria-label="{}">'
        '<polygon points="0,26 {} 76,26"/><polyline points="{}"/><circle cx="{}" cy="{}" r="2.4"/></svg>',
        label, line, line, *last,
    )  # fmt: skip


@register.simple_tag
def label_chip(name: str, color: str) -> SafeString:
    """A label: its colour as a dot, and its name as text, which any colour leaves readable."""
    dot = '<svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="6" fill="{}"/></svg>'
    return format_html('<span class="label-chip">' + dot + "{}</span>", color or "#94a3b8", name)


@register.simple_tag
def copy(text: str, label: str = "", shown: str = "") -> SafeString:
    """A button that copies `text`. label: what it is called, where `shown` doesn't say it."""
    name = label or gettext("Copy")
    return format_html(
        '<button type="button" class="copy" data-copies="{}" aria-label="{}" title="{}">{}{}</button>',
        text, name, name, icon("copy", "small"), shown,
    )  # fmt: skip


@register.inclusion_tag(_PARTS + "command.html")
def command(text: str) -> dict[str, Any]:
    """A shell command in a box, to be copied as it is."""
    return {"text": text}


@register.inclusion_tag(_PARTS + "field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """A field of a form: label, input, hint, errors; a check box becomes a switch."""
    return {"field": bound, "kind": getattr(bound.field.widget, "input_type", "")}


@register.inclusion_tag(_PARTS + "pager.html", takes_context=True)
def pager(context: template.Context, state: ListState) -> dict[str, Any]:
    """What stands below a list."""
    kept = [(key, value) for key, value in state.params.items() if key not in ("per", "page", "dialog")]
    return {"list": state, "sizes": PER_PAGE, "kept": kept, "request": context["request"]}


@register.inclusion_tag(_PARTS + "sort.html")
def sort_header(state: ListState, key: str, label: str, kind: str = "") -> dict[str, Any]:
    """A table's head that orders by `key`; `key` begins with '-' where the largest comes first. kind: 'right'."""
    plain = key.removeprefix("-")
    is_current = state.sort.removeprefix("-") == plain
    other = plain if state.sort.startswith("-") else f"-{plain}"
    return {
        "label": label,
        "kind": kind,
        "direction": ("descending" if state.sort.startswith("-") else "ascending") if is_current else "",
        "url": state.url(page=None, sort=other if is_current else key),
    }


@register.inclusion_tag(_PARTS + "tabs.html")
def tabs(links: Sequence[Any], current: str) -> dict[str, Any]:
    """Tabs: each has key, label, url and count (None: shows none)."""
    return {"links": links, "current": current}


@register.simple_block_tag(takes_context=True)
def dialog(context: template.Context, content: str, name: str, title: str, is_open: object = False) -> SafeString:
    """A dialog, opened by <a href="?dialog=NAME" data-opens="NAME">; is_open: at once, for a form that came back."""
    shows = bool(is_open) or context["request"].GET.get("dialog") == name
    return format_html(
        '<dialog class="dialog" id="{}" aria-labelledby="{}-title"{}><header><h2 id="{}-title">{}</h2>'
        '<a class="top-button push" href="?" data-closes aria-label="{}">{}</a></header>'
        '<div class="dialog-body">{}</div></dialog>',
        name, name, SafeString(" open") if shows else "", name, title, gettext("Close"), icon("x"), content,
    )  # fmt: skip


@register.simple_block_tag
def empty(content: str, title: str, symbol: str = "packages", level: int = 2) -> SafeString:
    """What stands where a list has nothing: what it is, why, and what to do. level: of the heading, 1 where the page has no
    other."""
    frame = f'<div class="empty"><span class="tile">{{}}</span><h{level}>{{}}</h{level}>{{}}</div>'
    return format_html(frame, icon(symbol), title, content)


def _since(moment: datetime) -> str:
    number = (timezone.now() - moment).total_seconds() / 60
    if number < 1:
        return gettext("just now")
    for limit, unit in _STEPS:
        if number < limit:
            return _counted(int(number), unit)
        number /= limit
    return _counted(int(number), "year")


def _counted(number: int, unit: str) -> str:
    texts = {
        "minute": ngettext("%(n)d minute ago", "%(n)d minutes ago", number),
        "hour": ngettext("%(n)d hour ago", "%(n)d hours ago", number),
        "day": ngettext("%(n)d day ago", "%(n)d days ago", number),
        "month": ngettext("%(n)d month ago", "%(n)d months ago", number),
        "year": ngettext("%(n)d year ago", "%(n)d years ago", number),
    }
    return texts[unit] % {"n": number}
