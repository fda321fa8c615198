"""Keys of the token service."""

from django.db import models


class SigningKey(models.Model):
    """An ES256 key pair. The youngest key older than a minute signs; every key not yet dropped verifies.

    private_key: PEM, encrypted with HAVEN_SECRET_KEY (haven_core.tokens.keys). public_key: PEM.
    """

    kid = models.CharField(max_length=64, unique=True)
    private_key = models.BinaryField()
    public_key = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "signing_key"
