"""Files that only their owner can read."""

import os

__all__ = ["open_private"]


def open_private(path: str, flags: int) -> int:
    """Open a file readable and writable by its owner only, independent of the umask."""
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)
    return handle
