"""Manifests and the names they have."""

from django.db import models
from django.db.models import F, Q

from haven_core.db.fields import DigestField, NameField
from haven_core.db.keys import reference
from haven_registry.models.blobs import RepositoryBlob
from haven_registry.models.repositories import Repository


class Manifest(models.Model):
    """A manifest or index, byte for byte as it was pushed; live, or in the trash (deleted_at, purge_after).

    What it references never changes after its insert. subject_digest is no key: a referrer may come before its subject.
    annotations are kept beside the payload only where the referrers list needs them. config_media_type:
    Harbor's `media_type`, which of an index is its own. kind, accessory_type: Harbor's `type` of the artifact, and as an
    accessory of its subject, '' without one (artifacts.kinds).
    restored_at: somebody brought it back from the trash; retention leaves it alone.
    deleted_by: the actor's name, '' for Haven itself. deleted_with: id of the manifest whose delete took this one along,
        and whose restore brings it back; no reference, and without meaning once deleted_at is NULL.
    """

    repository = reference(Repository, db_index=False)
    digest = DigestField()
    media_type = models.CharField(max_length=255)
    artifact_type = models.CharField(max_length=255, default="", blank=True)
    config_media_type = models.CharField(max_length=255, default="", blank=True)
    kind = models.CharField(max_length=255)
    accessory_type = models.CharField(max_length=32, default="", blank=True)
    subject_digest = DigestField(null=True)
    annotations = models.JSONField(null=True)
    payload = models.BinaryField()
    payload_size = models.IntegerField()
    total_size = models.BigIntegerField(default=0)
    pushed_by = models.CharField(max_length=300, default="", blank=True)
    pushed_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)
    purge_after = models.DateTimeField(null=True, blank=True)
    restored_at = models.DateTimeField(null=True, blank=True)
    deleted_by = models.CharField(max_length=300, default="", db_default="", blank=True)
    deleted_with = models.BigIntegerField(null=True, blank=True)

    class Meta:
        db_table = "manifest"
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="manifest_digest"),
            models.CheckConstraint(
                condition=Q(deleted_at=None, purge_after=None) | Q(deleted_at__isnull=False, purge_after__isnull=False),
                name="manifest_trash",
            ),
        ]
        indexes = [
            models.Index(
                fields=["repository", "subject_digest", "artifact_type", "id"],
                condition=Q(subject_digest__isnull=False),
                name="manifest_referrers",
            ),
            models.Index(
                fields=["repository", "-pushed_at", "-id"],
                condition=Q(deleted_at=None, subject_digest=None),
                name="manifest_newest",
            ),
            models.Index(fields=["purge_after"], condition=Q(purge_after__isnull=False), name="manifest_purge"),
            models.Index(fields=["digest"], name="manifest_by_digest"),  # search, by a prefix
            models.Index(
                fields=["deleted_with"], condition=Q(deleted_with__isnull=False), name="manifest_deleted_with"
            ),
        ]


class ManifestBlob(models.Model):
    """Config, layers, and children of an index that are blobs (buildkit caches). A blob may stand at several positions."""

    CONFIG, LAYER, CHILD = "config", "layer", "child"
    manifest = reference(Manifest, db_index=False)
    position = models.IntegerField()
    repository_blob = reference(RepositoryBlob)
    role = models.CharField(max_length=6)

    class Meta:
        db_table = "manifest_blob"
        constraints = [models.UniqueConstraint(fields=["manifest", "position"], name="manifest_blob_position")]


class ManifestChild(models.Model):
    """A manifest that an index names; a live index pins its children."""

    parent = reference(Manifest, db_index=False)
    position = models.IntegerField()
    child = reference(Manifest)

    class Meta:
        db_table = "manifest_child"
        constraints = [
            models.UniqueConstraint(fields=["parent", "position"], name="manifest_child_position"),
            models.CheckConstraint(condition=~Q(parent=F("child")), name="manifest_child_self"),
        ]


class Tag(models.Model):
    """One row per name, moved by upsert. previous_manifest_id is no reference: it lets the upsert RETURN what it replaced.

    restored_at: it came back from the trash with its manifest, and was not pushed since; retention leaves it alone.
    """

    repository = reference(Repository, db_index=False)
    name = NameField(max_length=128)
    manifest = reference(Manifest)
    previous_manifest_id = models.BigIntegerField(null=True)
    updated_at = models.DateTimeField()
    restored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "tag"
        constraints = [models.UniqueConstraint(fields=["repository", "name"], name="tag_name")]
        indexes = [models.Index(fields=["name"], name="tag_by_name")]  # search, by a prefix


class TagHistory(models.Model):
    """A change of what a name means: written with it, never changed but for what keeps a manifest. It goes when it is old
    (services.history), or with its repository.

    digest: what it meant before, NULL when there was no such tag. new_digest: what it means since, NULL when the tag went.
    reason: how. by: the actor's name, '' for Haven itself.
    manifest: that of `digest`, which stays referenced until restorable_until, or until it is purged.
    """

    PUSHED, MOVED, COPIED = "pushed", "moved", "copied"
    DELETED, MANIFEST_DELETED = "deleted", "manifest"
    RESTORED, ROLLED_BACK = "restored", "rollback"
    repository = reference(Repository, db_index=False)
    name = NameField(max_length=128)
    manifest = reference(Manifest, null=True)
    digest = DigestField(null=True)
    new_digest = DigestField(null=True)
    reason = models.CharField(max_length=8)
    by = models.CharField(max_length=300, default="", db_default="", blank=True)
    ended_at = models.DateTimeField()
    restorable_until = models.DateTimeField()

    class Meta:
        db_table = "tag_history"
        indexes = [models.Index(fields=["repository", "name", "-id"], name="tag_history_name")]
