"""Webhook signatures of the Standard Webhooks specification.

HMAC-SHA256 over id, time and body (www.standardwebhooks.com).
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from faregate.core.errors import InvalidError

__all__ = ["TOLERANCE", "check_secret", "new_secret", "sign", "signed_headers", "verify"]

TOLERANCE = timedelta(minutes=5)
"""Maximum difference between a signature's time and now; a replayed one is older."""

_PREFIX = "whsec_"
_VERSION = "v1"
_SECRET_BYTES = 24
_LEAST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    """Return a new random secret, `whsec_` and base64, to be shown once."""
    return _PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def check_secret(secret: str, *, param: str = "secret") -> str:
    """Return `secret` if it is a valid signing secret, else raise `InvalidError` naming `param`."""
    _key(secret, param)
    return secret


def sign(secret: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """Return the signature of one message, `v1,<base64>`; `at` counts in whole seconds."""
    signed = f"{message_id}.{_seconds(at)}.".encode() + body
    digest = hmac.new(_key(secret, "secret"), signed, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def signed_headers(secrets: Sequence[str], *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers to send `body` with; while a secret is rotated, both sign.

    `message_id` stays the same when a message is sent again, so that a receiver can drop duplicates.
    """
    signatures = [sign(secret, message_id=message_id, at=at, body=body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(_seconds(at)),
        "webhook-signature": " ".join(signatures),
    }


def verify(
    secret: str, *, headers: Mapping[str, str], body: bytes, now: datetime, tolerance: timedelta = TOLERANCE
) -> None:
    """Return if one of the signatures in `headers` is valid and recent; for receivers.

    Raises:
        InvalidError: a header is missing, the time is outside `tolerance`, or no signature matches.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if not sent.get(name)]
    if missing:
        raise InvalidError(f"the header {missing[0]} is missing", param=missing[0])
    at = _moment(sent["webhook-timestamp"])
    if abs(now - at) > tolerance:
        raise InvalidError("webhook-timestamp is too far from now; it may be a replay", param="webhook-timestamp")
    expected = sign(secret, message_id=sent["webhook-id"], at=at, body=body)
    if not any(hmac.compare_digest(expected.encode(), given.encode()) for given in sent["webhook-signature"].split()):
        raise InvalidError("no signature matches the body and the secret", param="webhook-signature")


def _key(secret: str, param: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise InvalidError(
            f"{param} must be {_PREFIX} and the base64 of {_LEAST_BYTES} to {_MOST_BYTES} random bytes", param=param
        )
    return key


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidError("webhook-timestamp must be whole seconds since 1970", param="webhook-timestamp") from error
