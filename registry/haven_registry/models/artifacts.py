"""What is known of artifacts beyond their manifests."""

from django.db import models

from haven_core.db.keys import one_to_one, reference
from haven_core.labels.models import Label
from haven_registry.models.manifests import Manifest


class ArtifactDetail(models.Model):
    """What a processor read out of a manifest and its config, once: see haven_registry.artifacts.details.Details.

    Made after the push, by whoever needs it first; never changed, as nothing it was made of can change. Text from
    strangers throughout. It goes with its manifest, deleted by the purge before it.
    """

    manifest = one_to_one(Manifest)
    platform = models.CharField(max_length=255, default="", blank=True)
    created = models.CharField(max_length=64, default="", blank=True)
    author = models.TextField(default="", blank=True)
    extra = models.JSONField()
    annotations = models.JSONField()
    children = models.JSONField()
    history = models.JSONField()
    error = models.TextField(default="", blank=True)

    class Meta:
        db_table = "artifact_detail"


class ArtifactLabel(models.Model):
    """A label that somebody put on an artifact. Not enforced towards the label, which is the core's to delete: ids are
    never used again, so a row without its label says nothing, and goes with its manifest."""

    manifest = reference(Manifest, db_index=False)
    label = reference(Label, db_constraint=False)

    class Meta:
        db_table = "artifact_label"
        constraints = [models.UniqueConstraint(fields=["manifest", "label"], name="artifact_label_once")]
