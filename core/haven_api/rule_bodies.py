"""Bodies of immutability rules and retention policies, to and from Harbor's JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from haven_api.serializers import Boolean, Integer, Text
from haven_core.domain.selectors import DOUBLESTAR, Selector


class SelectorBody(serializers.Serializer[Any]):
    """RetentionSelector, ImmutableSelector."""

    kind = Text(required=False, default=DOUBLESTAR, max_length=64)
    decoration = Text(required=False, default="", max_length=64)
    pattern = Text(required=False, default="", max_length=4096)
    extras = Text(required=False, default="", max_length=1024)

    def to_internal_value(self, data: Any) -> Selector:
        return Selector(**super().to_internal_value(data))


class RuleBody(serializers.Serializer[Any]):
    """RetentionRule, ImmutableRule."""

    id = Integer(required=False, allow_null=True)
    priority = Integer(required=False, allow_null=True, min_value=-(2**31), max_value=2**31 - 1)
    disabled = Boolean(required=False, allow_null=True)
    action = Text(required=False, allow_null=True, max_length=64)
    template = Text(required=False, allow_null=True, max_length=64)
    params = serializers.DictField(required=False, allow_null=True)
    tag_selectors = serializers.ListField(child=SelectorBody(), required=False, allow_null=True, max_length=100)
    scope_selectors = serializers.DictField(
        child=serializers.ListField(child=SelectorBody(), max_length=100), required=False, allow_null=True
    )


class _Trigger(serializers.Serializer[Any]):
    kind = Text(required=False, default="", max_length=64)
    settings = serializers.DictField(required=False, allow_null=True)


class _Scope(serializers.Serializer[Any]):
    level = Text(required=False, default="project", max_length=64)
    ref = Integer()


class PolicyBody(serializers.Serializer[Any]):
    """RetentionPolicy; `mode` is Haven's own."""

    algorithm = Text(required=False, default="or", max_length=64)
    rules = serializers.ListField(child=RuleBody(), required=False, allow_null=True, max_length=1000)
    trigger = _Trigger(required=False, allow_null=True)
    scope = _Scope()
    mode = Text(required=False, default="artifact", max_length=64)


class ExecutionBody(serializers.Serializer[Any]):
    """The body of a run."""

    dry_run = Boolean(required=False, default=False)


class OperationBody(serializers.Serializer[Any]):
    """The body of an operation on a run."""

    action = Text(required=False, default="", max_length=64)


def parse(body: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """The checked values of a body. Raises ValidationError (422)."""
    checked = body(data=data)
    checked.is_valid(raise_exception=True)
    values: dict[str, Any] = checked.validated_data
    return values


def render_selector(selector: Selector | Mapping[str, str]) -> dict[str, str]:
    """A selector as the API shows it: without empty extras, as Harbor leaves them out."""
    values = asdict(selector) if isinstance(selector, Selector) else dict(selector)
    return {name: value for name, value in values.items() if value or name != "extras"}
