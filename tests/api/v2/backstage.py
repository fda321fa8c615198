"""The test's side of programs/backstage.py: what is stored, and people, members and tokens that no API makes yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from tests.support.stack import ROOT, HavenServer

Access = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class SigningKey:
    """The key that signs the stack's tokens."""

    kid: str
    private: str
    public: str


class Backstage:
    """A process with the stack's settings and data; one command at a time."""

    def __init__(self, server: HavenServer) -> None:
        assert server.data_dir is not None
        packages = sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HAVEN_TEST_")}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        environment |= {"HAVEN_DATA_DIR": str(server.data_dir), "PYTHONPATH": os.pathsep.join(packages)}
        program = Path(__file__).parent / "programs" / "backstage.py"
        self._process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        self._key: SigningKey | None = None

    def ask(self, command: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "value" in answer, answer
        return answer["value"]

    def close(self) -> None:
        self._process.communicate(timeout=20)

    def member(self, project: str, name: str, role: int | None) -> None:
        """Give `name` a role (Harbor's id) in the project, or none."""
        self.ask("member", project=project, name=name, role=role)

    def contents(self, project: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("contents", project=project)
        return found

    @contextmanager
    def nothing_stored(self, project: str, *, sessions: int = 0) -> Iterator[None]:
        """Assert that the block leaves the project as it was, but for `sessions` more open uploads."""
        before = self.contents(project)
        yield
        before["sessions"] += sessions
        assert self.contents(project) == before

    @property
    def key(self) -> SigningKey:
        if self._key is None:
            self._key = SigningKey(**self.ask("signing"))
        return self._key

    def claims(self, name: str | None, access: Access = (), **changes: Any) -> dict[str, Any]:
        """The payload of a token as the service would issue it, with `changes` over it; None removes a claim."""
        who = self.ask("account", name=name) if name else {"sub": "", "uid": 0, "epoch": 0, "kind": "anonymous"}
        now = int(time.time())
        payload = {
            "iss": "haven-token-issuer",
            "aud": "haven-registry",
            "iat": now,
            "nbf": now - 10,
            "exp": now + 600,
            "jti": uuid.uuid4().hex,
            "access": [{"type": "repository", "name": one, "actions": list(actions)} for one, actions in access],
            **who,
            **changes,
        }
        return {claim: value for claim, value in payload.items() if value is not None}

    def sign(self, payload: Mapping[str, Any], *, headers: Mapping[str, Any] | None = None) -> str:
        """A token of the stack's own key."""
        return jwt.encode(
            dict(payload), self.key.private, algorithm="ES256", headers={"kid": self.key.kid, **(headers or {})}
        )
