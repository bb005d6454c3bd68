"""What is opened below a folder, by any process, as Linux tells it."""

import ctypes
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["opened_below"]

_OPENED, _ONLY_FOLDERS = 0x20, 0x01000000
_HEAD = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def opened_below(*folders: Path) -> Generator[list[str]]:
    """Return the names that were opened in these folders and all below, filled when the block ends."""
    found: list[str] = []
    watch = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        places = {
            _watched(watch, path): path for folder in folders for path in [folder, *folder.rglob("*")] if path.is_dir()
        }
        yield found
        found += _names(watch, places)
    finally:
        os.close(watch)


def _watched(watch: int, folder: Path) -> int:
    number = int(_LIBC.inotify_add_watch(watch, os.fsencode(folder), _OPENED | _ONLY_FOLDERS))
    assert number > 0, f"{folder} cannot be watched: {os.strerror(ctypes.get_errno())}"
    return number


def _names(watch: int, places: dict[int, Path]) -> list[str]:
    found: list[str] = []
    while True:
        try:
            data = os.read(watch, 1 << 16)
        except BlockingIOError:
            return found
        at = 0
        while at < len(data):
            number, _, _, length = _HEAD.unpack_from(data, at)
            name = data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
            found.append(str(places[number] / os.fsdecode(name)))
            at += _HEAD.size + length
