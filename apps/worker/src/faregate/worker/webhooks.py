"""Delivery of webhooks: signatures, retries, log.

A delivery is retried for about three days; an endpoint that is gone or fails for days is disabled.
"""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.privacy.key_ring import KeyRing, SealedError
from faregate.core.webhooks import signing
from faregate.core.webhooks.egress import Egress, UnsafeUrlError
from faregate.core.webhooks.endpoints import open_secret
from faregate.wire import exact_json
from faregate.worker.posting import Poster, PostError
from faregate.worker.sql import CLAIM, ENDPOINTS, NAMES, RECORD

__all__ = ["RETRY_DELAYS", "WebhookDeliverer"]

log = get_logger(__name__)

RETRY_DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""How long to wait before each further attempt, with a tenth of jitter: ten attempts in about three days."""

_DISABLED_AFTER = timedelta(days=5)
_TIMEOUT_SECONDS = 15.0
_LEASE = timedelta(seconds=60)
_BATCH = 50
_HISTORY = 20


@dataclass(frozen=True, slots=True)
class _Outcome:
    delivery: Any
    status: int | None
    error: str | None
    duration_ms: int

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class WebhookDeliverer:
    """Sends deliveries that are due, at least once. Several workers share them; those of a worker that crashed are sent again."""

    def __init__(
        self,
        database: Database,
        egress: Egress,
        clock: IClock,
        *,
        ring: KeyRing | None = None,
        poll_seconds: float = 1.0,
    ) -> None:
        self._database = database
        self._poster = Poster(egress, timeout_seconds=_TIMEOUT_SECONDS)
        self._ring = ring or KeyRing()
        self._clock = clock
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, and finish deliveries that have begun."""
        while not stop.is_set():
            sent = 0
            try:
                sent = await self.deliver_due()
            except EngineUnavailableError as error:
                log.warning("webhooks_wait", reason=error.detail)
            except Exception:
                log.error("webhooks_interrupted", exc_info=True)
            if not sent:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll_seconds)

    async def deliver_due(self) -> int:
        """Send at most one batch of deliveries that are due; return the number of attempts."""
        async with self._database.transaction() as session:
            due = await self._database.rows(session, CLAIM, lease=_LEASE, limit=_BATCH)
            bodies: list[Any] = [exact_json.loads(bytes(row.payload)) for row in due]
            people: set[int] = {number for body in bodies for number in body["people"].values()}
            rows: Sequence[Any] = ()
            if people:
                rows = await self._database.rows(session, NAMES, ids=sorted(people))
        names: dict[int, str] = {row.subject_id: row.external_id for row in rows}
        if due:
            contents = [_content(row, body, names) for row, body in zip(due, bodies, strict=True)]
            sent = await asyncio.gather(*(self._send(row, content) for row, content in zip(due, contents, strict=True)))
            await self._record(sent)
        return len(due)

    async def _send(self, row: Any, body: bytes) -> _Outcome:
        began = self._clock.monotonic()
        status, error = None, None
        try:
            if row.disabled:
                raise UnsafeUrlError("the endpoint is disabled")
            stored = [row.secret, *([row.previous_secret] if row.previous_secret else [])]
            secrets = [open_secret(self._ring, row.endpoint_id, secret) for secret in stored]
            headers = signing.signed_headers(secrets, message_id=row.event_id, at=self._clock.now(), body=body)
            status = await self._poster.post(row.url, body, headers)
        except (UnsafeUrlError, SealedError) as refusal:
            error = refusal.detail
        except PostError as failure:
            error = str(failure)
        return _Outcome(row, status, error, round((self._clock.monotonic() - began) * 1000))

    async def _record(self, outcomes: Sequence[_Outcome]) -> None:
        decided = [self._decide(outcome) for outcome in outcomes]
        attempts = [
            exact_json.dumps(
                {
                    "at": self._clock.now().isoformat(),
                    "status": outcome.status,
                    "error": outcome.error,
                    "duration_ms": outcome.duration_ms,
                }
            ).decode()
            for outcome in outcomes
        ]
        by_endpoint = {o.delivery.endpoint_id: o for o in sorted(outcomes, key=lambda o: o.ok)}
        ids = sorted(by_endpoint)
        async with self._database.transaction() as session:
            await self._database.rows(
                session,
                RECORD,
                ids=[outcome.delivery.delivery_id for outcome in outcomes],
                statuses=[status for status, _ in decided],
                dues=[due for _, due in decided],
                attempts=attempts,
                history=_HISTORY,
            )
            await self._database.rows(
                session,
                ENDPOINTS,
                ids=ids,
                oks=[by_endpoint[number].ok for number in ids],
                gones=[by_endpoint[number].status == 410 for number in ids],
                patience=_DISABLED_AFTER,
            )

    def _decide(self, outcome: _Outcome) -> tuple[str, datetime | None]:
        """Return the new status of a delivery, and the time of the next attempt."""
        attempt: int = outcome.delivery.attempts
        if outcome.ok:
            return "delivered", None
        if outcome.status == 410 or outcome.delivery.disabled or attempt >= len(RETRY_DELAYS):
            return "failed", None
        jitter = random.uniform(0.9, 1.1)  # noqa: S311
        return "pending", self._clock.now() + RETRY_DELAYS[attempt] * jitter


def _content(row: Any, stored: Mapping[str, Any], names: Mapping[int, str]) -> bytes:
    """Return the body: `type`, `timestamp`, `data`; the id of a user erased in the meantime is null."""
    people = {field: names.get(number) for field, number in stored["people"].items()}
    return exact_json.dumps({"type": row.event_type, "timestamp": row.created_at, "data": {**stored["data"], **people}})
