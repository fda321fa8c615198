"""Looking for one file in a tar that a stranger packed: bounded in bytes, in memory, nothing is written anywhere."""

import io
import tarfile
import zlib
from collections.abc import Callable


def unzip(data: bytes, limit: int) -> bytes:
    """A gzip stream unpacked, at most `limit` bytes of it, so that a bomb costs no more. Raises ValueError."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpack.decompress(data, limit)
    except zlib.error as error:
        raise ValueError(f"it is no gzipped tar: {error}") from None
    if unpack.unconsumed_tail and not unpack.eof:
        raise ValueError(f"it is larger than {limit} bytes unpacked")
    return unpacked


def find_file(archive: bytes, is_wanted: Callable[[str], bool], limit: int) -> str | None:
    """The first regular file of an unpacked tar whose name is wanted, as text; None without.

    Bytes that are no UTF-8 become U+FFFD. Raises ValueError for what is no tar, or a file of more than `limit` bytes.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as files:
            for member in files:
                if not (member.isreg() and is_wanted(member.name)):
                    continue
                if member.size > limit:
                    raise ValueError(f"the file is larger than {limit} bytes")
                opened = files.extractfile(member)
                return None if opened is None else opened.read().decode("utf-8", "replace")
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"it is no gzipped tar: {error}") from None
    return None
