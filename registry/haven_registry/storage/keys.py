"""Storage keys: where a blob lives, said the same way on every driver.

A key is made before the first byte arrives, is written once and never used again (I2: keys are never reused), so a late
delete can only ever hit the object it was meant for. It holds no digest: clients name that after the bytes.

    <root of the driver>
    ├── blobs/
    │   ├── 00/ … ff/                               256 shards, by the first two hex digits
    │   │   ├── 1c7f…(32 hex digits)                a published blob
    │   │   └── 1c7f…(32 hex digits).upload         filesystem: its bytes while they are staged
    └── staging/                                    S3 only
        └── 1c/1c7f…(32 hex digits)/<name>          tails of uploads that are no part of a multipart upload yet
"""

import re
import uuid

BLOBS = "blobs/"
_KEY = re.compile(r"blobs/[0-9a-f]{2}/[0-9a-f]{32}")


def new_key() -> str:
    """A key that was never used before: `blobs/<aa>/<uuid4 as 32 hex digits>`, `<aa>` being its first two digits."""
    name = uuid.uuid4().hex
    return f"{BLOBS}{name[:2]}/{name}"


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key."""
    return _KEY.fullmatch(text) is not None


def validate_key(key: str) -> str:
    """`key` itself. Raises ValueError for anything that is not a key, so no `..` ever reaches a path or a bucket."""
    if not is_key(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key
