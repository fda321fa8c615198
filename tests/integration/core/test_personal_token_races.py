"""Personal access tokens and what ends them, at once, on a database that several connections share."""

import threading
from typing import Any

import pytest
from django.db import connections

from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.services import create_user, deactivate
from haven_core.domain.actor import Actor
from haven_core.errors import Conflict, Unauthorized
from haven_core.personal_tokens import holders, services
from haven_core.personal_tokens.holders import current_holder
from haven_core.personal_tokens.models import PersonalToken
from haven_core.personal_tokens.services import create_token, revoke_token
from haven_core.tokens.grants import current_actor, issue_token, verify_token
from tests.support.races import THREADS, at_once, shared_database

__all__ = ["shared_database"]


def owner() -> Actor:
    return Actor("user", create_user(username="owner", password="Correct1horse"), "owner", is_sysadmin=False)


def test_no_use_that_begins_after_a_revocation_succeeds(shared_database: None) -> None:
    """Threads use the token without a pause while it is revoked, by Basic and by the registry tokens they get."""
    me = owner()
    made = create_token(me, name="n", scope="full")
    used, revoked, wrong, uses = threading.Event(), threading.Event(), [], []

    def use() -> None:
        try:
            for _ in range(2000):
                is_over = revoked.is_set()  # read before: what begins later must fail
                actor = verify_basic("owner", made.secret, takes_tokens=True)
                if actor is not None:
                    token = issue_token(actor, []).token
                    is_over_too = revoked.is_set()
                    if current_actor(verify_token(token)) is not None and is_over_too:
                        wrong.append("registry token")
                if actor is not None and is_over:
                    wrong.append("basic")
                uses.append(actor is not None)
                used.set()
                if is_over:
                    return
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert used.wait(30)
    revoke_token(me, made.token_id)
    revoked.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert True in uses
    assert False in uses


def test_a_holder_that_was_read_before_a_revocation_is_not_remembered_after_it(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation falls between the statement that reads the token and the memory of its answer."""
    me = owner()
    made = create_token(me, name="n", scope="read")
    real = holders.through_token

    def revoked_meanwhile(*args: Any, **values: Any) -> Actor:
        monkeypatch.setattr(holders, "through_token", real)
        revoke_token(me, made.token_id)
        return real(*args, **values)

    monkeypatch.setattr(holders, "through_token", revoked_meanwhile)
    assert current_holder(made.token_id, me.epoch) is not None  # it began before
    assert PersonalToken.objects.count() == 0
    assert current_holder(made.token_id, me.epoch) is None


def test_the_cap_and_the_name_hold(shared_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_TOKENS", 3)
    me = owner()
    outcomes = at_once(lambda _: create_token(me, name="n", scope="pull"))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Conflict)]) == THREADS - 1
    outcomes = at_once(lambda number: create_token(me, name=f"n{number}", scope="pull"))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Conflict)]) == THREADS - 2
    assert PersonalToken.objects.count() == 3


def test_none_is_made_beside_the_end_of_the_account(shared_database: None) -> None:
    me = owner()

    def act(number: int) -> object:
        if number == 0:
            return deactivate(user_id=me.user_id)
        try:
            return create_token(me, name=f"n{number}", scope="pull")
        except Unauthorized as error:
            return error

    at_once(act)
    assert PersonalToken.objects.count() == 0
