"""What all pages share: who asks, in which language and theme, what they may, what a refusal looks like, what the browser
may run. A page parses, authorises, calls a service or selector, and renders; rules of the product are not here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.views import View
from django.views.decorators.gzip import gzip_page

from haven_core.accounts.sessions import COOKIE, LiveSession, find_session
from haven_core.audit.services import record_api_write
from haven_core.conf import config
from haven_core.configuration import selectors as configuration
from haven_core.db.connections import is_unavailable
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.origin import Origin
from haven_core.errors import (
    Forbidden,
    HavenError,
    NotFound,
    PasswordChangeRequired,
    ProjectUnknown,
    Unauthorized,
)
from haven_core.policies.writes import before_write
from haven_portal.lists import PER_COOKIE, PER_PAGE
from haven_portal.navigation import sections_for
from haven_portal.words import explain

THEME_COOKIE = "haven_theme"
THEMES = ("auto", "light", "dark")
KEYS_COOKIE, KEYS_ON, KEYS_OFF = "haven_keys", "on", "off"
YEAR_SECONDS = 365 * 86400
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_READS = ("GET", "HEAD")
_SILENT = (Forbidden, ProjectUnknown, NotFound)  # the page for the status says it better


@dataclass(frozen=True, slots=True)
class Advice:
    """What helps somebody who was refused. ways: label, address and icon of pages to go on to."""

    reason: str = ""
    ways: tuple[tuple[str, str, str], ...] = ()


@method_decorator(
    gzip_page, name="dispatch"
)  # adds random bytes against BREACH; the token is masked anew each time too
class Page(View):
    """A page. needs_login: nobody is sent to sign in, and comes back. section: the navigation's line that is current.

    works_before_password_change: who has a password that somebody else chose may see it before changing it.
    passes_read_only: what it changes is one's own session and choices; read-only mode and auditors change no more.
    """

    http_method_names = ["get", "head", "post"]
    needs_login = False
    works_before_password_change = False
    passes_read_only = False
    section = ""

    actor: Actor = ANONYMOUS
    session: LiveSession | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Find out who asks, then answer; what a service refuses becomes a page. Raises what is a fault of ours."""
        self.messages = CookieStorage(request)
        try:
            self.identify(request)
            response = super().dispatch(request, *args, **kwargs)
        except Unauthorized:
            response = fragment_to_sign_in(request) if self.is_fragment else to_sign_in(request)
        except PasswordChangeRequired:
            response = HttpResponseRedirect(_with_next("portal:password", request))
        except HavenError as error:
            status = error.api_status or error.status
            response = error_page(request, status, actor=self.actor, error=error, advice=self.advice(error))
        except Exception as error:
            if isinstance(error, Http404) or not is_unavailable(error):
                raise
            response = error_page(request, 503)
        if isinstance(response, HttpResponse):
            self.messages.update(response)
        self._remember_rows(request, response)
        return response

    def identify(self, request: HttpRequest) -> None:
        """Before the method: who asks, and whether they may at all. Raises what leads elsewhere or to an error page."""
        # a page that asks again by itself must not keep a session alive; the header is the API's, too
        renews = request.headers.get("X-Harbor-No-Session-Renewal", "").lower() != "true"
        value = request.COOKIES.get(COOKIE, "")
        self.session = find_session(value, renews=renews) if value else None
        if self.session is not None:
            if self.session.must_change_password and not self.works_before_password_change:
                raise PasswordChangeRequired
            self.actor = self.session.actor
        whose = unquote(request.headers.get("X-Haven-User", ""))
        if self.is_fragment and whose and whose != self.actor.name:
            raise Unauthorized  # the page was somebody's, and shows more, or other things, than this part would
        if self.needs_login:
            self.require_login()
        if request.method not in _READS and not self.passes_read_only:
            if self.actor.is_read_only:
                raise Forbidden
            before_write()

    def advice(self, error: HavenError) -> Advice:  # noqa: ARG002  # pages that know more look at it
        """What the page for a refusal says and offers beside what it always does."""
        return Advice()

    def require_login(self) -> Actor:
        """The caller, who must be somebody. Raises Unauthorized, which leads to the sign-in page and back."""
        if self.actor.is_anonymous:
            raise Unauthorized
        return self.actor

    @property
    def origin(self) -> Origin:
        """Who calls, and from where."""
        return Origin(self.actor.name, self.request.META.get("REMOTE_ADDR", ""))

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks, for a part of the page; a restored history wants all of it."""
        return is_fragment(self.request)

    def render(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """The page. `template`: below templates/haven_portal. A form that came back has status 422."""
        # reading them is what removes them from the cookie, so they are not looked at where there are none
        context["messages"] = list(self.messages) if self.messages.cookie_name in self.request.COOKIES else []
        context["is_read_only"] = configuration.value("read_only")
        return render_page(self.request, template, context, actor=self.actor, section=self.section, status=status)

    def done(self, message: object, url: str) -> HttpResponseRedirect:
        """After a change: a message, and another page by GET, so that loading again changes nothing again."""
        self.messages.add(25, str(message))
        return see_other(url)

    def refused(self, message: object, url: str) -> HttpResponseRedirect:
        """After a change that did not happen, where there is no form to say it at."""
        self.messages.add(40, str(message))
        return see_other(url)

    def ask(
        self, title: object, text: object, *, button: object, back: str, must_be: str = "", error: str = ""
    ) -> HttpResponse:
        """The question before something that can't be undone; its form posts to this address. must_be: what has to be
        typed. haven.js shows the same in a dialog."""
        context = {
            "title": str(title), "text": str(text), "button": str(button), "back": back, "must_be": must_be,
            "error": error, "is_page": not self.is_fragment,
        }  # fmt: skip
        template = "parts/question.html" if self.is_fragment else "question.html"
        return Page.render(self, template, 422 if error else 200, **context)

    @contextmanager
    def audited(self, method: str, path: str, resource: str = "") -> Iterator[None]:
        """Around a service: tells the audit log what the same request of the REST API would. path: below /api/v2.0."""
        status = 200
        try:
            yield
        except HavenError as error:
            status = error.api_status or error.status
            raise
        finally:
            if status < 500:
                record_api_write(
                    self.origin,
                    method=method,
                    path=path,
                    status=status,
                    body=None,
                    resource=resource,
                    project=self.audited_in,
                    by_name=True,
                )

    @property
    def audited_in(self) -> int | None:
        """The id of the project whose log has what the page changes; None where the path says it."""
        return None

    def _remember_rows(self, request: HttpRequest, response: HttpResponseBase) -> None:
        asked = request.GET.get("per", "")
        if asked in map(str, PER_PAGE) and asked != request.COOKIES.get(PER_COOKIE):
            set_cookie(request, response, PER_COOKIE, asked)


def render_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    actor: Actor = ANONYMOUS,
    section: str = "",
    status: int = 200,
) -> HttpResponse:
    """A page inside the house, with the headers that every page has. Asks the database nothing."""
    shared = {
        "request": request,
        "actor": actor,
        "section": section,
        "navigation": sections_for(actor),
        "theme": theme_of(request),
        "themes": THEMES,
        "has_keys": request.COOKIES.get(KEYS_COOKIE) != KEYS_OFF,
        "language": "zh-Hans" if (get_language() or "").startswith("zh") else "en",
        "registry": registry_host(request),
        "here": request.get_full_path(),
    }
    response = render(request, f"haven_portal/{template}", shared | context, status=status)
    secure(response)
    patch_vary_headers(response, ["Cookie", "Accept-Language", "HX-Request"])
    return response


def secure(response: HttpResponse) -> None:
    """What a browser may do with a page of ours: run our files, keep nothing, show it in no frame."""
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "same-origin"


def error_page(
    request: HttpRequest,
    status: int,
    *,
    actor: Actor = ANONYMOUS,
    error: HavenError | None = None,
    reason: str = "",
    advice: Advice = Advice(),
) -> HttpResponse:
    """What went wrong, in a person's words, with the id to ask for in the logs."""
    known = status if status in (400, 403, 404, 500, 503) else (500 if status >= 500 else 400)
    context = {
        "status": status,
        "reason": explain(error) if error is not None and not isinstance(error, _SILENT) else reason or advice.reason,
        "ways": advice.ways,
        "request_id": request.META.get("HTTP_X_REQUEST_ID", ""),
    }
    # a part of a page gets a part; htmx puts it where the answer would have stood
    template = "errors/part.html" if is_fragment(request) else f"errors/{known}.html"
    return render_page(request, template, context, actor=actor, status=status)


