"""Conversion of log entries to rows: redact, digest, encrypt.

This module uses no database.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from faregate.core.errors import FaregateError, InvalidError
from faregate.core.redaction.records import IRedactor
from faregate.core.values.uuids import uuid7_at, uuid_of
from faregate.feature_log.routes import endpoint_template, split_endpoint
from faregate.feature_log.sealing import Sealer, email_text
from faregate.feature_log.values import BODY_COLUMNS, FeatureNames, LogEntry, Route

__all__ = ["PreparedLog", "Preparer", "json_text"]

_BODY_LIMIT_BYTES = 65_536
_ID_WINDOW = timedelta(days=400)
_BODY_WINDOW = timedelta(hours=24)
_REDACTED = (*BODY_COLUMNS, "endpoint", "type")
_AHEAD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class PreparedLog:
    """A row of `feature_log` without the numbers of subject and route; `digest` identifies a repeated entry."""

    log_id: UUID
    logged_at: datetime
    digest: UUID
    digest_expires_at: datetime
    user_id: str
    route: Route
    cells: tuple[Any, ...]
    """code, failed, method, duration_ms, usage_key, endpoint, email_index, key_id, email, payload, response, params, query"""


class Preparer:
    """Decides what of an entry is stored."""

    def __init__(self, redactor: IRedactor, sealer: Sealer, *, retention: timedelta) -> None:
        self._redactor = redactor
        self._sealer = sealer
        self._retention = retention

    def prepare(self, entry: LogEntry, names: FeatureNames, now: datetime) -> PreparedLog | FaregateError:
        """Return the row, or why the entry cannot be stored."""
        at = entry.time or now
        if not now - self._retention <= at <= now + _AHEAD:
            days = self._retention.days
            return InvalidError(f"time: must lie within the last {days} days, and not ahead of now", param="time")
        log_id = uuid7_at(at)
        kept = self._redactor.value({name: getattr(entry, name) for name in _REDACTED})
        texts = [_body(kept[column]) for column in BODY_COLUMNS]
        endpoint = kept["endpoint"] or ""
        digest, expires_at = self._digest(entry, texts, now)
        email = email_text(entry.user_email) if entry.user_email else None
        if self._sealer.key_id is not None:
            endpoint, kept["query"] = _split_query(endpoint, kept["query"])
            texts = [*texts[:-1], _body(kept["query"])]
        seal = self._sealer.seal
        template = endpoint_template(endpoint, entry.user_id)
        return PreparedLog(
            log_id=log_id,
            logged_at=at,
            digest=digest,
            digest_expires_at=expires_at,
            user_id=entry.user_id,
            route=Route(names.value or names.id or "", names.id or "", template, kept["type"] or ""),
            cells=(
                entry.code,
                entry.status == "failed",
                entry.method,
                entry.duration_ms,
                entry.usage_key,
                endpoint if endpoint != template else None,
                self._sealer.index(email) if email else None,
                self._sealer.key_id,
                seal("email", log_id, email.encode() if email else None),
                *(seal(column, log_id, text) for column, text in zip(BODY_COLUMNS, texts, strict=True)),
            ),
        )

    def _digest(self, entry: LogEntry, texts: Sequence[bytes | None], now: datetime) -> tuple[UUID, datetime]:
        """Return the digest of the caller's id, or else of the stored texts; they are redacted, so that the digest reveals no
        secret.
        """
        if entry.id is not None:
            return uuid_of(blake2b(b"id\0" + entry.id.encode(), digest_size=16).digest()), now + _ID_WINDOW
        facts = (
            *(entry.user_id, entry.user_email, entry.feature.id, entry.feature.value, entry.usage_key, entry.method),
            *(entry.code, entry.status, entry.endpoint, entry.type, entry.duration_ms, entry.time),
        )
        hasher = blake2b(repr(facts).encode(), digest_size=16)
        for text in texts:
            hasher.update(b"\0-" if text is None else b"\0+" + text)
        return uuid_of(hasher.digest()), now + _BODY_WINDOW


def _split_query(endpoint: str, query: dict[str, Any] | None) -> tuple[str, dict[str, Any] | None]:
    """Return the path of an endpoint, which may be stored in clear, and the query including the endpoint's query string, to be
    encrypted.
    """
    path, found = split_endpoint(endpoint)
    return path, {**found, **(query or {})} if found else query


def _body(body: Any) -> bytes | None:
    if body is None:
        return None
    text = json_text(body)
    if len(text) > _BODY_LIMIT_BYTES:
        return json_text({"[too large]": f"{len(text)} bytes", "keys": sorted(body)[:100]})
    return text


def json_text(value: Any) -> bytes:
    """Return JSON that keeps the digits of numbers."""
    try:
        return orjson.dumps(value, default=_number)
    except TypeError:  # an integer of more than 64 bits, an unpaired surrogate
        pass
    try:
        return _ENCODER.encode(value).encode(errors="replace")
    except (ValueError, TypeError, RecursionError):
        return b'"[unreadable]"'


def _number(value: Any) -> Any:
    """Return a decimal as the float that prints the same digits, or as text if there is none."""
    if isinstance(value, Decimal):
        short = float(value)
        return short if Decimal(repr(short)) == value else str(value)
    return f"[{type(value).__name__}]"


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_number, separators=(",", ":"))
