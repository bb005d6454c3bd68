"""What makes two calls the same: hashes over their meaning, not over their bytes."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from faregate.core import exact_json
from faregate.usage.values import ModelUsage, StartRequest

__all__ = ["settle_meaning", "start_meaning"]


def settle_meaning(*, user_id: str, feature_key: str, usage_key: str, usages: Iterable[ModelUsage]) -> bytes:
    """Return the hash of a settlement: user, resolved feature, key and normalised lines.

    Not of duration, metadata, the order of lines, or the call (`end` or `end-multimodel`) that brought them.
    """
    return _hash([user_id, feature_key, usage_key, sorted(map(_line, usages))])


def start_meaning(request: StartRequest, *, feature_key: str) -> bytes:
    """Return the hash of a start: user, organisation as named, feature and estimate; not of metadata or e-mail."""
    return _hash(
        [
            request.user_id,
            request.organization_id,
            feature_key,
            sorted(map(_line, request.estimated_usages)),
            request.estimated_credits,
            request.ttl_seconds,
        ]
    )


def _line(usage: ModelUsage) -> str:
    tokens = {name: count for name, count in sorted(usage.tokens.items()) if count}
    parts = [usage.model, usage.provider, usage.service_tier, usage.unit, usage.quantity, tokens]
    return exact_json.dumps(parts).decode()


def _hash(meaning: list[Any]) -> bytes:
    return sha256(exact_json.dumps(meaning)).digest()
