"""The token service (distribution: docs/spec/auth), and tokens that are not ours (S8, S22)."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import challenge_of, check, check_created, check_session, without_state
from tests.api.v2.conftest import DEVELOPER, GUEST, PASSWORD, Person
from tests.api.v2.raw import Wire, basic, request_bytes, send
from tests.api.v2.test_uploads import begin_recorded
from tests.support.client import RegistryClient
from tests.support.oci import digest_of, random_image
from tests.support.stack import HavenServer


def ask(haven: HavenServer, query: object, person: Person | None = None) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    auth = (person.name, PASSWORD) if person else None
    return session.get(f"{haven.url}/service/token", params=query, auth=auth, timeout=20)  # type: ignore[arg-type]


def granted(answer: requests.Response) -> list[dict[str, Any]]:
    """The access of an issued token."""
    assert answer.status_code == 200, answer.text
    access: list[dict[str, Any]] = jwt.decode(answer.json()["token"], options={"verify_signature": False})["access"]
    return access


def test_the_answer(haven: HavenServer, alice: Person) -> None:
    answer = ask(
        haven, {"service": "haven-registry", "account": "alice", "client_id": "docker", "offline_token": "true"}, alice
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    assert body["token"] == body["access_token"]
    assert body["expires_in"] >= 60
    assert "refresh_token" not in body  # docker then keeps name and password, as it should
    issued = datetime.strptime(body["issued_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - issued) < timedelta(seconds=30)
    assert len(answer.content) < 4096
    assert granted(answer) == []  # a login: nothing asked, nothing granted
    claims = jwt.decode(body["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"], claims["exp"] - claims["iat"]) == (
        "alice",
        "haven-registry",
        body["expires_in"],
    )
    assert jwt.get_unverified_header(body["token"])["alg"] == "ES256"


def test_scopes_repeated_and_in_one_value(
    haven: HavenServer, alice: Person, backstage: Backstage, project: str
) -> None:
    backstage.member(project, alice.name, DEVELOPER)
    one, two = f"repository:{project}/one:push,pull", f"repository:{project}/two:pull"
    expected = [
        {"type": "repository", "name": f"{project}/one", "actions": ["pull", "push"]},
        {"type": "repository", "name": f"{project}/two", "actions": ["pull"]},
    ]
    for query in ([("scope", one), ("scope", two)], [("scope", f"{one} {two}")]):
        answer = ask(haven, query, alice)
        assert granted(answer) == expected
        assert answer.json()["scope"] == f"repository:{project}/one:pull,push repository:{project}/two:pull"
    merged = [("scope", f"repository:{project}/one:pull"), ("scope", f"repository:{project}/one:push,delete,fly")]
    assert granted(ask(haven, merged, alice)) == expected[:1]
    push_alone = ask(haven, {"scope": f"repository:{project}/one:push"}, alice)
    assert granted(push_alone) == expected[:1]  # push implies pull
    plugin = ask(haven, {"scope": f"repository(plugin):{project}/two:pull"}, alice)
    assert granted(plugin) == expected[1:]
    everything = ask(haven, {"scope": f"repository:{project}/one:*"}, alice)
    assert granted(everything) == expected[:1]


def test_what_may_not_be_is_left_out(haven: HavenServer, alice: Person, backstage: Backstage, project: str) -> None:
    """S8: never an error, never a hint."""
    backstage.member(project, alice.name, GUEST)
    other = haven.create_project(f"{project}2")
    names = [
        f"{other}/app", "no-such-project/app", f"{project}2", project, f"{project}/", f"/{project}/app", f"{project}//app",
        f"{project}/../{other}/app", f"{project}/%2e%2e/app", f"{project}%2fapp", f"{project.upper()}/app", f"{project}/App",
        f"{project}/app\n", f"{project}/app/", f"{other}:{project}/app", f"{project}/a b", f"{project}/\0", "*", f"{project}/*",
    ]  # fmt: skip
    for name in names:
        for entry in granted(ask(haven, {"scope": f"repository:{name}:pull,push,delete"}, alice)):
            assert entry["actions"] == [], (name, entry)
    mine = granted(ask(haven, {"scope": f"repository:{project}/app:pull,push,delete"}, alice))
    assert mine == [{"type": "repository", "name": f"{project}/app", "actions": ["pull"]}]
    for scope in (
        "",
        ":",
        "::",
        "x",
        "repository",
        "repository:",
        "repository::pull",
        "registry:everything:*",
        "a:b:c",
        "\0:\0:\0",
    ):
        assert not [entry for entry in granted(ask(haven, {"scope": scope}, alice)) if entry["actions"]]
    hidden = granted(ask(haven, {"scope": f"repository:{other}/app:pull"}, alice))
    missing = granted(ask(haven, {"scope": f"repository:{other[::-1]}/app:pull"}, alice))
    assert [entry["actions"] for entry in hidden] == [entry["actions"] for entry in missing]


def test_a_token_holds_a_bounded_number_of_scopes(haven: HavenServer, alice: Person) -> None:
    scopes = [("scope", f"repository:library/r{n}:pull") for n in range(150)]
    assert len(granted(ask(haven, scopes, alice))) == 64


def test_nobody_and_the_public(haven: HavenServer, project: str, public_project: str) -> None:
    query = [("scope", f"repository:{name}/app:pull,push") for name in (project, public_project)]
    answer = ask(haven, query)
    assert [entry["actions"] for entry in granted(answer)] == [[], ["pull"]]
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert claims["sub"] == ""
    assert ask(haven, {}).status_code == 401  # nobody asking for nothing: a login that was none


def test_wrong_credentials_are_never_an_anonymous_token(haven: HavenServer, alice: Person, public_project: str) -> None:
    scope = f"repository:{public_project}/app:pull"
    url = f"{haven.url}/service/token"
    for authorization in (
        basic(alice.name, "Wrong-password-2"),
        basic("nobody", PASSWORD),
        "Basic !",
        "Bearer x",
        "Basic",
    ):
        answer = requests.get(url, params={"scope": scope}, headers={"Authorization": authorization}, timeout=20)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["code"] == "UNAUTHORIZED"
        assert "WWW-Authenticate" in answer.headers


def post(haven: HavenServer, **form: str) -> requests.Response:
    return requests.post(f"{haven.url}/service/token", data=form, timeout=20)


def test_post(haven: HavenServer, alice: Person, backstage: Backstage, project: str) -> None:
    backstage.member(project, alice.name, DEVELOPER)
    scope = f"repository:{project}/one:pull,push repository:{project}/two:pull"
    form = {"grant_type": "password", "service": "haven-registry", "client_id": "containerd", "access_type": "offline"}
    answer = post(haven, **form, scope=scope, username=alice.name, password=PASSWORD)
    assert [entry["actions"] for entry in granted(answer)] == [["pull", "push"], ["pull"]]
    assert answer.json()["scope"] == scope
    assert "refresh_token" not in answer.json()
    assert post(haven, **form, scope=scope, username=alice.name, password="Wrong-password-1").status_code == 401
    assert post(haven, **form, scope=scope).status_code == 401
    assert post(haven, grant_type="refresh_token", refresh_token="x", scope=scope).status_code == 401
    assert post(haven, scope=scope, username=alice.name, password=PASSWORD).status_code == 400
    assert post(haven, grant_type="authorization_code").status_code == 400


def test_a_chunked_form(haven: HavenServer, alice: Person) -> None:
    pieces = [b"grant_type=password&username=", f"{alice.name}&password={PASSWORD}".encode()]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{haven.url}/service/token", data=iter(pieces), headers=headers, timeout=20)
    assert granted(answer) == []


def test_a_form_that_is_too_large_or_no_text(haven: HavenServer) -> None:
    for size in (64 * 1024 + 1, 200_000, 6_000_000):
        answer = requests.post(f"{haven.url}/service/token", data=b"a" * size, timeout=20)
        assert answer.status_code == 413
        assert answer.json()["errors"][0]["code"] == "SIZE_INVALID"
    assert requests.post(f"{haven.url}/service/token", data=b"grant_type=\xff", timeout=20).status_code == 400
    assert requests.post(f"{haven.url}/service/token", data="&".join(["a=b"] * 300), timeout=20).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_of_the_service(haven: HavenServer, method: str) -> None:
    answer = send(haven, method, "/service/token", "Content-Length: 0", authorization="")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")


def test_guesses_are_slowed_down(haven: HavenServer, backstage: Backstage) -> None:
    """By Basic on both, and by form; the right password is let through all the same."""
    backstage.ask("user", name="guessed", password=PASSWORD)
    statuses = []
    for number in range(16):
        answer = send(haven, "GET", "/service/token", authorization=basic("guessed", f"Wrong-guess-{number}"))
        statuses.append(answer.status)
        if answer.status == 429:
            assert int(answer.headers["Retry-After"]) >= 1
    assert 429 in statuses
    assert set(statuses) == {401, 429}
    statuses = []
    for number in range(16):
        answer = send(haven, "GET", "/v2/", authorization=basic("guessed", f"Wrong-again-{number}"))
        statuses.append(answer.status)
        if answer.status == 429:
            assert answer.codes == ["TOOMANYREQUESTS"]
            assert int(answer.headers["Retry-After"]) >= 1
    assert 429 in statuses


# -- tokens that are not ours -----------------------------------------------------------------------------------------


def _segment(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _none(backstage: Backstage, claims: dict[str, Any]) -> str:
    return f"{_segment({'alg': 'none', 'typ': 'JWT', 'kid': backstage.key.kid})}.{_segment(claims)}."


def _hmac_with_the_public_key(backstage: Backstage, claims: dict[str, Any]) -> str:
    import hashlib
    import hmac

    head = f"{_segment({'alg': 'HS256', 'typ': 'JWT', 'kid': backstage.key.kid})}.{_segment(claims)}"
    signature = hmac.digest(backstage.key.public.encode(), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _own_key(backstage: Backstage, claims: dict[str, Any], **headers: Any) -> str:
    private = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    given = {
        "kid": backstage.key.kid,
        "jwk": jwk,
        "jku": "http://127.0.0.1:1/",
        "x5u": "http://127.0.0.1:1/",
        **headers,
    }
    return jwt.encode(claims, private, algorithm="ES256", headers={k: v for k, v in given.items() if v is not None})


def _tampered(backstage: Backstage, claims: dict[str, Any]) -> str:
    head, _, signature = backstage.sign(claims | {"access": []}).split(".")
    return f"{head}.{_segment(claims)}.{signature}"


NOW = time.time
FORGED = {
    "alg none": _none,
    "HS256 with the public key": _hmac_with_the_public_key,
    "another key under our kid": _own_key,
    "another key with its jwk": lambda b, c: _own_key(b, c, kid=None),
    "unknown kid": lambda b, c: b.sign(c, headers={"kid": "unknown"}),
    "kid is SQL": lambda b, c: b.sign(c, headers={"kid": "x' OR '1'='1"}),
    "kid is a path": lambda b, c: b.sign(c, headers={"kid": "../../../../dev/null"}),
    "payload changed": _tampered,
    "signature cut": lambda b, c: b.sign(c)[:-4],
    "signature gone": lambda b, c: b.sign(c).rpartition(".")[0] + ".",
    "another audience": lambda b, c: b.sign(c | {"aud": "haven-other"}),
    "another issuer": lambda b, c: b.sign(c | {"iss": "somebody"}),
    "expired": lambda b, c: b.sign(c | {"iat": int(NOW()) - 900, "exp": int(NOW()) - 300}),
    "not yet": lambda b, c: b.sign(c | {"nbf": int(NOW()) + 300}),
    "no exp": lambda b, c: b.sign({k: v for k, v in c.items() if k != "exp"}),
    "exp is text": lambda b, c: b.sign(c | {"exp": "9999999999"}),
    "no sub": lambda b, c: b.sign({k: v for k, v in c.items() if k != "sub"}),
    "access is an object": lambda b, c: b.sign(c | {"access": c["access"][0]}),
    "access holds text": lambda b, c: b.sign(c | {"access": ["repository:a:pull"]}),
    "actions are text": lambda b, c: b.sign(c | {"access": [c["access"][0] | {"actions": "pull,push"}]}),
    "an old epoch": lambda b, c: b.sign(c | {"epoch": c["epoch"] + 1}),
    "a user that is not": lambda b, c: b.sign(c | {"uid": 10**9}),
    "a robot that is not": lambda b, c: b.sign(c | {"kind": "robot", "uid": 10**9}),
    "another kind": lambda b, c: b.sign(c | {"kind": "group"}),
    "garbage": lambda b, c: "a.b.c",
    "empty parts": lambda b, c: "..",
    "nested": lambda b, c: _segment({"alg": "ES256", "kid": {"a": ["b"]}}) + "." + _segment(c) + ".x",
}


@pytest.fixture(scope="module")
def private_repository(haven: HavenServer) -> str:
    name = f"{haven.create_project('tokens')}/app"
    haven.client().push(name, random_image(), "v1")
    return name


def with_token(haven: HavenServer, token: str, method: str, path: str):  # type: ignore[no-untyped-def]
    return send(haven, method, path, "Content-Length: 0", authorization=f"Bearer {token}")


def test_one_of_ours(haven: HavenServer, backstage: Backstage, private_repository: str) -> None:
    """The proof that the others fail for what they are said to be."""
    token = backstage.sign(backstage.claims(haven.admin_user, [(private_repository, ["pull", "push"])]))
    assert with_token(haven, token, "GET", f"/v2/{private_repository}/manifests/v1").status == 200
    assert with_token(haven, token, "GET", "/v2/").status == 200


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_token(haven: HavenServer, backstage: Backstage, private_repository: str, case: str) -> None:
    claims = backstage.claims(haven.admin_user, [(private_repository, ["pull", "push", "delete"])])
    token = FORGED[case](backstage, claims)
    project = private_repository.partition("/")[0]
    with backstage.nothing_stored(project):
        for method, path in (
            ("GET", "/v2/"),
            ("GET", "/v2/_catalog"),
            ("GET", f"/v2/{private_repository}/manifests/v1"),
            ("POST", f"/v2/{private_repository}/blobs/uploads/"),
            ("DELETE", f"/v2/{private_repository}/manifests/v1"),
        ):
            answer = with_token(haven, token, method, path)
            assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"]), path
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_resource_class_grants_nothing(haven: HavenServer, backstage: Backstage, private_repository: str) -> None:
    access = [{"type": "repository(plugin)", "name": private_repository, "actions": ["pull"]}]
    token = backstage.sign(backstage.claims(haven.admin_user) | {"access": access})
    answer = with_token(haven, token, "GET", f"/v2/{private_repository}/manifests/v1")
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_a_token_longer_than_a_header_may_be(haven: HavenServer) -> None:
    with Wire(haven.host_port) as wire:
        wire.send(request_bytes(haven, "GET", "/v2/", authorization="Bearer " + "x" * 40_000))
        answer = wire.receive()
    assert answer.status in (400, 401, 431)
    assert answer.json["errors"]


def test_an_upload_begun_in_time_ends_well(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, project: str, repository: str, alice: Person
) -> None:
    """A slow layer: the token was good when the session began, an hour ago, and is long over when its last byte comes."""
    backstage.member(project, alice.name, DEVELOPER)
    begun_at = int(time.time()) - 3600
    old = {"iat": begun_at - 60, "nbf": begun_at - 70, "exp": begun_at + 240}
    expired = "Bearer " + backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull", "push"])], **old))
    location = without_state(begin_recorded(client, repository))
    upload = location.rpartition("/")[2]
    data = b"slow" * 1000
    headers = {"Authorization": expired}

    too_late = client.request("PATCH", location, headers=headers, data=data)  # the session is younger than the token
    assert challenge_of(too_late)["error"] == "invalid_token"
    backstage.ask("age_upload", upload=upload, seconds=3600)

    check_session(client.request("PATCH", location, headers=headers, data=data), 202, repository, len(data))
    check_session(client.request("GET", location, headers=headers), 204, repository, len(data))
    pull_only = backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull"])], **old))
    thief = backstage.sign(backstage.claims(alice.name, [(repository, ["pull", "push"])], **old))
    for token, status in ((pull_only, 401), (thief, 404)):
        answer = client.request(
            "PUT", location, headers={"Authorization": f"Bearer {token}"}, params={"digest": digest_of(data)}
        )
        check(answer, status)
    for method, path in (
        ("POST", "blobs/uploads/"),
        ("GET", "manifests/v1"),
        ("PUT", "manifests/v1"),
        ("GET", f"blobs/{digest_of(data)}"),
    ):
        answer = client.request(method, f"/v2/{repository}/{path}", headers=headers)
        assert challenge_of(answer)["error"] == "invalid_token"
    done = client.request("PUT", location, headers=headers, params={"digest": digest_of(data)})
    check_created(done, repository, digest_of(data))
    again = client.request("PUT", location, headers=headers, params={"digest": digest_of(data)})
    check_created(again, repository, digest_of(data))


def test_an_expired_token_is_over_when_a_session_would_be(
    client: RegistryClient, backstage: Backstage, haven: HavenServer, repository: str
) -> None:
    """A session that is kept alive for days does not keep its first token alive."""
    begun_at = int(time.time()) - 30 * 3600
    old = {"iat": begun_at - 60, "nbf": begun_at - 70, "exp": begun_at + 240}
    token = backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull", "push"])], **old))
    location = without_state(begin_recorded(client, repository))
    backstage.ask("age_upload", upload=location.rpartition("/")[2], seconds=30 * 3600)
    answer = client.request("PATCH", location, headers={"Authorization": f"Bearer {token}"}, data=b"x")
    assert challenge_of(answer)["error"] == "invalid_token"
    check_session(client.upload_status(location), 204, repository, 0)
