"""Alert channels of the log and of a file."""

import asyncio
from pathlib import Path

from faregate.analytics.quotas.errors import DeliveryError
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.values import Alert
from faregate.analytics.quotas.wording import body_of, headline, sentence
from faregate.core.logging import get_logger
from faregate.core.runtime.private_files import make_private_directory, private_file
from faregate.wire import exact_json

__all__ = ["FileChannel", "LogChannel"]

log = get_logger(__name__)

_EVENTS = {
    "quota": "quota_alert",
    "anomaly": "usage_anomaly",
    "budget": "budget_alert",
    "objective": "objective_alert",
}


class LogChannel:
    """Writes each alert to the process's log, which goes to stderr."""

    name = "log"

    async def deliver(self, alert: Alert) -> None:
        write = log.error if alert.level is Level.EXCEEDED else log.warning
        write(_EVENTS[alert.about], alert=str(alert.id), owner=alert.owner_id, message=headline(alert))


class FileChannel:
    """Appends each alert to a file as one JSON line.

    The file is opened for each line, so that a rotated file is not kept open; each line is one write, so that lines of
    several processes do not mix.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def deliver(self, alert: Alert) -> None:
        line = exact_json.dumps({"message": sentence(alert), **body_of(alert)}) + b"\n"
        try:
            await asyncio.to_thread(self._append, line)
        except OSError as error:
            raise DeliveryError(f"{self._path} cannot be written: {error.strerror}") from error

    def _append(self, line: bytes) -> None:
        make_private_directory(self._path.parent)
        with private_file(self._path, append=True) as file:
            file.write(line)
