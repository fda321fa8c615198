"""The pages of one artifact: what it is, how it was built, what belongs to it, who uses its parts, what was pushed."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.domain.conditions import ListQuery
from haven_core.errors import BadRequest, HavenError, NotFound
from haven_core.rbac.permissions import Action, Resource
from haven_portal.clients import CLIENTS, Registry
from haven_portal.kinds import kind_of
from haven_portal.lists import ListState
from haven_portal.page import Page
from haven_portal.views.history import HOW
from haven_portal.views.repository import RepositoryPage
from haven_registry import selectors, store
from haven_registry.accessories import list_accessories_of
from haven_registry.additions import LayerView, additions_of, list_layers, load_addition
from haven_registry.artifact_list import EVERYTHING, ArtifactView, ManifestRow, describe_artifact
from haven_registry.artifacts import kinds
from haven_registry.artifacts.charts import README, VALUES, chart_dependencies
from haven_registry.artifacts.details import Details
from haven_registry.errors import ManifestUnknown
from haven_registry.insight import artifact_usage, list_blob_uses
from haven_registry.oci.media_types import INDEX_TYPES
from haven_registry.repository_summary import artifact_pulls, find_named_artifact
from haven_registry.services.details import load_details
from haven_registry.storage.errors import StorageError
from haven_registry.tag_history import TagChange, list_tag_history
from haven_registry.tag_list import platform_of, platforms_of

_CONFIG_LISTS = ("Entrypoint", "Cmd")
_CONFIG_TEXTS = (("User", _("User")), ("WorkingDir", _("Working directory")), ("StopSignal", _("Stop signal")))
_CONFIG_KEYS = (("ExposedPorts", _("Ports")), ("Volumes", _("Volumes")))
_MOST_SHOWN = 200  # of anything that a stranger may have written without end
_MOST_CHANGES = 5  # of a tag; its history has all
COLORS = 8  # of layers


class ArtifactPage(RepositoryPage):
    """A page of the artifact that `reference`, a tag or a digest, names in its repository."""

    needs = (Resource.ARTIFACT, Action.READ)
    artifact_tab = "artifact"

    row: ManifestRow

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.reference = kwargs["reference"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        kwargs.pop("reference")
        return super().dispatch(request, *args, **kwargs)

    def find(self, project_id: int) -> None:
        """Also: the artifact. Raises ManifestUnknown besides."""
        self.repository, self.row = find_named_artifact(project_id, self.repository_name, self.reference)

    def ways_from_nothing(self, error: HavenError) -> list[tuple[str, str, str]]:
        """Also: what the tag has meant, for who may know."""
        ways = super().ways_from_nothing(error)
        if isinstance(error, ManifestUnknown) and ":" not in self.reference and self.names_people:
            url = f"{self.repository_url('tag-history')}?{urlencode({'tag': self.reference})}"
            ways.append((gettext("Tag history"), url, "history"))
        return ways

    def artifact_url(self, route: str = "artifact") -> str:
        """The address of a page of this artifact."""
        return self.repository_url(route, self.reference)

    @property
    def is_index(self) -> bool:
        """Whether it names other manifests, one for each platform."""
        return self.row.media_type in INDEX_TYPES

    def details(self) -> Details:
        """What is known of it."""
        return load_details([self.row.id], store.driver()).get(self.row.id, Details())

    def render(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """The page below the artifact's head and tabs."""
        links: list[tuple[str, Any]] = [("artifact", _("Overview"))]
        if self.row.kind == kinds.IMAGE and not self.is_index:
            links.append(("artifact-layers", _("Layers")))
        if VALUES in additions_of(self.row):
            links.append(("artifact-values", "values.yaml"))
        links += [
            ("artifact-referrers", _("Referrers")),
            ("artifact-used-by", _("Used by")),
            ("artifact-manifest", _("Manifest")),
            ("artifact-activity", _("Activity")),
        ]
        tabs = [{"key": key, "label": label, "url": self.artifact_url(key), "count": None} for key, label in links]
        shared = {
            "project": self.project,
            "repository": self.repository,
            "reference": self.reference,
            "artifact": self.row,
            "kind": kind_of(self.row.kind),
            "artifact_tabs": tabs,
            "tab": self.artifact_tab,
            "is_by_digest": ":" in self.reference,
            "names_people": self.names_people,
            "may_delete_artifact": self.may(Resource.ARTIFACT, Action.DELETE),
            "may_tag": self.may(Resource.TAG, Action.CREATE),
        }
        return Page.render(self, template, status, **shared | context)


