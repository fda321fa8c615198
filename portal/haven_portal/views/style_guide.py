"""Every component once, for who builds pages and for the tests that look at them."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone

from haven_portal.forms import ProjectForm, QuotaForm
from haven_portal.lists import ListState
from haven_portal.page import Page


class StyleGuide(Page):
    """GET /-/ui, for system administrators, and everybody in development."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not (settings.DEBUG or self.actor.is_sysadmin):
            raise Http404
        state = ListState.of(request, sorts=("name",), default="name")
        state.total = 160
        return self.render(
            "style_guide.html",
            list=state,
            form=ProjectForm({"name": "Not a Name"}),
            quota=QuotaForm(),
            now=timezone.now(),
            values=[3, 4, 2, 8, 6, 9, 12, 7, 5, 11, 14, 13],
            tab_links=[
                {"key": "one", "label": "Repositories", "url": "#one", "count": 64},
                {"key": "two", "label": "Members", "url": "#two", "count": None},
            ],
        )
