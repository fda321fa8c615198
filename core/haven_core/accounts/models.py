"""People, their sessions, and guesses at their passwords."""

from django.db import models
from django.db.models import Q

from haven_core.db.keys import reference


class User(models.Model):
    """A local account. Written by accounts.services only.

    password: a Django hasher's text; '' can't log in.
    is_auditor: sees everything and changes nothing (rbac.reach); no system administrator is one.
    must_change_password: sessions may do nothing else until it is changed; Basic credentials work as ever.
    credential_epoch: grows when the password or the state changes; every cached proof of identity carries the epoch it
        was made under and is worthless under another.
    deleted_at: soft delete; the name gets '#<id>' appended and is free again (Harbor).
    """

    username = models.CharField(max_length=255)
    email = models.CharField(max_length=255, default="", blank=True)
    realname = models.CharField(max_length=255, default="", blank=True)
    comment = models.CharField(max_length=30, default="", blank=True)
    password = models.CharField(max_length=255, default="", blank=True)
    is_sysadmin = models.BooleanField(default=False)
    is_auditor = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)
    credential_epoch = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "account"
        constraints = [
            models.CheckConstraint(condition=~Q(is_sysadmin=True, is_auditor=True), name="account_one_system_role"),
            models.UniqueConstraint(fields=["username"], condition=Q(deleted_at=None), name="account_username"),
            models.UniqueConstraint(
                fields=["email"], condition=Q(deleted_at=None) & ~Q(email=""), name="account_email"
            ),
        ]


class Session(models.Model):
    """A browser that logged in, until expires_at. Written by accounts.sessions; any change of the account's credentials
    makes it worthless. key: SHA-256 of the cookie's value, so that who reads the table can't use what is in it."""

    key = models.BinaryField(primary_key=True, max_length=32)
    user = reference(User)
    epoch = models.IntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "session"


class FailedLogins(models.Model):
    """Wrong passwords for one user name from one network, counted by accounts.throttle for all processes; removed by a
    right one, or once it is old. key: SHA-256 of both, since names typed may be passwords."""

    key = models.BinaryField(primary_key=True, max_length=32)
    count = models.IntegerField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "failed_logins"
