"""Files and directories that only their owner may read, whatever the umask."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["FILE_MODE", "make_private", "make_private_directory", "private_file"]

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700


def private_file(path: Path, *, append: bool = False, exclusive: bool = False) -> BinaryIO:
    """Open a file for writing that only its owner may read; an existing one is made private first.

    Args:
        append: keep its contents and append to them.
        exclusive: raise `FileExistsError` if it exists.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    handle = os.open(path, flags | (os.O_EXCL if exclusive else 0), FILE_MODE)
    with suppress(PermissionError):  # a file of another owner, such as a device
        os.fchmod(handle, FILE_MODE) if path.is_file() else None
    return os.fdopen(handle, "ab" if append else "wb")


def make_private(path: Path) -> None:
    """Make a file private that another program has written."""
    path.chmod(FILE_MODE)


def make_private_directory(path: Path) -> None:
    """Create a directory, with its parents, that only its owner may enter; an existing one keeps its mode."""
    missing = [part for part in (path, *path.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        part.chmod(DIRECTORY_MODE)
