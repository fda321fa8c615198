"""Request bodies, as strict about types as Harbor's go-openapi: a wrong one is 422."""

from typing import Any

from rest_framework import serializers


class Text(serializers.CharField):
    """A JSON string, nothing that could be made one. No NUL, which PostgreSQL can't store."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "allow_blank": True, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Integer(serializers.IntegerField):
    """A JSON integer that fits 64 bits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": -(2**63), "max_value": 2**63 - 1, **options})

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(data)


class Boolean(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return bool(data)


class Several(serializers.ListSerializer[Any]):
    """A list that may be null, of objects that may not: many=True would give both what is said of either."""


class CveItem(serializers.Serializer[Any]):
    """CVEAllowlistItem."""

    cve_id = Text()


class CveAllowlistBody(serializers.Serializer[Any]):
    """CVEAllowlist. Ids and times are Haven's to set, and dropped."""

    items = Several(child=CveItem(), required=False, allow_null=True)
    expires_at = Integer(required=False, allow_null=True)


class ProjectBody(serializers.Serializer[Any]):
    """ProjectReq. Fields that are not listed are dropped, so a body can't set what it should not."""

    project_name = Text(max_length=255)
    public = Boolean(required=False, allow_null=True)
    metadata = serializers.DictField(child=Text(allow_null=True), required=False, allow_null=True)
    cve_allowlist = CveAllowlistBody(required=False, allow_null=True)
    storage_limit = Integer(required=False, allow_null=True)
    registry_id = Integer(required=False, allow_null=True)
