"""Django's handlers of what fails around views: a program is answered in the API's words, a browser with a page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from haven_api import errors as api
from haven_portal import errors as portal

Handler = Callable[..., HttpResponse]


def _by_path(for_programs: Handler, for_people: Handler) -> Handler:
    def handler(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        chosen = for_programs if request.path.startswith(("/api/", "/c/")) else for_people
        return chosen(request, *args, **kwargs)

    return handler


bad_request = _by_path(api.bad_request, portal.bad_request)
forbidden = _by_path(api.forbidden, portal.forbidden)
not_found = _by_path(api.unknown_path, portal.not_found)
server_error = _by_path(api.server_error, portal.server_error)
