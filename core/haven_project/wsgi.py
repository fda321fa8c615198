"""The WSGI callables of the processes: `registry` (data plane), `core` (control plane), `all_in_one` (development)."""

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import django

from haven_project.loading import loading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")
with loading():
    django.setup()

    from haven_api.token_service import token_application  # needs the settings above
    from haven_core.conf import config
    from haven_registry.v2.app import application as distribution

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _trust_gateway(environ: dict[str, Any]) -> None:
    """Take the client's address and scheme from the gateway, which overwrites what a client says of them. Without a
    gateway both are the connection's own."""
    if config().accel_redirect:
        environ["REMOTE_ADDR"] = environ.get("HTTP_X_REAL_IP", "")
        environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", "http")


def registry(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """/v2 and /service/token: bare WSGI, no middleware."""
    _trust_gateway(environ)
    if environ["PATH_INFO"] == "/service/token":
        return token_application(environ, start_response)
    return distribution(environ, start_response)


@lru_cache(maxsize=1)
def _control_plane() -> Application:
    with loading():
        from django.core.wsgi import get_wsgi_application

        import haven_project.celery  # the API hands tasks over: to our broker
        import haven_project.urls  # noqa: F401  # Django would load it with the first request
        from haven_api.quick import quick_answer

        django_application = get_wsgi_application()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if answer := quick_answer(environ):
            headers, body = answer
            start_response("200 OK", headers)
            return [body]
        return django_application(environ, start_response)

    return application


def core(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The REST API and the portal: Django. Loaded at the first request, so that the data plane never pays for it."""
    _trust_gateway(environ)
    return _control_plane()(environ, start_response)


def all_in_one(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Everything in one process, for development where there is no nginx."""
    path: str = environ["PATH_INFO"]
    if path.startswith("/v2/") or path in ("/v2", "/service/token"):
        return registry(environ, start_response)
    return core(environ, start_response)
