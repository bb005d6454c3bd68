"""Feature logs: redaction, ingest compared with raw COPY, and search."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any

from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, months_between
from faregate.core.redaction.records import Redactor
from faregate.core.runtime.gc_tuning import gc_paused
from faregate.core.values.uuids import uuid7_at
from faregate.feature_log.bodies import entry_of
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.repository import COLUMNS
from faregate.feature_log.service import FeatureLogService
from faregate.feature_log.values import LogFilter, Recorded, Route
from faregate.wire import exact_json

__all__ = ["Ingest", "Pace", "body", "fill", "fuzz", "measure_ingest", "measure_redaction", "measure_search"]

_WORDS = [
    "the",
    "quick",
    "model",
    "answers",
    "a",
    "question",
    "about",
    "rivers",
    "and",
    "mountains",
    "in",
    "plain",
    "words",
    "for",
    "every",
    "reader",
    "of",
    "the",
    "page",
]
_CANARY = "canary4f7a"
_SECRET_NAMES = (
    "password",
    "api_key",
    "Authorization",
    "refreshToken",
    "client-secret",
    "Set-Cookie",
    "pin",
    "session_id",
)
_SECRET_TEXTS = (
    f"sk-proj-{_CANARY}abcdefghijklmnop",
    f"Bearer {_CANARY}abcdef",
    f"eyJhbGciOiJIUzI1NiJ9.{_CANARY}abcdef.{_CANARY}",
    f"https://u:{_CANARY}@host/",
    f"/x?token={_CANARY}&page=2",
    f"{_CANARY}@example.com",
    f'{{"password": "{_CANARY}"}}',
    f"-----BEGIN PRIVATE KEY-----\n{_CANARY}\n-----END PRIVATE KEY-----",
)
_USERS, _FEATURES, _AREAS = 5_000, 20, ("chat", "papers", "images", "search", "speech")
_BATCHES_A_ROUND, _BATCHES_AT_ONCE = 8, 2
_CODES = (200,) * 40 + (201,) * 40 + (400, 403, 404, 429, 500)


@dataclass(frozen=True, slots=True)
class Pace:
    """Percentiles of a duration, in milliseconds unless the name gives another unit."""

    name: str
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Ingest:
    """Logs per second: from messages, with validation, redaction and deduplication; and by raw COPY of the same rows."""

    logs: int
    per_second: float
    raw_per_second: float

    @property
    def ratio(self) -> float:
        """Our rate divided by the raw rate."""
        return self.per_second / self.raw_per_second


def body(number: int, rng: random.Random) -> dict[str, Any]:
    """Return a log of about one kB, as a host sends it."""
    text = " ".join(rng.choices(_WORDS, k=60))
    return {
        "id": f"log-{number}",
        "feature_endpoint_value": f"feature-{rng.randrange(_FEATURES)}",
        "user_id": f"user-{rng.randrange(_USERS)}",
        "user_email": f"user-{rng.randrange(_USERS)}@example.com",
        "usage_key": str(uuid7_at(SystemClock().now())),
        "method": rng.choice(("GET", "POST")),
        "endpoint": f"/api/v1/{rng.choice(_AREAS)}/{rng.randrange(10**9)}/messages",
        "code": (code := rng.choice(_CODES)),
        "status": "failed" if code >= 400 else "success",
        "duration_ms": rng.randrange(5_000),
        "payload": {
            "model": "gpt-4o",
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": text}],
            "api_key": "k",
        },
        "response": {"id": number, "finish_reason": "stop", "text": text[:200], "usage": {"input_tokens": 100}},
    }


def measure_redaction(*, documents: int, seed: int) -> Pace:
    """Return microseconds per kB of payload."""
    rng, redactor, clock = random.Random(seed), Redactor(), SystemClock()  # noqa: S311
    took: list[float] = []
    for number in range(documents):
        document = body(number, rng)["payload"]
        size = len(exact_json.dumps(document)) / 1024
        began = clock.monotonic()
        redactor.value(document)
        took.append((clock.monotonic() - began) * 1_000_000 / size)
    return _pace("redaction, µs per kB", took)


def fuzz(*, payloads: int, seed: int) -> int:
    """Redact random payloads with secrets at any place; return how many still contain one."""
    rng, redactor = random.Random(seed), Redactor()  # noqa: S311
    return sum(_CANARY.encode() in exact_json.dumps(redactor.value(_random_value(rng, 0))) for _ in range(payloads))


async def measure_ingest(container: FeatureLogContainer, database: Database, *, logs: int, batch: int) -> Ingest:
    """Record `logs` as the worker does; every few batches, copy the same rows raw into the emptied table with its indexes.

    Ours: `batch` messages in a transaction, and the next batch is prepared while the database writes the last one. Raw:
    `batch` rows in a transaction, one after the other. Both sides alternate and each gives its median, so that a busy
    machine is equally busy for both.
    """
    rng, clock, service = random.Random(7), SystemClock(), container.service()  # noqa: S311
    await service.record([entry_of(body(-number, rng)) for number in range(1, batch)])
    ours: list[float] = []
    raw: list[float] = []
    size = min(logs, batch * _BATCHES_A_ROUND)
    for first in range(0, logs - size + 1, size):
        messages = [exact_json.dumps(body(number, rng)) for number in range(first, first + size)]
        batches = [messages[start : start + batch] for start in range(0, size, batch)]
        await _empty(database)
        began = clock.monotonic()
        await _record_all(service, batches)
        ours.append(clock.monotonic() - began)
        async with database.transaction() as session:
            rows = await database.rows(session, f"select {', '.join(COLUMNS)} from faregate.feature_log")  # noqa: S608
        if len(rows) != size:
            raise RuntimeError(f"{size} logs were sent and {len(rows)} stored")
        records = [tuple(row) for row in rows]
        await _empty(database)
        began = clock.monotonic()
        for start in range(0, size, batch):
            async with database.transaction() as session:
                await container.repository().add(session, records[start : start + batch])
        raw.append(clock.monotonic() - began)
    return Ingest(logs, size / median(ours), size / median(raw))


async def _record_all(service: FeatureLogService, batches: Sequence[Sequence[bytes]]) -> None:
    waiting = iter(batches)

    async def consume() -> None:
        for messages in waiting:
            with gc_paused():
                entries = [entry_of(exact_json.loads(message)) for message in messages]
            outcomes = await service.record(entries)
            if not all(isinstance(outcome, Recorded) for outcome in outcomes):
                raise RuntimeError("a log of the benchmark was refused")

    await asyncio.gather(*(consume() for _ in range(_BATCHES_AT_ONCE)))


async def fill(
    container: FeatureLogContainer,
    database: Database,
    *,
    logs: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Fill the table with `logs` of the last 90 days, by COPY."""
    rng, now, sealer = random.Random(11), SystemClock().now(), container.sealer()  # noqa: S311
    start = now - timedelta(days=90)
    await container.partitions().ensure(months_between(Month.of(start), Month.of(now)))
    routes = [Route(f"feature-{n}", "", f"/api/v1/{area}/{{id}}", "") for n in range(_FEATURES) for area in _AREAS]
    async with database.transaction() as session:
        numbers = list((await container.routes().ensure(session, routes)).values())
        subjects = await container.subjects().ensure(session, [f"user-{n}" for n in range(_USERS)])
    people = [(subjects[f"user-{n}"].subject_id, sealer.index(f"user-{n}@example.com")) for n in range(_USERS)]
    for first in range(0, logs, 20_000):
        rows = [
            _row(rng, start + (now - start) * (n / logs), people, numbers, n)
            for n in range(first, min(first + 20_000, logs))
        ]
        async with database.transaction() as session:
            await container.repository().add(session, rows)
        on_progress(first + len(rows))
    connection = await database.connect()
    await connection.execute("set statement_timeout = 0")
    await connection.execute(database.sql.text("vacuum analyze faregate.feature_log"))
    await connection.close()


