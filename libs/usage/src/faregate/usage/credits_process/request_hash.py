"""Hashes of the meaning of starts and settlements. Pure.

Two calls are the same if their meaning is, whatever their bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from faregate.core.errors import FaregateError
from faregate.core.redaction.scrubbing import clean_metadata
from faregate.usage.values import ModelUsage, Price, StartRequest, Use
from faregate.wire import exact_json

__all__ = ["has_same_price", "settle_meaning", "start_meaning"]


def settle_meaning(
    *,
    user_id: str,
    feature_key: str,
    usage_key: str,
    usages: Iterable[ModelUsage],
    organization_id: str | None = None,
) -> bytes:
    """Return the hash of a settlement: user, resolved feature, key, normalised lines and the costs reported for them.

    `organization_id` is the organisation that a settlement without a start names: it decides who pays. Not part of the
    meaning are duration, metadata (see `has_same_price`), the order of lines, and the call (`end` or `end-multimodel`)
    that brought them.
    """
    meaning = [user_id, feature_key, usage_key, sorted(map(_line, usages))]
    return _hash(meaning if organization_id is None else [*meaning, organization_id])


def has_same_price(
    price: Callable[[Use], Price], use: Use, *, first: Mapping[str, Any] | None, again: Mapping[str, Any] | None
) -> bool:
    """Tell whether a repeated call's metadata gives the price of the first call's.

    Metadata is part of a call's meaning as far as `price` reads it. Both sides are priced by today's rules, so that a
    change of prices or parameters between the calls makes no difference; metadata that is equal is not priced. Where
    today's rules refuse the first call's metadata, they cannot tell, and the repetition is taken for one.
    """
    before, now = first or {}, again or {}
    if now == before or clean_metadata(now) == before:
        return True
    try:
        first_price = price(replace(use, metadata=before))
    except FaregateError:
        return True
    try:
        return price(replace(use, metadata=now)) == first_price
    except FaregateError:
        return False


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
    """A cost that the provider reported belongs to a line, since the deployment may price by it."""
    tokens = {name: count for name, count in sorted(usage.tokens.items()) if count}
    parts = [usage.model, usage.provider, usage.service_tier, usage.unit, usage.quantity, tokens]
    cost = usage.reported_cost_usd
    return exact_json.dumps(parts if cost is None else [*parts, cost]).decode()


def _hash(meaning: list[Any]) -> bytes:
    return sha256(exact_json.dumps(meaning)).digest()
