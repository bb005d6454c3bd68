"""Spool of events on the local disk while the database is unavailable."""

import os
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from faregate.core.runtime.private_files import make_private_directory, private_file
from faregate.usage.events.event import UsageEvent
from faregate.wire import exact_json

__all__ = ["EventSpool"]

_LINES_AT_ONCE = 1_000


class EventSpool:
    """NDJSON file of one process, `<stem>-<process id><suffix>` of `name`; files of earlier processes are read too."""

    def __init__(self, directory: Path, name: str = "usage-events.ndjson") -> None:
        self._directory = directory
        pattern = Path(name)
        self._file = directory / f"{pattern.stem}-{os.getpid()}{pattern.suffix}"
        self._names = f"{escape(pattern.stem)}-[0-9]*{escape(pattern.suffix)}"

    @property
    def empty(self) -> bool:
        """Whether no events are waiting."""
        return not any(self._files())

    def add(self, events: Sequence[UsageEvent]) -> None:
        """Append events; they are flushed to disk when this returns."""
        make_private_directory(self._directory)
        with private_file(self._file, append=True) as file:
            for event in events:
                file.write(exact_json.dumps(event.model_dump(exclude_none=True)) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def batches(self) -> Iterator[tuple[Path, list[Mapping[str, Any]]]]:
        """Read the waiting events, file by file; call `forget` for each file once all of its batches are recorded.

        Events are returned as written, without validation: one that is no longer accepted must not block the others.
        """
        for path in list(self._files()):
            lines = [line for line in path.read_bytes().split(b"\n") if line]
            whole = [line for line in lines if line.endswith(b"}")]  # a crash may have truncated the last line
            for start in range(0, len(whole), _LINES_AT_ONCE):
                chunk = whole[start : start + _LINES_AT_ONCE]
                yield path, [exact_json.loads(line) for line in chunk]

    def forget(self, path: Path) -> None:
        """Delete a file whose events are recorded."""
        path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        yield from sorted(self._directory.glob(self._names))