async def measure_search(container: FeatureLogContainer, *, queries: int, logs: int) -> list[Pace]:
    """Return the latency of each filter, with 50 logs per page."""
    rng, clock, service = random.Random(13), SystemClock(), container.service()  # noqa: S311
    now = clock.now()

    def day() -> datetime:
        return (now - timedelta(days=rng.uniform(1, 89))).astimezone(UTC)

    database = container.database()

    async def nothing() -> None:
        async with database.transaction(read_only=True) as session:
            await database.rows(session, "select 1")

    filters: Mapping[str, Callable[[], LogFilter]] = {
        "newest": LogFilter,
        "user": lambda: LogFilter(user_id=f"user-{rng.randrange(_USERS)}"),
        "email": lambda: LogFilter(user_email=f"user-{rng.randrange(_USERS)}@example.com"),
        "feature": lambda: LogFilter(feature=f"feature-{rng.randrange(_FEATURES)}"),
        "usage_key": lambda: LogFilter(usage_key=f"use-{rng.randrange(logs)}"),
        "status": lambda: LogFilter(status=rng.choice(("success", "failed"))),
        "code": lambda: LogFilter(code=rng.choice((200, 403, 500, 418))),
        "method": lambda: LogFilter(method=rng.choice(("GET", "POST", "DELETE"))),
        "from, to": lambda: LogFilter(since=(at := day()), until=at + timedelta(hours=1)),
        "text in endpoint": lambda: LogFilter(text=rng.choice(_AREAS)),
        "text in feature": lambda: LogFilter(text=f"feature-1{rng.randrange(10)}"),
        "text: status": lambda: LogFilter(text="failed"),
        "user and feature": lambda: LogFilter(
            user_id=f"user-{rng.randrange(_USERS)}", feature=f"feature-{rng.randrange(_FEATURES)}"
        ),
    }  # fmt: skip
    idle: list[float] = []
    for _ in range(queries):
        began = clock.monotonic()
        await nothing()
        idle.append((clock.monotonic() - began) * 1000)
    paces = [_pace("(select 1, to compare)", idle)]
    for name, make in filters.items():
        took: list[float] = []
        for _ in range(queries):
            wanted = make()
            began = clock.monotonic()
            await service.find(wanted, limit=50)
            took.append((clock.monotonic() - began) * 1000)
        paces.append(_pace(name, took))
    return paces


