"""Checks of the embedded PostgreSQL's data directory, before anything is written."""

import errno
import re
import shutil
from pathlib import Path

from faregate.core.errors import ConfigurationError, EngineUnavailableError

__all__ = ["FREE_BYTES_NEEDED", "NO_SPACE", "check_contents", "check_room", "full_disk", "reason_in", "unusable"]

FREE_BYTES_NEEDED = 128 * 1024**2
"""What a new, empty database takes on the disk, and the first of its write-ahead log."""

_FIX = "choose another directory with FAREGATE_DATA_DIR or --data-dir"
_ROOM = f"make room, or {_FIX}"
_OURS = {"users.lock", "start.lock", "server_api_key", "lost+found", "archive", "backups", "cache", "exports"}
"""Files that Faregate writes before there is a database, and directories that other settings suggest."""
_OUTPUT = (".log", ".json", ".pid")
"""Endings of files that `faregate up` is told to write there, such as its output and its ready file."""
_CLUSTER = re.compile(r"postgres(\d+)")
NO_SPACE = "No space left on device"
_FATAL = re.compile(r"(?:FATAL|PANIC|error):\s*(.+)")


def unusable(directory: Path, error: OSError) -> Exception:
    """Return the error to raise for what the system reported about `directory`."""
    if error.errno == errno.ENOSPC:
        return full_disk(directory)
    return ConfigurationError(f"FAREGATE_DATA_DIR: cannot write to {directory} ({error.strerror}); {_FIX}")


def full_disk(directory: Path) -> EngineUnavailableError:
    """Return the error to raise when the disk of `directory` is full."""
    return EngineUnavailableError(f"the disk of {directory} is full ({NO_SPACE}); {_ROOM}")


def check_contents(directory: Path, major: int) -> None:
    """Check that `directory` is missing, empty, or holds a database of this version; nothing is changed.

    Raises:
        ConfigurationError: it holds something else, which the database must not be mixed with.
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError(f"FAREGATE_DATA_DIR: {directory} is a file; {_FIX}")
    names = {path.name for path in directory.iterdir()} if directory.exists() else set[str]()
    if "PG_VERSION" in names:
        version = _version(directory)
        raise ConfigurationError(
            f"FAREGATE_DATA_DIR: {directory} is the data directory of another PostgreSQL {version}; {_FIX}"
        )
    clusters = sorted(name for name in names if _CLUSTER.fullmatch(name))
    if clusters:
        _check_cluster(directory, clusters, major)
    kept = [name for name in names - _OURS if not name.startswith(".") and not name.endswith(_OUTPUT)]
    foreign = sorted(name for name in kept if not _CLUSTER.match(name))
    if foreign and not clusters and "users.lock" not in names:
        raise ConfigurationError(
            f"FAREGATE_DATA_DIR: {directory} holds {foreign[0]!r} and no database of Faregate, which needs a directory of its "
            f"own; {_FIX}"
        )


def check_room(directory: Path) -> None:
    """Check that a new database fits on the disk of `directory`.

    Raises:
        EngineUnavailableError: the disk is too full.
    """
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_NEEDED:
        raise EngineUnavailableError(
            f"the disk of {directory} is full ({free // 1024**2} MiB free, a new database needs "
            f"{FREE_BYTES_NEEDED // 1024**2}); {_ROOM}"
        )


def reason_in(output: str, *, first: bool = False) -> str:
    """Return why a PostgreSQL program ended: the last reason in its output, or the first, before it cleaned up."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any(NO_SPACE in line for line in lines):
        return NO_SPACE
    reasons = [found[1] for line in lines if (found := _FATAL.search(line))] or lines or ["no reason given"]
    return reasons[0 if first else -1]


def _check_cluster(directory: Path, clusters: list[str], major: int) -> None:
    ours = directory / f"postgres{major}"
    found = clusters[0].removeprefix("postgres")
    if ours.name in clusters:
        found = _version(ours)
    if not found and any(ours.iterdir()):
        raise ConfigurationError(f"FAREGATE_DATA_DIR: {ours} is not a database: PG_VERSION is missing; {_FIX}")
    if found and found != str(major):
        raise ConfigurationError(
            f"FAREGATE_DATA_DIR: {directory} holds PostgreSQL {found}, but this version of Faregate runs PostgreSQL {major}; "
            "restore a backup made by `faregate backup` into a new directory"
        )


def _version(cluster: Path) -> str:
    file = cluster / "PG_VERSION"
    return file.read_text(errors="replace").strip() if file.exists() else ""
