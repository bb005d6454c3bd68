"""Leases of the in-memory gateway.

Blocks are open holds of its book, and reported uses are drawn from them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.client.testing.bodies import check_ids, request_identity
from faregate.client.testing.book import FakeBook, FakeUse, RefusedError
from faregate.client.testing.pricing import FakePrice
from faregate.wire.exact_json import mapping

__all__ = ["FakeLeases"]

_NOTHING = Decimal(0)
_TTL_SECONDS = 60


class FakeLeases:
    """Answers the calls of leases by the rules of the gateway; a late use is charged however long the lease has ended."""

    def __init__(self, book: FakeBook, clock: Callable[[], datetime]) -> None:
        self._book = book
        self._clock = clock

    def take(self, body: Mapping[str, Any], organization_id: str | None) -> Mapping[str, Any]:
        """Answer the call that takes a lease."""
        user_id, feature = body["user_id"], body["feature_endpoint_id"]
        ttl = body.get("ttl_seconds") or _TTL_SECONDS
        lease = FakeUse(
            user_id,
            feature,
            body["lease_id"],
            hold=_NOTHING if organization_id else Decimal(body["credits"]),
            organization_id=organization_id,
            expires_at=self._clock() + timedelta(seconds=ttl),
            started=request_identity(user_id, feature, body["credits"], ttl, lines=()),
        )
        return _state(self._book.start(lease))

    def answer(self, lease_id: str, action: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a call about one lease: `renew`, `report` or `release`."""
        lease = self._book.uses.get(lease_id)
        if lease is None:
            raise RefusedError(404, "unknown_usage_key", f"No use is known by the key {lease_id!r}; start one first")
        if action == "report":
            return self._report(lease, body)
        if action == "renew":
            self._renew(lease, body)
        elif lease.status == "open":
            self._book.void(lease, "released")
        return _state(lease)

    def _renew(self, lease: FakeUse, body: Mapping[str, Any]) -> None:
        self._book.extend(lease, self._clock(), body["ttl_seconds"])
        if lease.organization_id is None:
            more = min(Decimal(body.get("credits") or 0) - lease.hold, self._book.free(lease.user_id))
            lease.hold += max(more, _NOTHING)

    def _report(self, lease: FakeUse, body: Mapping[str, Any]) -> Mapping[str, Any]:
        known = set(self._book.uses)
        uses = [self._reported(lease, mapping(use)) for use in body["uses"]]
        charged = sum((use["charged"] for use in uses if use["usage_key"] not in known), _NOTHING)
        answers = [{**use, "replayed": use["usage_key"] in known and use["code"] is None} for use in uses]
        return {**_state(lease), "charged": charged, "uses": answers}

    def _reported(self, lease: FakeUse, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            check_ids({"user_id": lease.user_id, **body}, "usage_key")
            use = self._charged(lease, body["usage_key"], Decimal(body["credits"]))
        except RefusedError as refusal:
            refused: dict[str, Any] = {"charged": _NOTHING, "shortfall": _NOTHING, "flags": []}
            return {"usage_key": body.get("usage_key"), **refused, "code": refusal.code, "detail": refusal.detail}
        facts = {"charged": use.charged, "shortfall": use.shortfall, "flags": list(use.flags)}
        return {"usage_key": use.usage_key, **facts, "code": None, "detail": None}

    def _charged(self, lease: FakeUse, key: str, credits: Decimal) -> FakeUse:
        use = FakeUse(lease.user_id, lease.feature, key, metadata={"lease": lease.usage_key})
        use.settled = request_identity(lease.user_id, lease.feature, key, credits.normalize(), lines=())
        first = self._book.settled_before(use)
        if first is not None:
            return first
        use.organization_id = lease.organization_id
        late, over = lease.status != "open", lease.organization_id is None and credits > lease.hold
        if not late:
            lease.hold -= min(credits, lease.hold)
        recorded = lease.organization_id is not None
        done = self._book.settle(use, FakePrice(credits), recorded=recorded, in_full=False)
        kept = [flag for flag in done.flags if flag != "no_hold"]
        done.flags = (["late"] if late else ["over_hold"] if over else []) + kept
        return done


def _state(lease: FakeUse) -> dict[str, Any]:
    return {
        "lease_id": lease.usage_key,
        "user_id": lease.user_id,
        "feature_key": lease.feature,
        "status": lease.status,
        "credits": lease.hold if lease.status == "open" else _NOTHING,
        "expires_at": lease.expires_at,
        "charging": "recorded" if lease.organization_id else "individual",
    }
