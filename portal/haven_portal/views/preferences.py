"""How the portal looks to one browser: language, theme and keys, kept in cookies, so that they outlive a session."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from haven_portal import clients
from haven_portal.clients import CLIENTS
from haven_portal.page import (
    KEYS_COOKIE,
    KEYS_OFF,
    KEYS_ON,
    THEME_COOKIE,
    THEMES,
    Page,
    safe_next,
    see_other,
    set_cookie,
)


class Preferences(Page):
    """POST /-/preferences with `theme`, `language`, `client` or `keys`."""

    passes_read_only = True
    works_before_password_change = True

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return see_other(safe_next(request))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        response = see_other(safe_next(request))
        if (theme := request.POST.get("theme", "")) in THEMES:
            set_cookie(request, response, THEME_COOKIE, theme)
        if (language := request.POST.get("language", "")) in dict(settings.LANGUAGES):
            set_cookie(request, response, settings.LANGUAGE_COOKIE_NAME, language)
        if (client := request.POST.get("client", "")) in CLIENTS:
            set_cookie(request, response, clients.COOKIE, client)
        if (keys := request.POST.get("keys", "")) in (KEYS_ON, KEYS_OFF):
            set_cookie(request, response, KEYS_COOKIE, keys)
        return response


class Keys(Page):
    """GET /-/keys: what the keyboard does, and the switch that turns it off (WCAG 2.1.4)."""

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.render("keys.html")
