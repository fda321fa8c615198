"""What can go wrong between a driver and its storage.

Two facts matter to a caller: may the same call succeed a little later (`StorageUnavailable`), and is the fault in what
is stored (`ObjectMissing`, `StagingLost`, `StorageTruncated`) or in the storage itself. Messages name keys and causes,
never credentials.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class StorageError(Exception):
    """Base of all. Raised itself for what time does not heal: refused credentials, no permission, wrong clock."""


class StorageUnavailable(StorageError):
    """No answer or a 5xx one, also after the driver's own retries. The caller may try again later."""


class StorageFull(StorageError):
    """No space or quota left (ENOSPC, EDQUOT, HTTP 507). What was recorded before stays as it was."""


class ObjectMissing(StorageError):
    """Nothing is published at the key."""


class StagingLost(StorageError):
    """Fewer staged bytes exist than the caller recorded. The upload can't go on: its client starts over."""


class StagedAhead(StorageError):
    """More bytes are staged than the caller knows of, and it wanted none of them cut. Nothing was touched."""


class UploadBusy(StorageError):
    """Another writer is at this upload right now. Nothing was touched."""


class StorageTruncated(StorageError):
    """Fewer bytes came than the object has or than were asked for. Never reported as a clean end."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TRANSIENT = frozenset(
    {errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOENT, errno.ESTALE, errno.ETIMEDOUT}
)


@contextmanager
def os_errors(action: str) -> Iterator[None]:
    """Raise what the operating system refuses as one of this module's errors.

    ENOENT counts as transient: the driver expects these folders to exist, so a missing one means a mount that is away,
    and making it anew would fill the disk below the mount point.
    """
    try:
        yield
    except OSError as error:
        raise translate_os_error(error, action) from error


def translate_os_error(error: OSError, action: str) -> StorageError:
    """The storage error for `error`, worded `action: reason`."""
    message = f"{action}: {error.strerror or error}"
    if error.errno in _FULL:
        return StorageFull(message)
    if error.errno in _TRANSIENT:
        return StorageUnavailable(message)
    return StorageError(message)
