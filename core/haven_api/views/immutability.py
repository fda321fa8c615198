"""/projects/{project}/immutabletagrules."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.openapi import paged
from haven_api.paging import page_headers, requested_page
from haven_api.rule_bodies import RuleBody, parse, render_selector
from haven_api.views.base import ApiView
from haven_api.views.projects import requested_project
from haven_core.domain.selectors import Selector
from haven_core.errors import BadRequest
from haven_core.policies import immutability
from haven_core.policies.immutability import RuleView
from haven_core.rbac.permissions import Action, Resource, require

ACTION, TEMPLATE = "immutable", "immutable_template"


class _View(ApiView):
    def project_of(self, request: Request, name_or_id: str, action: Action) -> int:
        """The project's id, for who may do that with its rules."""
        project = requested_project(self.actor, request, name_or_id)
        require(self.actor, project, Resource.IMMUTABLE_TAG, action)
        return project.project_id


class ImmutableRules(_View):
    """The collection."""

    @paged()
    def get(self, request: Request, name_or_id: str) -> Response:
        """List."""
        page = requested_page(request)
        rules, total = immutability.list_rules(
            self.project_of(request, name_or_id, Action.LIST), offset=page.offset, limit=page.size
        )
        return Response([_render(rule) for rule in rules], headers=page_headers(request, page, total))

    @extend_schema(request=RuleBody)
    def post(self, request: Request, name_or_id: str) -> Response:
        """Create."""
        project_id = self.project_of(request, name_or_id, Action.CREATE)
        sent = _parse(request.data)
        del sent["id"]
        rule_id = immutability.create_rule(project_id=project_id, by=self.actor.name, **sent)
        return Response(status=201, headers={"Location": f"{request.path.rstrip('/')}/{rule_id}"})


class OneImmutableRule(_View):
    """A rule."""

    @extend_schema(request=RuleBody)
    def put(self, request: Request, name_or_id: str, rule_id: int) -> Response:
        """Replace, which also turns it on or off."""
        project_id = self.project_of(request, name_or_id, Action.UPDATE)
        sent = _parse(request.data)
        if sent.pop("id") not in (None, 0, rule_id):
            raise BadRequest("the immutable_rule_id doesn't match the id in the payload body of ImmutableRule")
        immutability.update_rule(project_id=project_id, rule_id=rule_id, by=self.actor.name, **sent)
        return Response(status=200)

    def delete(self, request: Request, name_or_id: str, rule_id: int) -> Response:
        """Delete."""
        project_id = self.project_of(request, name_or_id, Action.DELETE)
        immutability.delete_rule(project_id=project_id, rule_id=rule_id, by=self.actor.name)
        return Response(status=200)


def _parse(data: Any) -> dict[str, Any]:
    """Harbor's rule has lists of selectors and uses the first of each."""
    sent = parse(RuleBody, data)
    repositories, tags = (sent.get("scope_selectors") or {}).get("repository") or [], sent.get("tag_selectors") or []
    if not repositories or not tags:
        raise BadRequest("an immutability rule selects repositories and tags")
    if (sent.get("action") or ACTION) != ACTION or (sent.get("template") or TEMPLATE) != TEMPLATE:
        raise BadRequest(f'the action of the rule is "{ACTION}", its template "{TEMPLATE}"')
    repository: Selector = repositories[0]
    tag: Selector = tags[0]
    return {
        "id": sent.get("id"),
        "repository": repository,
        "tag": tag,
        "is_disabled": bool(sent.get("disabled")),
        "priority": sent.get("priority") or 0,
        "params": sent.get("params") or {},
    }


def _render(rule: RuleView) -> dict[str, Any]:
    return {
        "id": rule.id,
        "priority": rule.priority,
        "disabled": rule.is_disabled,
        "action": ACTION,
        "template": TEMPLATE,
        "params": rule.params,
        "tag_selectors": [render_selector(rule.tag)],
        "scope_selectors": {"repository": [render_selector(rule.repository)]},
    }
