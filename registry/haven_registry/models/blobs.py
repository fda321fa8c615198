"""Bytes, and who may use them."""

from django.db import models
from django.db.models import Q

from haven_core.db.fields import DigestField
from haven_core.db.keys import one_to_one, reference
from haven_core.models import Project
from haven_registry.models.repositories import Repository


class StorageObject(models.Model):
    """One physical key: staged → live → dead, or staged → dead; never back. The row is there before the first byte and
    goes after the last; a key is written once and never used again, so a late delete can't hit a re-upload."""

    STAGED, LIVE, DEAD = "staged", "live", "dead"
    storage_key = models.CharField(max_length=255, unique=True)
    state = models.CharField(max_length=6, default=STAGED)
    purge_after = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "storage_object"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="dead", purge_after__isnull=False)
                | Q(state__in=["staged", "live"], purge_after=None),
                name="storage_object_dead",
            ),
        ]
        indexes = [models.Index(fields=["purge_after"], condition=Q(state="dead"), name="storage_object_due")]


class Blob(models.Model):
    """A digest and its bytes, once in the whole registry. A sha512 blob is a blob of its own.

    damaged_at: when its bytes were found to be others than the digest says (haven_gc.scrub). Then it answers 404, so that
        the next push brings it again and takes the mark away.
    """

    digest = DigestField(unique=True)
    size = models.BigIntegerField()
    object = one_to_one(StorageObject)
    created_at = models.DateTimeField(auto_now_add=True)
    damaged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "blob"
        constraints = [models.CheckConstraint(condition=Q(size__gte=0), name="blob_size")]


class ProjectBlob(models.Model):
    """The blob is charged to the project, once. Inserted and deleted, never updated."""

    project = reference(Project, db_index=False)
    blob = reference(Blob)
    size = models.BigIntegerField()

    class Meta:
        db_table = "project_blob"
        constraints = [models.UniqueConstraint(fields=["project", "blob"], name="project_blob_once")]


class RepositoryBlob(models.Model):
    """The repository may use the blob.

    keep_until: the lease; until then a manifest PUT may name the blob and GC keeps the row (only eviction breaks it, and
        only for hidden rows).
    hidden_at: the last word about this row was a delete, not an upload. The blob answers 404 unless a live manifest names
        it, so a stale hidden_at is harmless and setting it needs no check.
    review_at: GC looks at the row then; NULL only while a live manifest names it (an fsck invariant).
    """

    repository = reference(Repository, db_index=False)
    project_blob = reference(ProjectBlob)
    keep_until = models.DateTimeField()
    hidden_at = models.DateTimeField(null=True, blank=True)
    review_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "repository_blob"
        constraints = [models.UniqueConstraint(fields=["repository", "project_blob"], name="repository_blob_once")]
        indexes = [
            models.Index(fields=["review_at"], condition=Q(review_at__isnull=False), name="repository_blob_review"),
        ]


class Upload(models.Model):
    """An upload session, bound to its repository and to whoever began it.

    Once committed it is a tombstone, so that a repeated PUT is answered 201 again; its object is therefore no enforced
    reference: a staged object dies only together with its open session, a tombstone outlives its object.
    received_bytes, prefix_digest, staging and version change together, by compare-and-set on version: the bytes that a
    request added count when its update succeeds, so of two writers one wins and the other is told.
    prefix_digest: digest of bytes 0..received_bytes, or NULL when several requests brought them (then PUT reads them again).
    staging: the storage driver's state (JSON), NULL before the first byte.
    """

    OPEN, COMMITTED, CANCELLED = "open", "committed", "cancelled"
    id = models.UUIDField(primary_key=True)
    repository = reference(Repository)
    object = one_to_one(StorageObject, db_constraint=False)
    state = models.CharField(max_length=9, default=OPEN)
    owner = models.CharField(max_length=300)
    algorithm = models.CharField(max_length=6, default="sha256")
    received_bytes = models.BigIntegerField(default=0)
    prefix_digest = DigestField(null=True)
    staging = models.JSONField(null=True)
    version = models.IntegerField(default=0)
    digest = DigestField(null=True)
    created_at = models.DateTimeField()
    touched_at = models.DateTimeField()

    class Meta:
        db_table = "upload"
        indexes = [
            # not by touched_at, which moves with every request of a session: few sessions live long
            models.Index(fields=["created_at"], name="upload_age"),
            models.Index(fields=["owner"], condition=models.Q(state="open"), name="upload_open"),
        ]