class Overview(ArtifactPage):
    """GET /projects/{project}/repos/{repository}/-/a/{reference}/."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        view = describe_artifact(self.row, store.driver(), EVERYTHING)
        registry = Registry.of(request)
        by_tag = self.reference if ":" not in self.reference else next((tag.name for tag in view.tags or ()), "")
        kind = self.row.kind
        tags = list(view.tags or ())
        platforms = _children_of(view) if self.is_index else []
        chosen = _chosen(platforms, request.GET.get("platform", ""))
        has_layers = kind == kinds.IMAGE and not self.is_index
        return self.render(
            "artifact/overview.html",
            view=view,
            tags=[(tag, self.is_immutable(tag.name)) for tag in tags[:20]],
            more_tags=max(0, len(tags) - 20),
            pull_tag=registry.pull(self.repository.full_name, by_tag, kind) if by_tag else "",
            pull_digest=registry.pull(self.repository.full_name, self.row.digest, kind),
            clients=CLIENTS,
            pushes=registry,
            shows_clients=kind == kinds.IMAGE,
            platforms=platforms,
            chosen=chosen,
            layers_of=self.reference if has_layers else chosen,
            platform_names=platforms_of(view.details.platform, view.details.children),
            facts=_facts(view),
            config=_config_of(view),
            accessories=[(each, kind_of(each.kind)) for each in list(view.accessories or ())[:20]],
            chart=view.details.extra if kind == kinds.CHART else None,
            dependencies=chart_dependencies(view.details.extra)[:_MOST_SHOWN] if kind == kinds.CHART else [],
            readme=self._readme(),
            may_label=self.may(Resource.ARTIFACT_LABEL, Action.CREATE),
            may_unlabel=self.may(Resource.ARTIFACT_LABEL, Action.DELETE),
        )

    def _readme(self) -> str:
        if README not in additions_of(self.row):
            return ""
        return _addition(self, README)


class Layers(ArtifactPage):
    """GET …/layers: a page, and a part of the overview for htmx."""

    needs = (Resource.ARTIFACT_ADDITION, Action.READ)
    artifact_tab = "artifact-layers"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        layers = list_layers(self.row, store.driver())
        details = self.details()
        rows = build_rows(layers, details.history)
        total = sum(layer.size for layer in layers)
        return self.render(
            "artifact/layers_card.html" if self.is_fragment else "artifact/layers.html",
            rows=rows,
            total=total,
            layers=layers,
            stripes=_stripes(layers, total),
            usage=artifact_usage(self.project.project_id, self.row.id) if not self.is_fragment else None,
            error=details.error,
        )


class ArtifactActivity(ArtifactPage):
    """GET …/activity: pulls, and what the tag has meant; a page, and a part of the overview for htmx."""

    artifact_tab = "artifact-activity"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        changes: list[TagChange] = []
        if ":" not in self.reference and self.names_people:
            changes, _total = list_tag_history(self.repository.id, self.reference, ListQuery(limit=_MOST_CHANGES))
        return self.render(
            "artifact/activity_cards.html" if self.is_fragment else "artifact/activity.html",
            pulls=artifact_pulls(self.repository.id, self.row.digest),
            changes=[(change, HOW.get(change.how, change.how)) for change in changes],
        )


class Referrers(ArtifactPage):
    """GET …/referrers: what names this artifact as its subject, level by level."""

    needs = (Resource.ACCESSORY, Action.LIST)
    artifact_tab = "artifact-referrers"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        first = list_accessories_of({(self.repository.id, self.row.digest): self.row.id}).get(self.row.id, [])
        shown = first[:_MOST_SHOWN]
        below = list_accessories_of({(self.repository.id, each.digest): each.id for each in shown}) if shown else {}
        return self.render(
            "artifact/referrers.html",
            rows=[
                (each, kind_of(each.kind), [(child, kind_of(child.kind)) for child in below.get(each.id, [])[:20]])
                for each in shown
            ],
            more=len(first) - len(shown),
        )


class UsedBy(ArtifactPage):
    """GET …/used-by?blob=: which artifacts have one of its blobs too, of those the caller may see."""

    needs = (Resource.ARTIFACT_ADDITION, Action.READ)
    artifact_tab = "artifact-used-by"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        blobs = _blobs_of(_document(self.row))[:_MOST_SHOWN]
        wanted = request.GET.get("blob", "")
        digest = wanted if wanted in {blob["digest"] for blob in blobs} else (blobs[:2][-1]["digest"] if blobs else "")
        state = ListState.of(request, sorts=("",))
        uses: list[Any] = []
        size = 0
        if digest:
            try:
                size, uses, state.total = list_blob_uses(
                    self.actor, digest, offset=(state.page - 1) * state.per, limit=state.per
                )
            except NotFound:  # it lies elsewhere, by its URLs
                uses = []
        return self.render(
            "artifact/used_by.html",
            blobs=blobs,
            digest=digest,
            size=size,
            list=state,
            uses=[(use, kind_of(use.type), *_place(use.repository)) for use in uses],
        )


class ManifestPage(ArtifactPage):
    """GET …/manifest: what was pushed, byte for byte, and its config."""

    artifact_tab = "artifact-manifest"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        payload = selectors.load_payload(self.row.id) or b""
        details = self.details()
        return self.render(
            "artifact/manifest.html",
            manifest=_pretty(payload),
            config=json.dumps(details.extra, indent=2, ensure_ascii=False) if details.extra else "",
            error=details.error,
        )


class Values(ArtifactPage):
    """GET …/values: a chart's defaults."""

    needs = (Resource.ARTIFACT_ADDITION, Action.READ)
    artifact_tab = "artifact-values"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.render("artifact/values.html", text=_addition(self, VALUES))