def to_sign_in(request: HttpRequest) -> HttpResponseRedirect:
    """To the sign-in page, and from there back here."""
    return HttpResponseRedirect(_with_next("portal:sign-in", request))


def fragment_to_sign_in(request: HttpRequest) -> HttpResponse:
    """The same for a page that asks for a part of itself after its session is over: all of it goes, and comes back."""
    here = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = f"{here.path}?{here.query}" if here.query else here.path
    response = HttpResponse(status=401)
    response["HX-Redirect"] = f"{reverse('portal:sign-in')}?{urlencode({'next': back or reverse('portal:home')})}"
    return response


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks, for a part of the page; a restored history wants all of it."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"


def see_other(url: str) -> HttpResponseRedirect:
    """303: another address, by GET."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def safe_next(request: HttpRequest) -> str:
    """Where the request asks to go afterwards, when that is a page of ours; else home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_own = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_own and wanted.isprintable() else reverse("portal:home")


def registry_host(request: HttpRequest) -> str:
    """What stands before the first slash of an image's name; '' on the page that says that the Host is impossible."""
    try:
        return urlsplit(config().external_url).netloc or request.get_host()
    except DisallowedHost:
        return ""


def theme_of(request: HttpRequest) -> str:
    """auto, light or dark."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def set_cookie(request: HttpRequest, response: HttpResponseBase, name: str, value: str) -> None:
    """A choice of how things look, for a year. Nothing secret."""
    response.set_cookie(
        name, value, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure(), httponly=True, path="/"
    )


def _with_next(route: str, request: HttpRequest) -> str:
    here = _address_of_page(request)
    return reverse(route) + ("?" + urlencode({"next": here}) if here and here != reverse("portal:home") else "")


def _address_of_page(request: HttpRequest) -> str:
    """What a person looks at: an address that only takes a form can't be come back to, but the page of the form can. Its
    address comes as Referer (secure() lets our own pages have it); '' for another site's."""
    if request.method in _READS:
        return request.get_full_path()
    sent = urlsplit(request.headers.get("Referer", ""))
    if sent.netloc != request.get_host():
        return ""
    return f"{sent.path}?{sent.query}" if sent.query else sent.path
