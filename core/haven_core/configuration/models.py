"""Configuration at rest."""

from django.db import models


class Setting(models.Model):
    """A key that was given another value than its default. Written by configuration.services.update only.

    value: the JSON value; null for a secret, whose text is in `sealed` (haven_core.sealing).
    """

    name = models.CharField(max_length=64, primary_key=True)
    value = models.JSONField(null=True)
    sealed = models.BinaryField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "setting"


class SettingsVersion(models.Model):
    """One row, id 1, whose number grows with each change: a process reads the settings again only when it did. Its lock
    orders the writers."""

    id = models.SmallIntegerField(primary_key=True)
    number = models.BigIntegerField()

    class Meta:
        db_table = "setting_version"