def build_rows(layers: list[LayerView], history: Any) -> list[dict[str, Any]]:
    """Layers and the steps that made none, in order. A layer that no step is known to have made stands by itself."""
    by_digest = {layer.digest: (number, layer) for number, layer in enumerate(layers, start=1)}
    rows: list[dict[str, Any]] = []
    shown: set[str] = set()
    for step in list(history)[:_MOST_SHOWN]:
        instruction, arguments = split_command(str(step.get("created_by", "")))
        row: dict[str, Any] = {"instruction": instruction, "arguments": arguments, "created": step.get("created", "")}
        if step.get("digest") in by_digest:
            row["number"], row["layer"] = by_digest[step["digest"]]
            shown.add(step["digest"])
        rows.append(row)
    rest = [(number, layer) for number, layer in by_digest.values() if layer.digest not in shown]
    for number, layer in rest:
        instruction, arguments = split_command(layer.command)
        rows.append({"instruction": instruction, "arguments": arguments, "number": number, "layer": layer})
    for row in rows:
        row["color"] = (row.get("number", 1) - 1) % COLORS + 1
    return rows


def split_command(text: str) -> tuple[str, str]:
    """Dockerfile instruction and the rest, of what a builder writes into the history."""
    text = " ".join(text.split())
    for shell in ("/bin/sh -c #(nop) ", "/bin/sh -c #(nop)"):
        if text.startswith(shell):
            text = text.removeprefix(shell).strip()
            break
    else:
        if text.startswith("/bin/sh -c "):
            return "RUN", text.removeprefix("/bin/sh -c ")
    text = text.removesuffix(" # buildkit")
    first, _, rest = text.partition(" ")
    if first.isalpha() and first.isupper():
        return first, rest.removeprefix("/bin/sh -c ")
    return "", text


