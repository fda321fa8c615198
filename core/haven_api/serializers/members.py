"""Bodies of members, groups and roles."""

from typing import Any

from rest_framework import serializers

from haven_api.serializers import Integer, Text


class UserEntityBody(serializers.Serializer[Any]):
    """UserEntity."""

    user_id = Integer(required=False, allow_null=True)
    username = Text(required=False, allow_null=True)


class UserGroupBody(serializers.Serializer[Any]):
    """UserGroup."""

    id = Integer(required=False, allow_null=True)
    group_name = Text(required=False, allow_null=True)
    group_type = Integer(required=False, allow_null=True)
    ldap_group_dn = Text(required=False, allow_null=True)


class MemberBody(serializers.Serializer[Any]):
    """ProjectMember."""

    role_id = Integer(required=False, allow_null=True)
    member_user = UserEntityBody(required=False, allow_null=True)
    member_group = UserGroupBody(required=False, allow_null=True)


class RoleIdBody(serializers.Serializer[Any]):
    """RoleRequest."""

    role_id = Integer(required=False, allow_null=True)


class PermissionBody(serializers.Serializer[Any]):
    """Permission."""

    resource = Text()
    action = Text()


class RoleBody(serializers.Serializer[Any]):
    """A custom role (Haven)."""

    name = Text()
    description = Text(required=False, max_length=255)
    permissions = PermissionBody(many=True)


class PeopleBody(serializers.Serializer[Any]):
    """Who is in a group (Haven)."""

    user_ids = serializers.ListField(child=Integer(), max_length=10_000)
