"""/users."""

from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView, timestamp
from haven_core.accounts.selectors import find_account
from haven_core.errors import NoUser, Unauthorized


class CurrentUser(ApiView):
    """GET /users/current."""

    def get(self, _request: Request) -> Response:
        actor = self.require_login()
        if actor.is_robot:
            raise NoUser
        account = find_account(actor.user_id)
        if account is None:
            raise Unauthorized  # deleted since the login
        return Response(
            {
                "user_id": account.user_id,
                "username": account.username,
                "email": account.email,
                "realname": account.realname,
                "comment": "",
                "sysadmin_flag": account.is_sysadmin,
                "admin_role_in_auth": False,
                "creation_time": timestamp(account.created_at),
                "update_time": timestamp(account.created_at),
            }
        )
