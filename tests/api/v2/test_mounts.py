"""Cross-repository mounts (distribution-spec end-11): never a way to read what one may not pull."""

from __future__ import annotations

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import challenge_of, check, check_created, check_session
from tests.api.v2.conftest import DEVELOPER, GUEST, Person
from tests.support.client import RegistryClient, location_of
from tests.support.oci import absent_digest, random_blob
from tests.support.stack import HavenServer


@pytest.fixture
def target(haven: HavenServer, backstage: Backstage, alice: Person, project: str) -> str:
    """A repository alice may push to."""
    backstage.member(project, alice.name, DEVELOPER)
    return f"{project}/target"


@pytest.fixture
def other_project(haven: HavenServer, project: str) -> str:
    """A private project alice has nothing to do with."""
    return haven.create_project(f"{project}-other")


def test_mount_between_repositories(client: RegistryClient, backstage: Backstage, project: str) -> None:
    blob = random_blob()
    client.push_blob(f"{project}/source", blob)
    used = backstage.contents(project)["used_bytes"]
    check_created(client.mount(f"{project}/target", blob.digest, f"{project}/source"), f"{project}/target", blob.digest)
    assert client.get_blob(f"{project}/target", blob.digest).content == blob.data
    assert backstage.contents(project)["used_bytes"] == used


def test_mount_into_another_project_is_charged_there(
    client: RegistryClient, backstage: Backstage, project: str, other_project: str
) -> None:
    blob = random_blob()
    client.push_blob(f"{project}/source", blob)
    answer = client.mount(f"{other_project}/target", blob.digest, f"{project}/source")
    check_created(answer, f"{other_project}/target", blob.digest)
    assert backstage.contents(other_project)["used_bytes"] == blob.size


def test_mount_without_from_looks_in_the_project(client: RegistryClient, project: str, other_project: str) -> None:
    blob = random_blob()
    client.push_blob(f"{project}/source", blob)
    check_created(client.mount(f"{project}/target", blob.digest), f"{project}/target", blob.digest)
    check_session(client.mount(f"{other_project}/target", blob.digest), 202, f"{other_project}/target", 0)


def test_a_mount_of_nothing_opens_a_session_that_works(client: RegistryClient, project: str) -> None:
    target, blob = f"{project}/target", random_blob()
    for source in (None, f"{project}/source", "nothing/here", "Not/A/Name", "one", "", "../etc"):
        answer = client.start_upload(target, mount=blob.digest, **({"from": source} if source is not None else {}))
        check_session(answer, 202, target, 0)
    check(client.head_blob(target, blob.digest), 404)
    check_created(client.finish_upload(location_of(answer), blob.digest, blob.data), target, blob.digest)


@pytest.mark.parametrize("digest", ["sha256:abc", "nodigest", "md5:" + "0" * 32])
def test_a_mount_of_no_digest(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, digest: str
) -> None:
    with backstage.nothing_stored(project):
        check(client.start_upload(repository, mount=digest), 400, "DIGEST_INVALID")


def test_a_private_source_is_as_if_it_were_not_there(
    client: RegistryClient, alice: Person, backstage: Backstage, target: str, other_project: str, project: str
) -> None:
    """S5, S6: the digest is known, the bytes are not hers."""
    blob = random_blob()
    client.push_blob(f"{other_project}/secret", blob)
    thief = alice.client
    hidden = check_session(thief.mount(target, blob.digest, f"{other_project}/secret"), 202, target, 0)
    missing = check_session(thief.mount(target, absent_digest(), f"{other_project}/secret"), 202, target, 0)
    nowhere = check_session(thief.mount(target, blob.digest, "no-such-project/secret"), 202, target, 0)
    check_session(thief.mount(target, blob.digest), 202, target, 0)
    assert list(hidden.headers) == list(missing.headers) == list(nowhere.headers)
    check(thief.head_blob(target, blob.digest), 404)
    assert backstage.contents(project)["blobs"] == []


def test_a_token_that_does_not_cover_the_source_is_challenged_for_it(
    client: RegistryClient, alice: Person, backstage: Backstage, target: str, other_project: str
) -> None:
    """Her right is there, the token was issued for something else: a token for both mounts, containerd goes on by 401."""
    blob, source = random_blob(), f"{other_project}/source"
    client.push_blob(source, blob)
    backstage.member(other_project, alice.name, GUEST)
    token = backstage.sign(backstage.claims(alice.name, [(target, ["pull", "push"])]))
    answer = client.request(
        "POST",
        f"/v2/{target}/blobs/uploads/",
        params={"mount": blob.digest, "from": source},
        headers={"Authorization": f"Bearer {token}"},
    )
    challenge = challenge_of(answer)
    assert challenge["scope"] == f"repository:{target}:pull,push repository:{source}:pull"
    assert challenge["error"] == "insufficient_scope"
    check(client.head_blob(target, blob.digest), 404)
    check_created(alice.client.mount(target, blob.digest, source), target, blob.digest)


def test_a_member_mounts_with_from(
    client: RegistryClient, alice: Person, backstage: Backstage, target: str, public_project: str
) -> None:
    """The public may pull, so she may mount."""
    blob, source = random_blob(), f"{public_project}/source"
    client.push_blob(source, blob)
    check_created(alice.client.mount(target, blob.digest, source), target, blob.digest)
    assert alice.client.get_blob(target, blob.digest).content == blob.data


def test_mounting_a_deleted_blob(client: RegistryClient, project: str) -> None:
    blob, source, target = random_blob(), f"{project}/source", f"{project}/target"
    client.push_blob(source, blob)
    check(client.delete_blob(source, blob.digest), 202)
    check_session(client.mount(target, blob.digest, source), 202, target, 0)
    check_session(client.mount(target, blob.digest), 202, target, 0)
