"""Where bytes live: one Protocol, several drivers. No Django."""

from haven_registry.storage.driver import StagedWriter, StagingState, StorageDriver, StoredObject
from haven_registry.storage.errors import (
    ObjectMissing,
    StagingLost,
    StorageError,
    StorageFull,
    StorageTruncated,
    StorageUnavailable,
    UploadBusy,
)
from haven_registry.storage.factory import open_storage
from haven_registry.storage.keys import new_key

__all__ = [
    "ObjectMissing",
    "StagedWriter",
    "StagingLost",
    "StagingState",
    "StorageDriver",
    "StorageError",
    "StorageFull",
    "StorageTruncated",
    "StorageUnavailable",
    "StoredObject",
    "UploadBusy",
    "new_key",
    "open_storage",
]
