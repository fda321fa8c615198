"""The chain: tag → manifest → manifest_blob → repository_blob → project_blob → blob → storage_object.

Beside it: manifest_child, artifact_detail, artifact_label, tag_history, upload, and the pull counters. Every arrow is
a foreign key without action, so a row goes only when nothing points at it; the database is the arbiter, garbage
collection only asks.
"""

from haven_registry.models.artifacts import ArtifactDetail, ArtifactLabel
from haven_registry.models.blobs import Blob, ProjectBlob, RepositoryBlob, StorageObject, Upload
from haven_registry.models.manifests import Manifest, ManifestBlob, ManifestChild, Tag, TagHistory
from haven_registry.models.pulls import PullBatch, PullDaily
from haven_registry.models.repositories import Repository

__all__ = [
    "ArtifactDetail",
    "ArtifactLabel",
    "Blob",
    "Manifest",
    "ManifestBlob",
    "ManifestChild",
    "ProjectBlob",
    "PullBatch",
    "PullDaily",
    "Repository",
    "RepositoryBlob",
    "StorageObject",
    "Tag",
    "TagHistory",
    "Upload",
]
