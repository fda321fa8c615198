"""People."""

from django.db import models
from django.db.models import Q


class User(models.Model):
    """A local account. Written by accounts.services only.

    password: a Django hasher's text; '' can't log in.
    credential_epoch: grows when the password or the state changes; every cached proof of identity carries the epoch it
        was made under and is worthless under another.
    deleted_at: soft delete; the name is free again.
    """

    username = models.CharField(max_length=255)
    email = models.CharField(max_length=255, default="", blank=True)
    realname = models.CharField(max_length=255, default="", blank=True)
    password = models.CharField(max_length=255, default="", blank=True)
    is_sysadmin = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)
    credential_epoch = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "account"
        constraints = [
            models.UniqueConstraint(fields=["username"], condition=Q(deleted_at=None), name="account_username"),
        ]
