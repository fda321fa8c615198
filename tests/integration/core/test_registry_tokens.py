"""Tokens and their keys: what passes, and every forgery we know of."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from haven_core.accounts import actors
from haven_core.accounts.models import User
from haven_core.accounts.services import deactivate, set_password
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.sealing import Unsealable, unseal
from haven_core.tokens import grants, keys
from haven_core.tokens.grants import TokenExpired, TokenInvalid, current_actor, issue_token, verify_token
from haven_core.tokens.models import SigningKey
from haven_core.tokens.scopes import Scope

pytestmark = pytest.mark.django_db(transaction=True)

READ = Scope("repository", "p/r", frozenset({"pull"}))


def genuine(actor: Actor, **changes: Any) -> tuple[dict[str, Any], str, ec.EllipticCurvePrivateKey]:
    """The payload of a genuine token with `changes` (None removes), the key id and the key that really sign."""
    token = issue_token(actor, [READ]).token
    payload = jwt.decode(token, options={"verify_signature": False}) | changes
    kid, private = keys.signing_key()
    return {name: value for name, value in payload.items() if value is not None}, kid, private


def signed(payload: dict[str, Any], kid: str, private: Any, **headers: Any) -> str:
    return jwt.encode(payload, private, algorithm="ES256", headers={"kid": kid, **headers})


def raw(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_a_token_says_who_and_what(owner: Actor) -> None:
    issued = issue_token(owner, [READ, Scope("registry", "catalog", frozenset({"*"}))])
    claims = verify_token(issued.token)
    assert (claims.sub, claims.kind, claims.subject_id, claims.epoch) == ("owner", "user", owner.user_id, 0)
    assert claims.exp - claims.iat == issued.expires_in == 1800
    assert claims.actions_on("p/r") == {"pull"}
    assert claims.actions_on("p/r2") == claims.actions_on("p") == set()
    assert claims.may_list_catalog
    assert current_actor(claims) == owner
    header = jwt.get_unverified_header(issued.token)
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    payload = jwt.decode(issued.token, options={"verify_signature": False})
    assert (payload["iss"], payload["aud"]) == ("haven-token-issuer", "haven-registry")
    assert payload["nbf"] == payload["iat"] - 10
    assert payload["access"][0] == {"type": "repository", "name": "p/r", "actions": ["pull"]}


def test_nobodys_token() -> None:
    claims = verify_token(issue_token(ANONYMOUS, []).token)
    assert (claims.sub, claims.kind, dict(claims.access)) == ("", "anonymous", {})
    assert not claims.may_list_catalog
    assert current_actor(claims) is ANONYMOUS


def test_lifetime_is_bounded_by_the_setting(owner: Actor) -> None:
    assert issue_token(owner, [], timedelta(minutes=5)).expires_in == 300
    assert issue_token(owner, [], timedelta(days=5)).expires_in == 1800


def test_the_signature_is_checked_once(
    owner: Actor, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries
) -> None:
    token = issue_token(owner, [READ]).token
    first = verify_token(token)
    monkeypatch.setattr(jwt, "decode", None)
    with django_assert_num_queries(0):
        assert verify_token(token) is first


def test_expiry_is_looked_at_each_time(owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = issue_token(owner, [READ], timedelta(minutes=2))
    claims = verify_token(issued.token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 120 + 58)
    assert verify_token(issued.token) is claims
    monkeypatch.setattr(time, "time", lambda: now + 120 + 62)
    with pytest.raises(TokenExpired) as expired:
        verify_token(issued.token)
    assert expired.value.claims == claims


def test_an_expired_token_not_seen_before_is_genuine_too(owner: Actor) -> None:
    past = int(time.time()) - 3600
    payload, kid, private = genuine(owner, iat=past, nbf=past, exp=past + 60)
    with pytest.raises(TokenExpired) as expired:
        verify_token(signed(payload, kid, private))
    assert expired.value.claims.subject_id == owner.user_id


def _none(payload: dict[str, Any], kid: str, _private: Any) -> str:
    return raw({"alg": "none", "typ": "JWT", "kid": kid}, payload)


def _hmac_with_public_key(payload: dict[str, Any], kid: str, private: Any) -> str:
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    unsigned = raw({"alg": "HS256", "typ": "JWT", "kid": kid}, payload).rpartition(".")[0]
    mac = hmac.digest(pem, unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _foreign_key(payload: dict[str, Any], kid: str, _private: Any) -> str:
    return signed(payload, kid, ec.generate_private_key(ec.SECP256R1()))


def _embedded_key(payload: dict[str, Any], kid: str, _private: Any) -> str:
    mine = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key()))
    return signed(
        payload, kid, mine, jwk=jwk, jku="https://attacker.example/jwks", x5c=["AAAA"], x5u="https://a.example"
    )


def _embedded_key_and_own_kid(payload: dict[str, Any], _kid: str, _private: Any) -> str:
    mine = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key())) | {"kid": "mine"}
    return signed(payload, "mine", mine, jwk=jwk)


def _p384(payload: dict[str, Any], kid: str, _private: Any) -> str:
    return jwt.encode(payload, ec.generate_private_key(ec.SECP384R1()), algorithm="ES384", headers={"kid": kid})


def _kid(value: Any) -> Callable[..., str]:
    def make(payload: dict[str, Any], _kid: str, private: Any) -> str:
        token = signed(payload, _kid, private)
        _, body, signature = token.split(".")
        header = json.dumps({"alg": "ES256", "typ": "JWT"} | ({} if value is None else {"kid": value})).encode()
        return ".".join([base64.urlsafe_b64encode(header).rstrip(b"=").decode(), body, signature])

    return make


def _changed_payload(payload: dict[str, Any], kid: str, private: Any) -> str:
    head, _, signature = signed(payload, kid, private).split(".")
    stolen = json.dumps(payload | {"uid": 1}).encode()
    return ".".join([head, base64.urlsafe_b64encode(stolen).rstrip(b"=").decode(), signature])


def _null_signature(payload: dict[str, Any], kid: str, _private: Any) -> str:
    return raw({"alg": "ES256", "typ": "JWT", "kid": kid}, payload, bytes(64))


@pytest.mark.parametrize(
    "forge",
    [
        _none, _hmac_with_public_key, _foreign_key, _embedded_key, _embedded_key_and_own_kid, _p384, _changed_payload,
        _null_signature, _kid("../../etc/passwd"), _kid("' OR 1=1 --"), _kid("x\x00"), _kid(["a"]), _kid(7), _kid(None),
        lambda *_: "", lambda *_: "a.b.c", lambda *_: "....", lambda *_: "ü.ü.ü", lambda *_: "x" * 20_000,
        lambda payload, kid, private: signed(payload, kid, private)[:-4],
        lambda payload, kid, private: signed(payload, kid, private) + " ",
        lambda payload, kid, private: raw({"alg": "ES256", "kid": kid}, []) if payload else "",  # type: ignore[arg-type]
        lambda *_: base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.AA",
    ],
)  # fmt: skip
def test_forged_tokens(owner: Actor, forge: Callable[..., str]) -> None:
    with pytest.raises(TokenInvalid):
        verify_token(forge(*genuine(owner)))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"}, {"aud": None}, {"iss": "harbor-token-issuer"}, {"iss": None}, {"sub": None}, {"sub": 7},
        {"exp": None}, {"exp": "never"}, {"exp": 1e400}, {"iat": None}, {"iat": True}, {"jti": None}, {"jti": 5},
        {"nbf": int(time.time()) + 3600}, {"iat": int(time.time()) + 3600}, {"nbf": None},
        {"access": None}, {"access": {}}, {"access": {"repository:p/r": ["pull"]}}, {"access": "repository:p/r:pull"},
        {"access": ["repository:p/r:pull"]}, {"access": [{"type": "repository", "name": "p/r", "actions": "pull"}]},
        {"access": [{"type": "repository", "name": "p/r", "actions": [["pull"]]}]},
        {"access": [{"type": "repository", "name": 7, "actions": ["pull"]}]}, {"access": [{"name": "p/r"}]},
        {"kind": None}, {"kind": "root"}, {"uid": None}, {"uid": "1"}, {"uid": True}, {"epoch": None}, {"epoch": 0.0},
    ],
)  # fmt: skip
def test_claims_of_wrong_content_even_if_signed(owner: Actor, changes: dict[str, Any]) -> None:
    payload, kid, private = genuine(owner, **changes)
    with pytest.raises(TokenInvalid):
        verify_token(signed(payload, kid, private))


def test_resource_classes_do_not_become_repositories(owner: Actor) -> None:
    access = [{"type": "repository(plugin)", "name": "p/r", "actions": ["push"]}]
    payload, kid, private = genuine(owner, access=access)
    assert verify_token(signed(payload, kid, private)).actions_on("p/r") == set()


def test_revocation(owner: Actor, make_user: Callable[..., Actor], django_assert_num_queries) -> None:
    other = make_user("other")
    mine, theirs = (verify_token(issue_token(actor, []).token) for actor in (owner, other))
    with django_assert_num_queries(2):
        assert [current_actor(mine), current_actor(theirs)] == [owner, other]
    with django_assert_num_queries(0):
        assert [current_actor(mine), current_actor(theirs)] == [owner, other]
    set_password(user_id=owner.user_id, password="Another1horse")
    assert [current_actor(mine), current_actor(theirs)] == [None, other]
    deactivate(user_id=other.user_id)
    assert current_actor(theirs) is None


def test_revocation_elsewhere_counts_within_five_seconds(owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(actors._cache, "_clock", lambda: now)
    claims = verify_token(issue_token(owner, []).token)
    assert current_actor(claims) == owner
    User.objects.filter(pk=owner.user_id).update(is_active=False)
    now += 5.1
    assert current_actor(claims) is None


def test_the_private_key_is_sealed_to_its_row(settings) -> None:
    kid, _ = keys.signing_key()
    row = SigningKey.objects.get()
    assert b"PRIVATE" not in bytes(row.private_key)
    assert "PRIVATE" not in row.public_key
    assert b"PRIVATE" in unseal(bytes(row.private_key), purpose="signing-key", place=f"signing_key:private_key:{kid}")
    for purpose, place in [
        ("signing-key", "signing_key:private_key:other"),
        ("other", f"signing_key:private_key:{kid}"),
    ]:
        with pytest.raises(Unsealable):
            unseal(bytes(row.private_key), purpose=purpose, place=place)


def test_another_secret_key_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from django.conf import settings

    keys.signing_key()
    keys.forget_keys()
    monkeypatch.setattr(settings, "HAVEN", replace(settings.HAVEN, secret_key="x" * 40))
    with pytest.raises(Unsealable, match="HAVEN_SECRET_KEY"):
        keys.signing_key()


def age(**delta: float) -> datetime:
    return timezone.now() - timedelta(**delta)


def test_a_new_key_verifies_at_once_and_signs_after_a_minute(owner: Actor) -> None:
    old, _ = keys.signing_key()
    SigningKey.objects.update(created_at=age(minutes=10))
    keys.forget_keys()
    before = issue_token(owner, []).token
    new = keys.rotate_key()
    assert keys.signing_key()[0] == old
    assert keys.public_key(new) is not None
    SigningKey.objects.filter(kid=new).update(created_at=age(seconds=61))
    keys.forget_keys()
    assert keys.signing_key()[0] == new
    grants.forget_tokens()
    verify_token(before)
    verify_token(issue_token(owner, []).token)


def test_a_key_goes_when_no_token_can_live_under_it(owner: Actor) -> None:
    first, _ = keys.signing_key()
    SigningKey.objects.update(created_at=age(days=2))
    second = keys.rotate_key()
    SigningKey.objects.filter(kid=second).update(created_at=age(minutes=30))
    third = keys.rotate_key()
    assert set(SigningKey.objects.values_list("kid", flat=True)) == {first, second, third}
    SigningKey.objects.filter(kid=second).update(created_at=age(minutes=34))
    fourth = keys.rotate_key()
    assert set(SigningKey.objects.values_list("kid", flat=True)) == {second, third, fourth}
    assert keys.public_key(first) is None


def test_unknown_key_ids_do_not_become_a_query_each(owner: Actor, django_assert_num_queries) -> None:
    keys.signing_key()
    with django_assert_num_queries(0):
        for number in range(50):
            assert keys.public_key(f"unknown{number}") is None


def test_a_key_made_elsewhere_is_found(owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.signing_key()
    ring = keys._Ring()  # another process
    monkeypatch.setattr(keys, "RELOAD_SECONDS", 0.0)
    new = keys.rotate_key()
    assert ring.public(new) is not None


def test_times_are_utc(owner: Actor) -> None:
    assert issue_token(owner, []).issued_at.tzinfo is UTC
