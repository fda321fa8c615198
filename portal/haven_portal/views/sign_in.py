"""Signing in and out, and the password that has to be changed first."""

from dataclasses import replace
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.accounts import policy
from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.services import change_own_password
from haven_core.accounts.sessions import COOKIE, close_session, open_session, set_session_cookie
from haven_core.errors import Forbidden, TooManyRequests
from haven_portal.forms import PASSWORD_RULE, check_password
from haven_portal.page import Page, safe_next, secure, see_other
from haven_portal.words import too_many_attempts


class SignInForm(forms.Form):
    """Name and password, which are never stripped: a blank may belong to a password."""

    username = forms.CharField(label=_("User name"), max_length=255)
    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs |= {
            "autocomplete": "username",
            "autocapitalize": "none",
            "autofocus": True,
        }


class SignIn(Page):
    """GET, POST /sign-in. The session is the one of /c/login."""

    passes_read_only = True
    works_before_password_change = True

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not self.actor.is_anonymous:
            return see_other(safe_next(request))
        return self._show(SignInForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = SignInForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        address = request.META.get("REMOTE_ADDR", "")
        try:
            actor = verify_basic(form.cleaned_data["username"], form.cleaned_data["password"], address=address)
        except TooManyRequests as error:
            form.add_error(None, too_many_attempts(error.retry_after_seconds))
            return self._show(form, 429)
        if actor is None or actor.is_robot:
            form.add_error(None, gettext("The user name or the password is wrong."))
            return self._show(form, 401)
        response = see_other(safe_next(request))
        value = open_session(actor, replaces=request.COOKIES.get(COOKIE, ""), address=address)
        set_session_cookie(response, value, is_secure=request.is_secure())
        return response

    def _show(self, form: SignInForm, status: int = 200) -> HttpResponse:
        context = {"form": form, "next": safe_next(self.request)}
        if self.is_fragment:  # haven.js asks for it, above a page whose form waits
            form.auto_id = "signs-in-%s"
            return self.render("account/sign_in_part.html", status, **context)
        # a session that ended by itself leaves its cookie behind; signing out does not
        is_over = bool(self.request.COOKIES.get(COOKIE)) and self.session is None
        return self.render(
            "account/sign_in.html", status, is_over=is_over, may_register=policy.self_registration(), **context
        )


class OneSession(Page):
    """GET /-/session: 204 while the session stands, else 401; what a form asks before it is sent."""

    needs_login = True
    works_before_password_change = True

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        response = HttpResponse(status=204)
        secure(response)
        return response


class SignOut(Page):
    """POST /sign-out."""

    passes_read_only = True
    works_before_password_change = True

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return (
            self.render("account/sign_out.html") if not self.actor.is_anonymous else see_other(safe_next(self.request))
        )

    def post(self, request: HttpRequest) -> HttpResponseBase:
        close_session(request.COOKIES.get(COOKIE, ""), address=request.META.get("REMOTE_ADDR", ""))
        response = self.done(gettext("You are signed out."), safe_next(request))
        response.delete_cookie(COOKIE, path="/", samesite="Lax")
        return response


class PasswordForm(forms.Form):
    """The old password, the new one twice."""

    old = forms.CharField(
        label=_("Current password"), strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )  # fmt: skip
    new = forms.CharField(
        label=_("New password"), strip=False,
        help_text=PASSWORD_RULE,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    again = forms.CharField(
        label=_("New password again"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def clean_new(self) -> str:
        """By the rule of the service, in the reader's language."""
        new: str = self.cleaned_data["new"]
        check_password(new)
        if new == self.cleaned_data.get("old"):
            raise forms.ValidationError(gettext("The new password is the old one."))
        return new

    def clean(self) -> dict[str, Any]:
        """Both new ones are the same."""
        sent = self.cleaned_data
        if "new" in sent and sent.get("again") not in (None, sent["new"]):
            self.add_error("again", gettext("This is not the same as the new password."))
        return sent


class Password(Page):
    """GET, POST /me/password."""

    needs_login = True
    passes_read_only = True
    works_before_password_change = True

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self._show(PasswordForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = PasswordForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        old, new, address = form.cleaned_data["old"], form.cleaned_data["new"], self.origin.address
        try:
            with self.audited("PUT", f"/users/{self.actor.user_id}/password", self.actor.name):
                change_own_password(user_id=self.actor.user_id, old=old, new=new, address=address)
        except Forbidden:
            form.add_error("old", gettext("The current password is wrong."))
            return self._show(form, 422)
        except TooManyRequests as error:
            form.add_error(None, too_many_attempts(error.retry_after_seconds))
            return self._show(form, 429)
        # every session of the old password ended; this browser keeps one
        value = open_session(replace(self.actor, epoch=self.actor.epoch + 1), address=address)
        response = self.done(gettext("Your password is changed."), safe_next(request))
        set_session_cookie(response, value, is_secure=request.is_secure())
        return response

    def _show(self, form: PasswordForm, status: int = 200) -> HttpResponse:
        must = self.session is not None and self.session.must_change_password
        return self.render("account/password.html", form=form, must=must, next=safe_next(self.request), status=status)
