"""How the portal looks to one browser: language and theme, kept in cookies, so that they outlive a session."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from haven_portal import clients
from haven_portal.clients import CLIENTS
from haven_portal.page import THEME_COOKIE, THEMES, Page, safe_next, see_other, set_cookie


class Preferences(Page):
    """POST /-/preferences with `theme`, `language` or `client`."""

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
        return response
