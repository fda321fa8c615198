"""The storage driver of this process, opened once from the settings."""

from functools import lru_cache

from haven_core.conf import config
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.factory import open_storage


@lru_cache(maxsize=4)
def _open(url: str, access_key: str, secret_key: str) -> StorageDriver:
    return open_storage(url, access_key=access_key or None, secret_key=secret_key or None)


def driver() -> StorageDriver:
    """Raises StorageError or ValueError when HAVEN_STORAGE_URL can't be used."""
    settings = config()
    return _open(settings.storage_url, settings.s3_access_key, settings.s3_secret_key)
