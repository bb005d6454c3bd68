"""Restart of an embedded PostgreSQL after a crash."""

import asyncio
from collections.abc import Sequence

from faregate.core.clock import Deadline
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger

__all__ = ["EmbeddedKeeper"]

log = get_logger(__name__)

_CHECK_SECONDS = 0.5
_RETRY_DELAYS_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0)
_STABLE_SECONDS = 60.0


class EmbeddedKeeper:
    """Watches the server of this process and restarts it after a crash.

    The crash of a single backend is not handled here: PostgreSQL recovers from it.

    Args:
        retry_delays_seconds: waits between attempts that fail; after the last one the keeper gives up.
        stable_seconds: how long the server must have run for the count of attempts to be reset.
    """

    def __init__(
        self,
        server: EmbeddedServer,
        *,
        check_seconds: float = _CHECK_SECONDS,
        retry_delays_seconds: Sequence[float] = _RETRY_DELAYS_SECONDS,
        stable_seconds: float = _STABLE_SECONDS,
    ) -> None:
        self._server = server
        self._check_seconds = check_seconds
        self._retry_delays_seconds = retry_delays_seconds
        self._stable_seconds = stable_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the server running until `stop` is set.

        Raises:
            EngineUnavailableError: the last attempt to start it failed; the text holds the reason that its log gives.
        """
        failures, calm = 0, Deadline(self._stable_seconds)
        while not await _stopped_within(stop, self._check_seconds):
            if await asyncio.to_thread(self._server.server_pid) is not None:
                failures = 0 if calm.passed else failures
                continue
            if failures > len(self._retry_delays_seconds):
                raise self._given_up("it crashed repeatedly")
            if failures and await _stopped_within(stop, self._retry_delays_seconds[failures - 1]):
                return
            failures += 1
            await self._attempt(failures)
            calm = Deadline(self._stable_seconds)

    async def _attempt(self, number: int) -> None:
        facts = {
            "data_dir": str(self._server.data_dir),
            "attempt": number,
            "attempts": len(self._retry_delays_seconds) + 1,
        }
        log.error("embedded_postgres_died", log_file=str(self._server.log_file), **facts)
        try:
            await asyncio.to_thread(self._server.start_again)
        except (EngineUnavailableError, OSError) as error:
            if number > len(self._retry_delays_seconds):
                raise self._given_up(str(error)) from error
            log.warning(
                "embedded_postgres_not_restarted",
                reason=str(error),
                next_in=self._retry_delays_seconds[number - 1],
                **facts,
            )
        else:
            log.warning("embedded_postgres_restarted", **facts)

    def _given_up(self, reason: str) -> EngineUnavailableError:
        return EngineUnavailableError(
            f"the embedded PostgreSQL in {self._server.data_dir} could not be kept running "
            f"({len(self._retry_delays_seconds) + 1} attempts); see {self._server.log_file}: {reason}"
        )


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `stop`, at most the given time; True if it is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