def _children_of(view: ArtifactView) -> list[dict[str, Any]]:
    return [
        {"digest": child["child_digest"], "platform": platform_of(child), "id": view.children[child["child_digest"]]}
        for child in view.details.children
        if child["child_digest"] in view.children
    ][:_MOST_SHOWN]


def _chosen(platforms: list[dict[str, Any]], asked: str) -> str:
    """The digest of the platform that is looked at: what was asked for, else the first that runs anywhere; '' for none."""
    runs = [each["digest"] for each in platforms if each["platform"] != "unknown/unknown"]
    return asked if asked in runs else next(iter(runs), "")


def _facts(view: ArtifactView) -> list[tuple[Any, str]]:
    details = view.details
    return [(label, text) for label, text in ((_("Created"), details.created), (_("Author"), details.author)) if text]


def _config_of(view: ArtifactView) -> dict[str, Any]:
    """How an image runs, of whatever strangers wrote there."""
    found = view.details.extra.get("config")
    config = found if isinstance(found, dict) else {}
    lines: list[tuple[Any, str]] = []
    for key in _CONFIG_LISTS:
        value = config.get(key)
        if isinstance(value, list):
            lines.append((key, json.dumps(value, ensure_ascii=False)))
    lines += [(label, config[key]) for key, label in _CONFIG_TEXTS if isinstance(config.get(key), str) and config[key]]
    for key, label in _CONFIG_KEYS:
        if isinstance(config.get(key), dict) and config[key]:
            lines.append((label, ", ".join(sorted(map(str, config[key]))[:_MOST_SHOWN])))
    env = (
        [text.partition("=") for text in config.get("Env") or () if isinstance(text, str)]
        if isinstance(config.get("Env"), list)
        else []
    )
    labels = config.get("Labels") if isinstance(config.get("Labels"), dict) else {}
    return {
        "lines": lines,
        "env": [(name, value) for name, _, value in env][:_MOST_SHOWN],
        "labels": sorted((str(key), str(value)) for key, value in (labels or {}).items())[:_MOST_SHOWN],
        "annotations": sorted(view.details.annotations.items())[:_MOST_SHOWN],
    }


def _addition(page: ArtifactPage, name: str) -> str:
    """A file of a chart as text; why there is none, when there is none."""
    try:
        return load_addition(page.repository.id, page.row, name, store.driver())[0]
    except (NotFound, BadRequest):
        return ""
    except (HavenError, StorageError):
        return gettext("The file can't be read at the moment.")


def _stripes(layers: list[LayerView], total: int) -> list[dict[str, str]]:
    """The layers side by side, each as wide as its share of a hundred, with a gap."""
    stripes, at = [], 0.0
    for number, layer in enumerate(layers[:_MOST_SHOWN]):
        width = 100 * layer.size / max(total, 1)
        stripes.append({"x": f"{at:.2f}", "width": f"{max(width - 0.25, 0.05):.2f}", "color": str(number % COLORS + 1)})
        at += width
    return stripes


def _document(row: ManifestRow) -> Mapping[str, Any]:
    found = json.loads(selectors.load_payload(row.id) or b"{}")
    return found if isinstance(found, dict) else {}


def _blobs_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Config and layers of a manifest that was checked when it was pushed."""
    found = [{"digest": str(each["digest"]), "size": int(each["size"]), "number": number}
             for number, each in enumerate([document.get("config"), *(document.get("layers") or ())])
             if isinstance(each, dict) and "digest" in each]  # fmt: skip
    return list({each["digest"]: each for each in reversed(found)}.values())[::-1]


def _place(full_name: str) -> tuple[str, str]:
    project, _, repository = full_name.partition("/")
    return project, repository


def _pretty(payload: bytes) -> str:
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return payload.decode("utf-8", "replace")
