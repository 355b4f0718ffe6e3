"""Reader leases: an entry that somebody reads is not evicted."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

READERS = ".readers"


class ReadLease:
    """Held on a cache's folder by each of its readers, for as long as the object lives.

    A shared file lock: the kernel drops it with its holder, so a killed reader holds nothing back.
    """

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder / READERS, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._release = weakref.finalize(self, os.close, descriptor)

    def release(self) -> None:
        """Give the lease back early."""
        self._release()


def is_read(folder: Path) -> bool:
    """Whether any process, this one included, holds a lease on a folder."""
    descriptor = os.open(folder / READERS, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
