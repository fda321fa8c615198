"""Labels on artifacts."""

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import Conflict, NotFound
from haven_registry.errors import ManifestUnknown
from haven_registry.models import ArtifactLabel, Manifest


def attach_label(*, manifest_id: int, label_id: int) -> None:
    """Put a label on a live artifact. Raises ManifestUnknown, Conflict when it is there. Lock: manifest (KEY SHARE)."""

    def work() -> None:
        live = Manifest.objects.filter(id=manifest_id, deleted_at=None)
        if not backend.locked(live.values_list("id"), "KEY SHARE"):
            raise ManifestUnknown
        row = (manifest_id, label_id)
        if not backend.insert(ArtifactLabel, ["manifest", "label"], [row], on_conflict="DO NOTHING"):
            raise Conflict(f"label {label_id} is already on the artifact")

    run_write(work)


def detach_label(*, manifest_id: int, label_id: int) -> None:
    """Take a label off an artifact. Raises NotFound."""

    def work() -> None:
        if not ArtifactLabel.objects.filter(manifest_id=manifest_id, label_id=label_id).delete()[0]:
            raise NotFound(f"label {label_id} is not on the artifact")

    run_write(work)
