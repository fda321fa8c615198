"""Making an account by oneself, where the configuration lets strangers."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.accounts import policy
from haven_core.accounts.profiles import check_profile
from haven_core.accounts.services import create_user
from haven_core.domain.names import is_username
from haven_core.errors import BadRequest, Conflict
from haven_portal.forms import PASSWORD_RULE, check_password
from haven_portal.page import Page, safe_next, see_other


class SignUpForm(forms.Form):
    """An account. A password is never stripped: a blank may belong to it."""

    username = forms.CharField(label=_("User name"), max_length=255)
    realname = forms.CharField(label=_("Full name"), max_length=255)
    email = forms.CharField(
        label=_("E-mail address"), max_length=255, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label=_("Password"), strip=False, help_text=PASSWORD_RULE,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    again = forms.CharField(
        label=_("Password again"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs |= {"autocomplete": "username", "autocapitalize": "none"}
        self.fields["realname"].widget.attrs |= {"autocomplete": "name"}

    def clean_username(self) -> str:
        """By the rule of the service."""
        name: str = self.cleaned_data["username"]
        if not is_username(name):
            raise forms.ValidationError(_without(', " ~ # % $ : \\'))
        return name

    def clean_realname(self) -> str:
        """By the rule of profiles."""
        name: str = self.cleaned_data["realname"]
        return _checked(name, _without(", ~ # $ %"), realname=name)

    def clean_email(self) -> str:
        """By the rule of profiles."""
        email: str = self.cleaned_data["email"]
        return _checked(email, gettext("This is no e-mail address."), email=email)

    def clean_password(self) -> str:
        """By the rule of the service."""
        password: str = self.cleaned_data["password"]
        check_password(password)
        return password

    def clean(self) -> dict[str, Any]:
        """Both passwords are the same."""
        sent = self.cleaned_data
        if "password" in sent and sent.get("again") not in (None, sent["password"]):
            self.add_error("again", gettext("This is not the same as the password."))
        return sent


class SignUp(Page):
    """GET, POST /sign-up; there is no such page where strangers may not make themselves an account."""

    def identify(self, request: HttpRequest) -> None:
        """Also: whether the page exists. Raises Http404."""
        if not policy.self_registration():
            raise Http404
        super().identify(request)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not self.actor.is_anonymous:
            return see_other(safe_next(request))
        return self._show(SignUpForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = SignUpForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        sent = form.cleaned_data
        try:
            with self.audited("POST", "/users", sent["username"]):
                create_user(
                    username=sent["username"], password=sent["password"], email=sent["email"],
                    realname=sent["realname"], created_by=sent["username"],
                )  # fmt: skip
        except Conflict:
            form.add_error(None, gettext("An account with this name or e-mail address already exists."))
            return self._show(form, 422)
        back = reverse("portal:sign-in") + "?" + urlencode({"next": safe_next(request)})
        return self.done(gettext("Your account is ready. Sign in."), back)

    def _show(self, form: SignUpForm, status: int = 200) -> HttpResponse:
        return self.render("account/sign_up.html", status, form=form, next=safe_next(self.request))


def _without(characters: str) -> str:
    return gettext("Use printable characters, and none of these: {characters}").format(characters=characters)


def _checked(value: str, problem: str, *, email: str = "someone@example.com", realname: str = "someone") -> str:
    try:
        check_profile(email=email, realname=realname, comment="")
    except BadRequest:
        raise forms.ValidationError(problem) from None
    return value
