"""Finding projects, repositories, tags and digests of what the caller may see; a pasted name of an image leads to it."""

import re
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.errors import NotFound
from haven_core.projects.selectors import enter_project, list_projects
from haven_core.rbac.permissions import Action, Resource, evaluate
from haven_portal.clients import parse_image
from haven_portal.kinds import kind_of
from haven_portal.page import Page, registry_host, see_other
from haven_registry.artifact_list import find_artifact
from haven_registry.errors import ManifestUnknown, RepositoryUnknown
from haven_registry.insight import list_blob_uses
from haven_registry.oci.errors import OciError
from haven_registry.oci.reference import is_repository_name, parse_reference
from haven_registry.repository_summary import find_repository_row
from haven_registry.search import search_artifacts, search_repositories, search_tags

MAX_FOUND = 25  # of each kind
_MAX_TEXT = 255
_BLOB = re.compile("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class Search(Page):
    """GET /search?q=."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        typed = request.GET.get("q", "").replace("\0", "").strip()[:_MAX_TEXT]
        host = registry_host(request)
        parsed = parse_image(typed, host)
        image = _Image.of(parsed)
        if image is not None and image.reference and self._is_there(image):
            return see_other(image.url)
        groups: dict[str, Any] = {"projects": [], "repositories": [], "tags": [], "artifacts": [], "uses": []}
        text = typed
        if parsed is not None:
            text = "/".join(filter(None, (parsed["project"], parsed["repository"])))
        if text:
            conditions = (Condition("name", Match.CONTAINS, (text,)),)
            groups["projects"] = list_projects(self.actor, ListQuery(conditions, limit=MAX_FOUND))[0]
            groups["repositories"] = [
                (row, row.full_name.partition("/")[2]) for row in search_repositories(self.actor, text, limit=MAX_FOUND)
            ]
            groups["tags"] = [
                (row, kind_of(row.type), *_place(row.repository))
                for row in search_tags(self.actor, typed, limit=MAX_FOUND)
            ]
            groups["artifacts"] = [
                (row, kind_of(row.type), *_place(row.repository))
                for row in search_artifacts(self.actor, typed, limit=MAX_FOUND)
            ]
            groups["uses"] = self._uses(typed)
        return self.render("search/search.html", search_text=typed, most=MAX_FOUND, **groups)

    def _uses(self, digest: str) -> list[Any]:
        """Artifacts that have a blob of this digest."""
        if not _BLOB.fullmatch(digest):
            return []
        try:
            _size, uses, _total = list_blob_uses(self.actor, digest, offset=0, limit=MAX_FOUND)
        except NotFound:
            return []
        return [(use, kind_of(use.type), *_place(use.repository)) for use in uses]

    def _is_there(self, image: "_Image") -> bool:
        """Whether the caller may see an artifact of that name."""
        project = enter_project(self.actor, image.project)
        if project is None or not evaluate(self.actor, Resource.ARTIFACT, Action.READ, project):
            return False
        try:
            repository = find_repository_row(project.project_id, image.repository)
            find_artifact(repository.id, image.reference)
        except (RepositoryUnknown, ManifestUnknown):
            return False
        return True


class Jump(Page):
    """GET /{project}/{repository}:{tag}, …@{digest}: to the page of the artifact, which says whether there is one."""

    def get(self, _request: HttpRequest, project: str, repository: str, reference: str) -> HttpResponseBase:
        return see_other(reverse("portal:artifact", args=[project, repository, reference]))


@dataclass(frozen=True, slots=True)
class _Image:
    """A name that an image can have."""

    project: str
    repository: str
    reference: str

    @classmethod
    def of(cls, parsed: dict[str, Any] | None) -> "_Image | None":
        """None for what can't be one."""
        if parsed is None or not is_repository_name(f"{parsed['project']}/{parsed['repository']}"):
            return None
        try:
            if parsed["reference"]:
                parse_reference(parsed["reference"])
        except OciError:
            return None
        return cls(**parsed)

    @property
    def url(self) -> str:
        """Of its page."""
        return reverse("portal:artifact", args=[self.project, self.repository, self.reference])


def _place(full_name: str) -> tuple[str, str]:
    project, _, repository = full_name.partition("/")
    return project, repository
