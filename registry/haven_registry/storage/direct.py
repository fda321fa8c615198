"""Writing a large file past the page cache."""

import errno
import fcntl
import mmap
import os
from io import FileIO

from haven_registry.storage.background import Background

BLOCK_BYTES = 4096  # a multiple of every disk's
BUFFER_BYTES = 2 * 1024 * 1024


class DirectAppender:
    """Appends to a file from buffers of its own, one of which the disk reads while the other is filled.

    What goes through the page cache is copied there, into memory that is rarely in a processor's cache, and is for a large
    upload often new to the machine; that costs more than hashing. Past it the disk reads our two buffers, which stay warm.
    The file's position must be a multiple of BLOCK_BYTES when the first byte is taken after a flush. Everything may
    raise OSError, also for bytes taken before. Filesystems that can't do it get ordinary writes (open(2), O_DIRECT).
    """

    def __init__(self, file: FileIO) -> None:
        self._file = (
            file  # not its descriptor: the thread keeps it open, so that no other file gets the number meanwhile
        )
        self._filling, self._other = (memoryview(mmap.mmap(-1, BUFFER_BYTES)) for _ in range(2))
        self.held = 0  # bytes taken that no write has begun on
        self._is_possible = True
        self._writing = Background()

    def take(self, view: memoryview) -> int:
        """Take the first bytes of `view`; returns how many."""
        count = min(len(view), BUFFER_BYTES - self.held)
        self._filling[self.held : self.held + count] = view[:count]
        self.held += count
        if self.held == BUFFER_BYTES:
            full = self._filling
            self._writing.start(lambda: self._write(full))
            self._filling, self._other, self.held = self._other, full, 0
        return count

    def flush(self) -> None:
        """All bytes taken are in the file when this returns; not yet durable. The last ones, which fill no block, go through
        the page cache."""
        self._writing.wait()
        held, self.held = self._filling[: self.held], 0
        whole = len(held) - len(held) % BLOCK_BYTES
        self._write(held[:whole])
        _write_all(self._file, held[whole:])

    def join(self) -> None:
        """Return when the disk reads no buffer; what came of it is forgotten."""
        self._writing.join()

    def _write(self, view: memoryview) -> None:
        """Blocks, past the page cache if it can be."""
        if view and self._is_possible:
            view = view[self._write_direct(view) :]
        _write_all(self._file, view)

    def _write_direct(self, view: memoryview) -> int:
        """Write blocks; returns how many bytes were written before it turned out not to be possible."""
        done = 0
        try:
            _set_direct(self._file, is_direct=True)
            while done < len(view) and done % BLOCK_BYTES == 0:
                done += os.write(self._file.fileno(), view[done:])
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._is_possible = False
        finally:
            _set_direct(self._file, is_direct=False)
        return done


def _set_direct(file: FileIO, *, is_direct: bool) -> None:
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT if is_direct else flags & ~os.O_DIRECT)


def _write_all(file: FileIO, view: memoryview) -> None:
    while view:
        view = view[os.write(file.fileno(), view) :]
