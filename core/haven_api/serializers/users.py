"""Bodies of /users."""

from typing import Any

from rest_framework import serializers

from haven_api.serializers import Boolean, Text


class ProfileBody(serializers.Serializer[Any]):
    """UserProfile. What is missing reads as ''; the rules are accounts.profiles."""

    email = Text(required=False, allow_null=True)
    realname = Text(required=False, allow_null=True)
    comment = Text(required=False, allow_null=True)


class UserBody(ProfileBody):
    """UserCreationReq."""

    username = Text(required=False, allow_null=True, max_length=255)
    email = Text(required=False, allow_null=True, max_length=255)
    password = Text(required=False, allow_null=True)


class SysadminBody(serializers.Serializer[Any]):
    """UserSysAdminFlag."""

    sysadmin_flag = Boolean(required=False, allow_null=True)


class AuditorBody(serializers.Serializer[Any]):
    """Whether a user is an auditor (Haven)."""

    auditor_flag = Boolean()


class PasswordBody(serializers.Serializer[Any]):
    """PasswordReq."""

    old_password = Text(required=False, allow_null=True)
    new_password = Text(required=False, allow_null=True)
