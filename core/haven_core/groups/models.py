"""Groups and who is in them."""

from django.db import models

from haven_core.accounts.models import User
from haven_core.db.keys import reference


class UserGroup(models.Model):
    """A group that can be a member of projects; what it may do there, everyone in it may. Written by groups.services.

    kind: Harbor's group_type, see groups.services.Kind. ldap_dn: '' but for LDAP groups.
    """

    name = models.CharField(max_length=255)
    kind = models.SmallIntegerField()
    ldap_dn = models.CharField(max_length=512, default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "user_group"
        constraints = [models.UniqueConstraint(fields=["name", "kind"], name="user_group_name")]


class GroupMembership(models.Model):
    """One person in one group. It goes with either."""

    group = reference(UserGroup, db_index=False)
    user = reference(User)

    class Meta:
        db_table = "user_group_member"
        constraints = [models.UniqueConstraint(fields=["group", "user"], name="user_group_member_once")]
