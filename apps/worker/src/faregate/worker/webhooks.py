"""Delivering webhooks: signed, tried again for days, logged; an endpoint that is gone or fails for days is switched off."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2

from faregate.core import exact_json, webhook_signing
from faregate.core.clock import IClock
from faregate.core.database import Database
from faregate.core.egress import Egress, Target, UnsafeUrlError
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger

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

_CLAIM = """
update faregate.webhook_delivery d set due_at = clock_timestamp() + cast(:lease as interval)
from (
  select w.delivery_id from faregate.webhook_delivery w
  where w.due_at <= clock_timestamp() order by w.due_at limit :limit for update skip locked
) due, faregate.webhook_endpoint e
where d.delivery_id = due.delivery_id and e.endpoint_id = d.endpoint_id
returning d.delivery_id, d.endpoint_id, d.event_id, d.event_type, d.payload, d.attempts, d.created_at, e.url, e.secret,
  case when e.previous_until > clock_timestamp() then e.previous_secret end as previous_secret,
  e.disabled_at is not null as disabled
"""
_NAMES = "select subject_id, external_id from faregate.subject where subject_id = any(cast(:ids as bigint[]))"
_RECORD = """
update faregate.webhook_delivery d
set status = r.status, attempts = d.attempts + 1, due_at = r.due_at,
  history = (select jsonb_agg(h order by n)
    from jsonb_array_elements(jsonb_build_array(r.attempt::jsonb) || d.history) with ordinality as x (h, n)
    where n <= :history)
from unnest(cast(:ids as uuid[]), cast(:statuses as text[]), cast(:dues as timestamptz[]), cast(:attempts as text[]))
  as r (id, status, due_at, attempt)
where d.delivery_id = r.id
"""
_ENDPOINTS = """
update faregate.webhook_endpoint e
set failing_since = case when r.ok then null else coalesce(e.failing_since, clock_timestamp()) end,
  disabled_at = coalesce(e.disabled_at, case when r.gone
    or (not r.ok and e.failing_since < clock_timestamp() - cast(:patience as interval)) then clock_timestamp() end),
  disabled_reason = coalesce(e.disabled_reason, case when r.gone then 'the receiver answered 410 Gone'
    when not r.ok and e.failing_since < clock_timestamp() - cast(:patience as interval)
    then 'every attempt of the last days has failed' end)
from unnest(cast(:ids as uuid[]), cast(:oks as bool[]), cast(:gones as bool[])) as r (id, ok, gone)
where e.endpoint_id = r.id
"""


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
    """Sends what is due. Several workers share the work; who dies leaves its part to be sent again: at least once."""

    def __init__(self, database: Database, egress: Egress, clock: IClock, *, poll_seconds: float = 1.0) -> None:
        self._database = database
        self._egress = egress
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._trusted: ssl.SSLContext | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; finishes what is on its way."""
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
        """Send what is due, at most a batch; return how many were tried."""
        async with self._database.transaction() as session:
            due = await self._database.rows(session, _CLAIM, lease=_LEASE, limit=_BATCH)
            bodies: list[Any] = [exact_json.loads(bytes(row.payload)) for row in due]
            people: set[int] = {number for body in bodies for number in body["people"].values()}
            rows: Sequence[Any] = ()
            if people:
                rows = await self._database.rows(session, _NAMES, ids=sorted(people))
        names: dict[int, str] = {row.subject_id: row.external_id for row in rows}
        if due:
            trusted = await self._trust()
            contents = [_content(row, body, names) for row, body in zip(due, bodies, strict=True)]
            sent = await asyncio.gather(
                *(self._send(row, content, trusted) for row, content in zip(due, contents, strict=True))
            )
            await self._record(sent)
        return len(due)

    async def _send(self, row: Any, body: bytes, trusted: ssl.SSLContext) -> _Outcome:
        began = self._clock.monotonic()
        status, error = None, None
        try:
            if row.disabled:
                raise UnsafeUrlError("the endpoint is disabled")
            target = await self._egress.target(row.url)
            secrets = [row.secret, *([row.previous_secret] if row.previous_secret else [])]
            headers = webhook_signing.signed_headers(secrets, message_id=row.event_id, at=self._clock.now(), body=body)
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                status = await _post(target, body, headers, trusted)
        except UnsafeUrlError as refusal:
            error = refusal.detail
        except TimeoutError:
            error = f"no answer within {_TIMEOUT_SECONDS:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as failure:
            error = type(failure).__name__
        return _Outcome(row, status, error, round((self._clock.monotonic() - began) * 1000))

    async def _trust(self) -> ssl.SSLContext:
        """Return whom we trust; reading all the authorities' certificates for each delivery would hold up everything else."""
        if self._trusted is None:
            self._trusted = await asyncio.to_thread(httpx2.create_ssl_context, trust_env=False)
        return self._trusted

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
                _RECORD,
                ids=[outcome.delivery.delivery_id for outcome in outcomes],
                statuses=[status for status, _ in decided],
                dues=[due for _, due in decided],
                attempts=attempts,
                history=_HISTORY,
            )
            await self._database.rows(
                session,
                _ENDPOINTS,
                ids=ids,
                oks=[by_endpoint[number].ok for number in ids],
                gones=[by_endpoint[number].status == 410 for number in ids],
                patience=_DISABLED_AFTER,
            )

    def _decide(self, outcome: _Outcome) -> tuple[str, datetime | None]:
        """Return the status of a delivery now, and when to try again."""
        attempt: int = outcome.delivery.attempts
        if outcome.ok:
            return "delivered", None
        if outcome.status == 410 or outcome.delivery.disabled or attempt >= len(RETRY_DELAYS):
            return "failed", None
        jitter = random.uniform(0.9, 1.1)  # noqa: S311
        return "pending", self._clock.now() + RETRY_DELAYS[attempt] * jitter


async def _post(target: Target, body: bytes, headers: Mapping[str, str], trusted: ssl.SSLContext) -> int:
    """Post to the address that was looked at; what the receiver says beside its status is not read."""
    url = httpx2.URL(target.url).copy_with(host=target.address)
    port = f":{target.port}" if httpx2.URL(target.url).port is not None else ""
    sent = {"host": f"{target.host}{port}", "content-type": "application/json", "user-agent": "Faregate", **headers}
    async with (
        httpx2.AsyncClient(verify=trusted, timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as http,
        http.stream("POST", url, content=body, headers=sent, extensions={"sni_hostname": target.host}) as answer,
    ):
        return answer.status_code


def _content(row: Any, stored: Mapping[str, Any], names: Mapping[int, str]) -> bytes:
    """Return the body: `type`, `timestamp`, `data`; who was erased meanwhile is null."""
    people = {field: names.get(number) for field, number in stored["people"].items()}
    return exact_json.dumps({"type": row.event_type, "timestamp": row.created_at, "data": {**stored["data"], **people}})
