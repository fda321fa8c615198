"""Loading a program's modules."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Around imports: what they make stays, so the collector neither looks at it meanwhile (a tenth of the time it takes) nor
    ever again (its full passes stop a request for as long as everything alive is large)."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
