"""What a tag has meant, going back, and how two artifacts differ."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.errors import BadRequest, HavenError, TagImmutable
from haven_core.rbac.permissions import Action, Resource
from haven_portal import words
from haven_portal.lists import ListState
from haven_portal.views.repository import RepositoryPage
from haven_registry import store
from haven_registry.artifact_list import find_artifact
from haven_registry.compare import (
    ADDED,
    CHANGED,
    REMOVED,
    SAME,
    Comparison,
    PackageComparison,
    Value,
    compare_artifacts,
)
from haven_registry.errors import InTrash, ManifestUnknown, NeverMeant, PreconditionFailed
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid
from haven_registry.oci.reference import is_tag
from haven_registry.services.rollback import roll_back_tag
from haven_registry.tag_history import list_tag_history
from haven_registry.tag_list import newest_tag_names

HOW = {
    "push": _("pushed"), "retag": _("moved"), "copy": _("copied"), "delete": _("deleted"), "restore": _("restored"),
    "rollback": _("rolled back"),
}  # fmt: skip
_MOST_NAMES = 200
_MOST_SHOWN = 500


class History(RepositoryPage):
    """GET /projects/{project}/repos/{repository}/-/history?tag=."""

    tab = "tag-history"
    needs = (Resource.REPOSITORY, Action.READ)  # it names people: of a public project only members see it

    def get(self, request: HttpRequest) -> HttpResponseBase:
        name = request.GET.get("tag", "").replace("\0", "")[:128]
        state = ListState.of(request, sorts=("",))
        changes: list[Any] = []
        current = ""
        if name:
            changes, state.total = list_tag_history(self.repository.id, name, state.query())
            current = self._digest(name)
        return self.render(
            "repository/history.html",
            list=state,
            name=name,
            current=current,
            changes=[(change, HOW.get(change.how, change.how)) for change in changes],
            names=newest_tag_names(self.repository.id, limit=_MOST_NAMES),
            may_roll_back=self.may(Resource.TAG, Action.CREATE),
            may_revive=self.may(Resource.ARTIFACT, Action.DELETE),
        )

    def _digest(self, name: str) -> str:
        try:
            return find_artifact(self.repository.id, name).digest
        except ManifestUnknown:
            return ""


class RollBack(RepositoryPage):
    """POST /projects/{project}/repos/{repository}/-/history/roll-back with tag, digest, expected."""

    needs_login = True
    http_method_names = ["post"]
    needs = (Resource.TAG, Action.CREATE)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        name = request.POST.get("tag", "")[:128]
        digest, expected = (_digest(request.POST.get(key, "")) for key in ("digest", "expected"))
        back = f"{self.repository_url('tag-history')}?tag={name}"
        if not (is_tag(name) and digest):
            raise BadRequest
        try:
            with self.audited("POST", f"{self.api_path}/tags/{name}/rollback", f"{self.repository.full_name}:{name}"):
                roll_back_tag(
                    repository_id=self.repository.id, name=name, digest=digest,
                    may_revive=self.may(Resource.ARTIFACT, Action.DELETE),
                    expected=expected or None, origin=self.origin,
                )  # fmt: skip
        except TagImmutable:
            return self.refused(gettext("A rule of the project makes this tag immutable."), back)
        except PreconditionFailed:
            return self.refused(gettext("The tag was moved meanwhile. Look again."), back)
        except InTrash:
            return self.refused(
                gettext("That artifact is in the trash; who may delete artifacts may restore it."), back
            )
        except (NeverMeant, ManifestUnknown):
            return self.refused(gettext("That artifact is gone for good."), back)
        except HavenError as error:
            return self.refused(words.explain(error), back)
        return self.done(gettext("%(name)s names %(digest)s again.") % {"name": name, "digest": digest[7:19]}, back)


def _digest(text: str) -> str:
    """'' for what is none."""
    try:
        return str(Digest.parse(text))
    except DigestInvalid:
        return ""


class Compare(RepositoryPage):
    """GET /projects/{project}/repos/{repository}/-/compare?a=&b=: a page to share."""

    tab = "compare"
    needs = (Resource.ARTIFACT_ADDITION, Action.READ)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        a, b = (request.GET.get(key, "").strip()[:160] for key in ("a", "b"))
        found: Comparison | None = None
        missing: list[str] = []
        if a and b:
            rows = []
            for reference in (a, b):
                try:
                    rows.append(find_artifact(self.repository.id, reference))
                except ManifestUnknown:
                    missing.append(reference)
            if not missing:
                found = compare_artifacts(rows[0], rows[1], store.driver(), platform=request.GET.get("platform", ""))
        return self.render(
            "repository/compare.html",
            a=a,
            b=b,
            missing=missing,
            found=found,
            sizes=[
                (SAME, _("in both"), found.bytes_of(SAME)),
                (ADDED, _("only in the second"), found.bytes_of(ADDED)),
                (REMOVED, _("only in the first"), found.bytes_of(REMOVED)),
            ]
            if found
            else [],
            groups=list(filter(None, [_packages(found.packages, (a, b)), *_groups(found)])) if found else [],
            names=newest_tag_names(self.repository.id, limit=_MOST_NAMES),
        )


def _groups(found: Comparison) -> list[dict[str, Any]]:
    """What differs, by kind of thing; what is the same is counted."""
    groups = []
    named = ((_("Configuration"), found.config), (_("Environment"), found.env), (_("Labels of the image"), found.labels),
             (_("Annotations"), found.annotations))  # fmt: skip
    for title, values in named:
        different = [value for value in values if value.state in (ADDED, REMOVED, CHANGED)]
        groups.append({"title": title, "values": different[:_MOST_SHOWN], "same": len(values) - len(different)})
    return groups


def _packages(found: PackageComparison, names: tuple[str, str]) -> dict[str, Any] | None:
    """The group of packages; None where neither artifact has an SBOM. names: what the two were asked for by."""
    sides = [(found.before, names[0]), (found.after, names[1])]
    if not any(contents.sbom for contents, _name in sides):
        return None
    notes = []
    for contents, name in sides:
        if not contents.sbom:
            notes.append(gettext("No SBOM is attached to %(name)s.") % {"name": name})
        elif contents.problem:
            notes.append(gettext("The SBOM of %(name)s can't be read.") % {"name": name})
    values = [
        Value(
            each.state, f"{each.name} ({each.type})" if each.type else each.name,
            _versions(each.before), _versions(each.after),
        )
        for each in found.changes[:_MOST_SHOWN]
    ]  # fmt: skip
    return {
        "title": _("Packages"), "values": values, "same": found.same, "notes": notes,
        "more": max(0, len(found.changes) - _MOST_SHOWN),
    }  # fmt: skip


def _versions(versions: tuple[str, ...] | None) -> str | None:
    return None if versions is None else ", ".join(versions)
