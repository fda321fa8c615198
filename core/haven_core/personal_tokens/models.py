"""Personal access tokens."""

from django.db import models

from haven_core.accounts.models import User
from haven_core.db.keys import reference


class PersonalToken(models.Model):
    """A secret that works beside its owner's password. Written by personal_tokens.services; a deleted or deactivated
    account, and one whose password somebody else replaced, keeps none.

    hash: domain.personal_tokens.hash_secret. scope: a TokenScope. projects: ids of the only projects it is good for, None
    for all; by id, so that a new project under an old name inherits nothing.
    last_used_at, last_used_from: its last login, told up to a minute late (haven_core.uses).
    """

    user = reference(User, db_index=False)
    name = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=8)
    projects = models.JSONField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = "personal_token"
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="personal_token_name")]
