"""The repositories of a project, which is its landing page: a list or a tree of folders, and how to push."""

from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext

from haven_core.errors import HavenError, TagImmutable
from haven_core.rbac.permissions import Action, Resource
from haven_portal import words
from haven_portal.clients import Registry
from haven_portal.kinds import kind_of
from haven_portal.lists import ListState
from haven_portal.views.project import ProjectPage
from haven_registry.repository_summary import (
    SUMMARY_SORTS,
    find_repository_row,
    list_names,
    summarise_repositories,
)
from haven_registry.services.repositories import delete_repository

MOST_IN_TREE = 1000


@dataclass(slots=True)
class Folder:
    """A node of the tree: a folder, a repository, or both. name: its last part; path: below the project."""

    name: str
    path: str
    is_repository: bool = False
    below: "dict[str, Folder]" = field(default_factory=dict)

    @property
    def children(self) -> "list[Folder]":
        """By name."""
        return [self.below[name] for name in sorted(self.below)]

    @property
    def count(self) -> int:
        """Repositories in it, itself left out."""
        return sum(child.is_repository + child.count for child in self.below.values())


class Repositories(ProjectPage):
    """GET /projects/{project}/."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        state = ListState.of(request, sorts=SUMMARY_SORTS, default="-pushed", filters=("q",))
        is_tree = request.GET.get("view") == "tree" and not state.filters
        rows, state.total = (
            ([], 0)
            if is_tree
            else summarise_repositories(self.project.project_id, state.query(*state.contains("q", "name")))
        )
        if self.is_fragment and not rows and not state.filters:
            return HttpResponse(status=204)  # still nothing pushed: htmx leaves the page as it is
        names = list_names(self.project.project_id, limit=MOST_IN_TREE + 1) if is_tree else []
        return self.render(
            "repositories/rows.html" if self.is_fragment else "repositories/list.html",
            list=state,
            rows=[(row, kind_of(row.type)) for row in rows],
            tree=tree_of(names[:MOST_IN_TREE]) if is_tree else None,
            has_more=len(names) > MOST_IN_TREE,
            is_tree=is_tree,
            is_empty=not (rows or is_tree or state.filters),
            may_push=self.may(Resource.REPOSITORY, Action.PUSH),
            may_delete=self.may(Resource.REPOSITORY, Action.DELETE),
            pushes=Registry.of(request),
        )


class DeleteRepository(ProjectPage):
    """POST /projects/{project}/repos/{repository}/-/delete: into the trash."""

    needs_login = True
    needs = (Resource.REPOSITORY, Action.DELETE)

    def post(self, _request: HttpRequest, repository: str) -> HttpResponseBase:
        row = find_repository_row(self.project.project_id, repository)
        try:
            with self.audited("DELETE", f"/projects/{self.name}/repositories/{repository}", row.full_name):
                delete_repository(row.id, self.origin)
        except TagImmutable:
            message = gettext("%(name)s has immutable tags, so it can't be deleted.") % {"name": row.full_name}
            return self.refused(message, self.url("repository", repository))
        except HavenError as error:
            return self.refused(words.explain(error), self.url("project"))
        message = gettext("%(name)s is in the trash.") % {"name": row.full_name}
        return self.done_with_undo(message, self.url("project"), [f"repository-{row.id}"])


def tree_of(names: list[str]) -> Folder:
    """Folders by the slashes in names."""
    root = Folder("", "")
    for name in names:
        node = root
        for part in name.split("/"):
            path = f"{node.path}/{part}".lstrip("/")
            node = node.below.setdefault(part, Folder(part, path))
        node.is_repository = True
    return root
