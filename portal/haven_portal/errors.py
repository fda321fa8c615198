"""Pages for what fails before or around a view."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from haven_portal.page import error_page


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """handler400."""
    return error_page(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """handler403: a form without the token that belongs to the browser's cookie. What a person may not do is answered by
    Page itself."""
    reason = gettext("This form is out of date. Go back, load the page again, and send it once more.")
    return error_page(request, 403, reason=reason)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """handler404."""
    return error_page(request, 404)


def server_error(request: HttpRequest, *_: Any) -> HttpResponse:
    """handler500. Django has logged it; the page asks nothing that may have failed."""
    return error_page(request, 500)
