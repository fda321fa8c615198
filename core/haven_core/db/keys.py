"""Foreign keys as the chain needs them."""

from typing import Any

from django.db import models


def reference(to: Any, **options: Any) -> Any:
    """A foreign key that the database alone enforces: no cascade, no reverse accessor, no query by Django before a delete.

    RESTRICT in effect, because constraints are immediate: a row goes only when nothing points at it.
    """
    return models.ForeignKey(to, on_delete=models.DO_NOTHING, **{"related_name": "+", **options})


def one_to_one(to: Any, **options: Any) -> Any:
    """Like reference(), and unique."""
    return models.OneToOneField(to, on_delete=models.DO_NOTHING, **{"related_name": "+", **options})
