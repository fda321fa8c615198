"""How much every project holds and may hold, for system administrators."""

from django.http import HttpRequest, HttpResponseBase

from haven_core.quotas.selectors import list_quotas
from haven_core.rbac.permissions import Action, Resource, require_system
from haven_portal.lists import ListState
from haven_portal.page import Page


class Quotas(Page):
    """GET /ops/quotas."""

    section = "quotas"

    def identify(self, request: HttpRequest) -> None:
        """For who may list all of them."""
        super().identify(request)
        require_system(self.actor, Resource.QUOTA, Action.LIST)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        state = ListState.of(request, sorts=("used.storage", "hard.storage"), default="-used.storage")
        quotas, state.total = list_quotas(self.actor, state.query())
        rows = [(quota, (quota.hard_bytes, quota.used_bytes)) for quota in quotas]
        return self.render("admin/quotas.html", list=state, rows=rows)
