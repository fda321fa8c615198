"""Forms of projects and what is in them: what a person types, as what services take. The services check the rules again;
here they are said in the reader's language, at the field."""

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.accounts import passwords
from haven_core.domain.names import is_project_name
from haven_core.errors import BadRequest

PASSWORD_RULE = _("8 to 128 characters, with an upper-case letter, a lower-case letter and a digit.")
UNITS = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


def check_password(password: str) -> None:
    """The service's rule, in the reader's language. Raises ValidationError."""
    try:
        passwords.check_rule(password)
    except BadRequest:
        raise forms.ValidationError(PASSWORD_RULE) from None


class ProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(
        label=_("Name"), max_length=255,
        help_text=_("Lower-case letters and digits, with single “.”, “_” or “-” between them. It can't be changed later."),
    )  # fmt: skip
    is_public = forms.BooleanField(
        label=_("Public"), required=False, help_text=_("Everybody may see and pull what is in it, without signing in.")
    )

    def clean_name(self) -> str:
        """By the rule of the service."""
        name: str = self.cleaned_data["name"]
        if not is_project_name(name):
            raise forms.ValidationError(
                gettext("Use lower-case letters and digits, with single “.”, “_” or “-” between them.")
            )
        return name


class QuotaForm(forms.Form):
    """A limit, in a unit that people use; empty is unlimited."""

    limit = forms.DecimalField(
        label=_("Storage limit"), required=False, min_value=0.01, decimal_places=2, max_digits=12
    )
    unit = forms.ChoiceField(label=_("Unit"), choices=[(unit, unit) for unit in UNITS], initial="GiB")

    @classmethod
    def of(cls, limit_bytes: int | None) -> "QuotaForm":
        """Filled with a limit, in the largest unit that says it in few digits."""
        if limit_bytes is None:
            return cls()
        unit = next((unit for unit in reversed(UNITS) if limit_bytes >= UNITS[unit]), "MiB")
        return cls(initial={"limit": f"{limit_bytes / UNITS[unit]:.2f}".rstrip("0").rstrip("."), "unit": unit})

    @property
    def limit_bytes(self) -> int | None:
        """The limit of a valid form in bytes; None: unlimited."""
        number = self.cleaned_data.get("limit")
        return int(number * UNITS[self.cleaned_data["unit"]]) if number else None
