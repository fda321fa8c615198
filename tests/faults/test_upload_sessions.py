"""Upload sessions that are shared, cut short or left behind."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import RegistryClient, expect, location_of, range_end
from tests.support.harm import HarmedStack, eventually
from tests.support.ledger import Ledger
from tests.support.oci import Blob, image, random_blob
from tests.support.raw_http import RawRequest

MIB = 1024 * 1024
OCTETS = "application/octet-stream"


def begin(
    stack: HarmedStack, client: RegistryClient, repository: str, method: str = "PATCH", query: str = "", **head: str
) -> tuple[str, RawRequest]:
    """A session, and a request to it that has sent its head."""
    started = expect(client.start_upload(repository), 202)
    location = location_of(started)
    return location, proceed(stack, started.request.headers["Authorization"], location, method, query, **head)


def proceed(
    stack: HarmedStack, authorization: str, location: str, method: str = "PATCH", query: str = "", **head: str
) -> RawRequest:
    headers = {name.replace("_", "-"): value for name, value in head.items()}
    headers |= {"Authorization": authorization, "Content-Type": OCTETS}
    return RawRequest(stack.address, method, location.removeprefix(stack.url) + query, headers)


@pytest.mark.parametrize("vanish", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_gone_in_a_patch_keeps_what_came(
    stack: HarmedStack, repository: str, ledger: Ledger, framing: str, vanish: str
) -> None:
    client = stack.client()
    blob = random_blob(3 * MIB)
    head = {"Content_Length": str(blob.size)} if framing == "length" else {"Transfer_Encoding": "chunked"}
    location, request = begin(stack, client, repository, **head)
    request.send(blob.data[:MIB])
    eventually(lambda: _staged(stack) >= MIB)
    getattr(request, vanish)()

    eventually(lambda: client.upload_status(location).headers.get("Range") != "0-0")
    offset = range_end(client.upload_status(location)) + 1
    assert offset == MIB, "all that reached the registry"
    rest = blob.data[offset:]
    expect(client.patch(location, rest, f"{offset}-{blob.size - 1}"), 202)
    expect(client.finish_upload(location, blob.digest), 201)
    ledger.blob(repository, blob)
    ledger.verify(client)
    stack.assert_clean()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_gone_in_a_put_publishes_nothing(stack: HarmedStack, repository: str, framing: str) -> None:
    """The PUT asked for the digest of the whole; the digest of the part would be a blob nobody named."""
    client = stack.client()
    blob = random_blob(3 * MIB)
    part = Blob(blob.data[:MIB])
    head = {"Content_Length": str(blob.size)} if framing == "length" else {"Transfer_Encoding": "chunked"}
    location, request = begin(stack, client, repository, "PUT", f"?digest={blob.digest}", **head)
    request.send(part.data)
    eventually(lambda: _staged(stack) >= MIB)
    request.close()

    eventually(lambda: _staged(stack) == 0 or client.upload_status(location).headers.get("Range") != "0-0")
    for digest in (blob.digest, part.digest):
        assert client.head_blob(repository, digest).status_code == 404
    expect(client.push_blob(repository, blob), 201)
    assert expect(client.get_blob(repository, blob.digest), 200).content == blob.data
    stack.assert_settled()


def test_body_shorter_than_it_says(stack: HarmedStack, repository: str) -> None:
    """Half-closed. What the gateway has passed on is kept and counted; the rest of a buffer goes with the client."""
    client = stack.client()
    data = random_blob(MIB + 1000).data
    location, request = begin(stack, client, repository, Content_Length=str(2 * MIB))
    request.send(data)
    request.shutdown()
    request.close()

    eventually(lambda: range_end(client.upload_status(location)) >= MIB // 2)
    assert range_end(client.upload_status(location)) < len(data)
    assert client.finish_upload(location, random_blob().digest).status_code == 400  # a digest these bytes don't have
    assert client.upload_status(location).status_code == 404
    stack.assert_settled()


def test_two_writers_of_one_session(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """One is counted, the other told; no byte of one lies among those of the other."""
    client = stack.client()
    mine, other = random_blob(2 * MIB), random_blob(2 * MIB)
    started = expect(client.start_upload(repository), 202)
    location, authorization = location_of(started), started.request.headers["Authorization"]
    first = proceed(stack, authorization, location, Content_Length=str(mine.size))
    first.send(mine.data[:MIB])
    eventually(lambda: _staged(stack) >= MIB)
    second = proceed(stack, authorization, location, Content_Length=str(other.size))
    refusal = second.answer()  # before its body
    assert refusal.status in (409, 416)
    assert refusal.headers["Location"]
    second.close()
    first.send(mine.data[MIB:])
    assert first.answer().status == 202
    first.close()

    expect(client.finish_upload(location, mine.digest), 201)
    ledger.blob(repository, mine)
    ledger.verify(client)
    assert client.head_blob(repository, other.digest).status_code == 404
    stack.assert_clean()


def test_race_of_two_writers_has_one_winner(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """At once, again and again: every session ends with the bytes of exactly one of them.

    The one that loses may have read the session before the other was recorded, and get the staged bytes' lock after it.
    """
    client = stack.client()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            blobs = [random_blob(100_000), random_blob(100_000)]
            location = location_of(expect(client.start_upload(repository), 202))
            barrier = threading.Barrier(2)

            def write(blob: Blob, barrier: threading.Barrier = barrier, location: str = location) -> int:
                sender = client.clone()
                sender._authorisations = dict(client._authorisations)
                barrier.wait()
                return sender.patch(location, blob.data, f"0-{blob.size - 1}").status_code

            statuses = list(pool.map(write, blobs))
            assert sorted(statuses) in ([202, 409], [202, 416]), statuses
            winner = blobs[statuses.index(202)]
            expect(client.finish_upload(location, winner.digest), 201)
            ledger.blob(repository, winner)

    ledger.verify(client)
    stack.assert_settled()


def test_ten_clients_push_the_same_layer(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """Ten times 201, one object, charged once."""
    client = stack.client()
    layer = random_blob(2 * MIB)
    expect(client.push_blob(repository, random_blob()), 201)  # the repository exists
    before = _used(stack, repository)
    stored = len(stack.assert_settled()["objects"])
    barrier = threading.Barrier(10)

    def push(_: int) -> int:
        sender = stack.client()
        location = location_of(expect(sender.start_upload(repository), 202))
        barrier.wait()
        return sender.finish_upload(location, layer.digest, layer.data).status_code

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(push, range(10))) == [201] * 10
    ledger.blob(repository, layer)
    manifest = image([layer])
    client.push(repository, manifest, "ten")
    ledger.manifest(repository, manifest, "ten")

    ledger.verify(client)
    config = manifest.blobs[0]
    assert _used(stack, repository) - before == layer.size + config.size + manifest.size
    assert len(stack.assert_settled()["objects"]) == stored + 2


def _staged(stack: HarmedStack) -> int:
    """Bytes of all staged files."""
    return sum(path.stat().st_size for path in (stack.data_dir / "storage").rglob("*.upload"))


def _used(stack: HarmedStack, repository: str) -> int:
    """What the project is charged, from the database: the API that tells it is not here yet."""
    statement = (
        "import django; django.setup()\n"
        "from haven_core.models import Project, ProjectQuota\n"
        f"project = Project.objects.get(name={repository.partition('/')[0]!r})\n"
        "print(ProjectQuota.objects.get(project_id=project.id).used_bytes)"
    )
    done = stack.command("-c", statement, extra={"DJANGO_SETTINGS_MODULE": "haven_project.settings"})
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
