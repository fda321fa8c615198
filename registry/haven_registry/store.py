"""The storage driver of this process, opened once from the settings."""

from functools import lru_cache

from haven_core.conf import config
from haven_core.config import Config, ConfigError
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.factory import open_storage


@lru_cache(maxsize=4)
def _open(url: str, access_key: str, secret_key: str) -> StorageDriver:
    return open_storage(url, access_key=access_key or None, secret_key=secret_key or None)


def driver() -> StorageDriver:
    """Raises ConfigError when HAVEN_STORAGE_URL, or one of the two keys beside it, is none. Asks the storage nothing."""
    settings = config()
    try:
        return _open(settings.storage_url, settings.s3_access_key, settings.s3_secret_key)
    except ValueError as error:
        raise ConfigError(f"{_variable(settings)}: {str(error).removeprefix('storage URL: ')}") from None


def _variable(settings: Config) -> str:
    """Which setting is to blame: a key given alone, or where none is wanted, else the URL."""
    is_s3 = settings.storage_url.startswith("s3:")
    if settings.s3_access_key and not (is_s3 and settings.s3_secret_key):
        return "HAVEN_S3_ACCESS_KEY"
    return "HAVEN_S3_SECRET_KEY" if settings.s3_secret_key and not settings.s3_access_key else "HAVEN_STORAGE_URL"
