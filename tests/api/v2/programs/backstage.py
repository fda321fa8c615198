"""Run beside a stack, on its data: makes what has no API yet, and says what is stored. One JSON request a line."""

# ruff: noqa: E402  # Django must be set up before the models are imported
from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")

import django

django.setup()

from cryptography.hazmat.primitives import serialization as pem
from django.utils import timezone

from haven_core.accounts.models import User
from haven_core.accounts.services import create_user, deactivate
from haven_core.db import backend
from haven_core.db.fields import decode_digest
from haven_core.projects.models import Project, ProjectMember
from haven_core.tokens.keys import signing_key
from haven_gc.fsck import check, check_bytes
from haven_registry.models import Manifest, Repository, RepositoryBlob, Upload
from haven_registry.store import driver


def user(name: str, password: str) -> int:
    return create_user(username=name, password=password)


def disable(name: str) -> None:
    deactivate(user_id=User.objects.get(username=name, deleted_at=None).pk)


def member(project: str, name: str, role: int | None) -> None:
    key = {
        "project": Project.objects.get(name=project, deleted_at=None),
        "user": User.objects.get(username=name, deleted_at=None),
    }
    ProjectMember.objects.filter(**key).delete()
    if role is not None:
        ProjectMember.objects.create(**key, role=role)


def set_public(project: str, value: bool) -> None:
    Project.objects.filter(name=project, deleted_at=None).update(is_public=value)


def account(name: str) -> dict[str, Any]:
    found = User.objects.get(username=name, deleted_at=None)
    return {"sub": found.username, "uid": found.pk, "epoch": found.credential_epoch, "kind": "user"}


def signing() -> dict[str, str]:
    kid, private = signing_key()
    secret = private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    public = private.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    return {"kid": kid, "private": secret.decode(), "public": public.decode()}


def age_upload(upload: str, seconds: float) -> None:
    """As if the session had begun that long ago."""
    Upload.objects.filter(id=upload).update(created_at=timezone.now() - timedelta(seconds=seconds))


def contents(project: str) -> dict[str, Any]:
    """Everything live in the project, trash and tombstones left out."""
    [(project_id, used)] = backend.sql(
        "SELECT p.id, q.used_bytes FROM project p JOIN project_quota q ON q.project_id = p.id "
        "WHERE p.name = %s AND p.deleted_at IS NULL",
        project,
    )
    live = {"repository__project_id": project_id, "repository__deleted_at": None}
    tags = backend.sql(
        "SELECT r.full_name, t.name, m.digest FROM tag t JOIN repository r ON r.id = t.repository_id "
        "JOIN manifest m ON m.id = t.manifest_id WHERE r.project_id = %s AND r.deleted_at IS NULL",
        project_id,
    )
    repositories = Repository.objects.filter(project_id=project_id, deleted_at=None)
    return {
        "used_bytes": used,
        "repositories": sorted(repositories.values_list("full_name", flat=True)),
        "manifests": sorted(Manifest.objects.filter(**live, deleted_at=None).values_list("digest", flat=True)),
        "blobs": sorted(
            RepositoryBlob.objects.filter(**live, hidden_at=None).values_list("project_blob__blob__digest", flat=True)
        ),
        "tags": sorted(f"{name}:{tag}@{decode_digest(raw)}" for name, tag, raw in tags),
        "sessions": Upload.objects.filter(**live, state=Upload.OPEN).count(),
    }


def fsck() -> list[str]:
    broken = [f"{name}: {count}" for name, count in check().items()]
    return broken + [str(damage) for damage in check_bytes(driver())]


_COMMANDS: dict[str, Callable[..., Any]] = {
    command.__name__: command
    for command in (user, disable, member, set_public, account, signing, age_upload, contents, fsck)
}


def main() -> None:
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = {"value": _COMMANDS[name](**arguments)}
        except Exception as error:  # the test that asked shows it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
