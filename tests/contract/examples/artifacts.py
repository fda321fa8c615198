"""Repositories, artifacts and what lies below them. `private/team/app` has an image `v1`, signed."""

import json

from django.http import HttpResponse

from haven_core.labels.services import create_label
from haven_registry import store
from tests.contract.world import World, example
from tests.support.documents import descriptor, image
from tests.support.site import Site

PLACE = {"project_name": "private", "repository_name": "team/app"}
V1 = {**PLACE, "reference": "v1"}


def push(world: World) -> None:
    """The image and a referrer."""
    site = Site(store.driver())
    site.repository = site.new_repository(world.projects["private"], "team/app")
    config = {"os": "linux", "architecture": "amd64", "history": [{"created_by": "RUN x"}]}
    blob = site.upload(json.dumps(config).encode())
    subject = site.put(image(blob, blob), "v1").digest
    named = descriptor("application/vnd.oci.image.manifest.v1+json", subject)
    site.put(image(blob, subject=named, artifactType="application/vnd.cncf.notary.signature"))


@example("listAllRepositories")
def repositories_of_all(world: World) -> HttpResponse:
    push(world)
    return world.call("listAllRepositories", user="guest")


@example("listRepositories")
def repositories(world: World) -> HttpResponse:
    push(world)
    return world.call("listRepositories", project_name="private", user="guest")


@example("getRepository")
def repository(world: World) -> HttpResponse:
    push(world)
    return world.call("getRepository", **PLACE, user="guest")


@example("updateRepository")
def describe(world: World) -> HttpResponse:
    push(world)
    return world.call("updateRepository", {"description": "ours"}, **PLACE, user="owner")


@example("deleteRepository")
def drop_repository(world: World) -> HttpResponse:
    push(world)
    return world.call("deleteRepository", **PLACE, user="owner")


@example("listArtifacts")
def artifacts(world: World) -> HttpResponse:
    push(world)
    return world.call("listArtifacts", query={"q": "tags=v1"}, **PLACE, user="guest")


@example("CopyArtifact")
def copy(world: World) -> HttpResponse:
    push(world)
    target = {"project_name": "public", "repository_name": "copy"}
    return world.call("CopyArtifact", query={"from": "private/team/app:v1"}, **target, user="owner")


@example("getArtifact")
def artifact(world: World) -> HttpResponse:
    push(world)
    return world.call("getArtifact", **V1, user="guest")


@example("deleteArtifact")
def drop(world: World) -> HttpResponse:
    push(world)
    return world.call("deleteArtifact", **V1, user="owner")


@example("createTag")
def one_more_tag(world: World) -> HttpResponse:
    push(world)
    return world.call("createTag", {"name": "v2"}, **V1, user="owner")


@example("listTags")
def tags(world: World) -> HttpResponse:
    push(world)
    return world.call("listTags", **V1, user="guest")


@example("deleteTag")
def drop_tag(world: World) -> HttpResponse:
    push(world)
    return world.call("deleteTag", **V1, tag_name="v1", user="owner")


@example("listAccessories")
def accessories(world: World) -> HttpResponse:
    push(world)
    return world.call("listAccessories", **V1, user="guest")


@example("getAddition")
def build_history(world: World) -> HttpResponse:
    push(world)
    return world.call("getAddition", **V1, addition="build_history", user="guest")


@example("addLabel")
def label(world: World) -> HttpResponse:
    push(world)
    label_id = create_label(project_id=world.projects["private"], name="ours")
    return world.call("addLabel", {"id": label_id}, **V1, user="owner")


@example("removeLabel")
def drop_label(world: World) -> HttpResponse:
    push(world)
    label_id = create_label(project_id=world.projects["private"], name="ours")
    world.call("addLabel", {"id": label_id}, **V1, user="owner")
    return world.call("removeLabel", **V1, label_id=label_id, user="owner")


@example("listArtifactsOfProject")
def artifacts_of_project(world: World) -> HttpResponse:
    push(world)
    query = {"latest_in_repository": "true", "q": "media_type=application/vnd.oci.image.config.v1%2Bjson"}
    return world.call("listArtifactsOfProject", query=query, project_name_or_id="private", user="guest")


@example("getIcon")
def icon(world: World) -> HttpResponse:
    push(world)
    digest = world.call("getArtifact", **V1, user="guest").json()["icon"]
    return world.call("getIcon", digest=digest)