def _row(
    rng: random.Random, at: datetime, people: Sequence[tuple[int, bytes]], routes: Sequence[int], number: int
) -> tuple[Any, ...]:
    subject_id, email_index = people[rng.randrange(_USERS)]
    code = rng.choice(_CODES)
    payload = b'{"model":"gpt-4o","max_tokens":1000,"messages":[{"role":"user","content":"which rivers flow there"}]}'
    return (
        *(at, uuid7_at(at), subject_id, rng.choice(routes), code, code >= 400, "POST" if number % 5 else "GET", 100),
        *(f"use-{number}", None, email_index, None, b"user@example.com", payload, b'{"text":"several"}', None, None),
    )


def _random_value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(8 if depth < 5 else 4)
    if kind == 0:
        return rng.choice(_SECRET_TEXTS)
    if kind == 1:
        return rng.choice([None, True, 7, 10**15, "", "plain words", "naïve ☂", "x" * rng.randrange(3000)])
    if kind == 2:
        return " ".join([*rng.choices(_WORDS, k=5), rng.choice(_SECRET_TEXTS), *rng.choices(_WORDS, k=3)])
    if kind == 3:
        return exact_json.dumps({rng.choice(_SECRET_NAMES): _CANARY, "n": rng.choice(_SECRET_TEXTS)}).decode()
    if kind < 6:
        names = [*_SECRET_NAMES, "name", "note", "items", "max_tokens"]
        chosen = {rng.choice(names): _random_value(rng, depth + 1) for _ in range(rng.randrange(5))}
        return {name: (_CANARY if name in _SECRET_NAMES else value) for name, value in chosen.items()}
    return [_random_value(rng, depth + 1) for _ in range(rng.randrange(5))]


async def _empty(database: Database) -> None:
    async with database.transaction() as session:
        await database.rows(session, "truncate faregate.feature_log, faregate.feature_log_key")


def _pace(name: str, took: Sequence[float]) -> Pace:
    cuts = quantiles(took, n=100, method="inclusive")
    return Pace(name, cuts[49], cuts[94], cuts[98])
