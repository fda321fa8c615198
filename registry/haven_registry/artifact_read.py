"""An artifact by its digest, as scripts ask for it again and again: artifact_list says the same of any artifact."""

import json

from haven_core.db import backend
from haven_core.db.fields import encode_digest
from haven_registry.artifact_list import ArtifactView, ManifestRow
from haven_registry.artifact_parts import MAX_INLINE_TAGS, TagView
from haven_registry.artifacts.details import Details
from haven_registry.repository_list import RepositoryPlace

# Scalar subqueries and a range of names: with joins, or with a list of names, PostgreSQL reads all tags of the repository.
_FIND = """
SELECT r.id, r.project_id, m.id, m.media_type, m.artifact_type, m.config_media_type, m.kind, m.payload_size,
  m.total_size, m.pushed_at, d.extra, d.annotations, d.children,
  (SELECT max(pd.last_pulled_at) FROM pull_daily pd WHERE pd.repository_id = r.id AND pd.manifest_digest = m.digest),
  EXISTS (SELECT 1 FROM manifest s WHERE s.repository_id = r.id AND s.subject_digest = m.digest),
  EXISTS (SELECT 1 FROM tag c WHERE c.repository_id = r.id AND c.name >= %s AND c.name < %s)
FROM repository r JOIN manifest m ON m.repository_id = r.id JOIN artifact_detail d ON d.manifest_id = m.id
WHERE r.full_name = %s AND r.deleted_at IS NULL AND m.digest = %s AND m.deleted_at IS NULL
"""
_TAGS = """
SELECT t.id, t.name, t.updated_at,
  (SELECT max(pd.last_pulled_at) FROM pull_daily pd
   WHERE pd.repository_id = t.repository_id AND pd.manifest_digest = %s AND pd.tag_name = t.name)
FROM tag t WHERE t.manifest_id = %s ORDER BY t.updated_at DESC, t.id DESC LIMIT %s
"""


def read_plain_artifact(project: str, name: str, digest: str) -> tuple[RepositoryPlace, ArtifactView] | None:
    """A live artifact with its newest tags, and its repository; None when it isn't there, or is not plain: has children
    or accessories, or nobody has looked at its config yet. Two statements."""
    full_name, key = f"{project}/{name}", encode_digest(digest)
    side_tags = digest.replace(":", "-")  # Cosign's end in .sig, .att, .sbom; '/' is what comes after '.'
    rows = backend.prepared(_FIND, f"{side_tags}.", f"{side_tags}/", full_name, key)
    if not rows:
        return None
    repository_id, project_id, manifest_id, media_type, artifact_type, config_type, kind = rows[0][:7]
    payload_size, total_size, pushed_at = rows[0][7:10]
    extra, annotations, children, pulled, is_subject, is_signed = rows[0][10:]
    if json.loads(children) or is_subject or is_signed:
        return None
    row = ManifestRow(
        manifest_id, repository_id, digest, media_type, artifact_type, config_type, kind, payload_size, total_size,
        backend.as_datetime(pushed_at),
    )  # fmt: skip
    tags = [
        TagView(tag_id, tag, manifest_id, backend.as_datetime(moved), backend.as_datetime(at) if at else None)
        for tag_id, tag, moved, at in backend.prepared(_TAGS, key, manifest_id, MAX_INLINE_TAGS)
    ]
    view = ArtifactView(
        row=row,
        size=row.payload_size + row.total_size,
        pulled_at=backend.as_datetime(pulled) if pulled else None,
        details=Details(extra=json.loads(extra), annotations=json.loads(annotations)),
        children={},
        tags=tags,
        labels=None,
        accessories=[],
    )
    return RepositoryPlace(repository_id, project_id, full_name), view
