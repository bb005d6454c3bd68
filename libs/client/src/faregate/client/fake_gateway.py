"""A gateway in memory, for the tests of hosts: no server, no database, the real client in front."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import httpx2

from faregate.client import exact_json
from faregate.client.clock import now
from faregate.client.ids import new_usage_key

__all__ = ["FakeGateway", "FakeUse", "one_credit"]

Pricing = Callable[[Sequence[Mapping[str, Any]]], Decimal]


def one_credit(usages: Sequence[Mapping[str, Any]]) -> Decimal:  # noqa: ARG001
    """Price every use at one credit."""
    return Decimal(1)


@dataclass
class FakeUse:
    """One use as the fake knows it; `status` is open, settled or voided."""

    user_id: str
    feature: str
    usage_key: str
    hold: Decimal = Decimal(0)
    status: str = "open"
    usages: Sequence[Mapping[str, Any]] = ()
    charged: Decimal = Decimal(0)
    metadata: Mapping[str, Any] | None = None
    reason: str | None = None


class FakeGateway:
    """Answers the client's calls as the gateway would, by simpler rules.

    Attributes:
        uses: by usage key.
        logs: the feature logs that came.
        down: while True, nobody answers.
        refuse: features that this user may not use.
    """

    def __init__(self, *, balance: Decimal, hold: Decimal, pricing: Pricing) -> None:
        self.balances: dict[str, Decimal] = {}
        self.uses: dict[str, FakeUse] = {}
        self.logs: list[Mapping[str, Any]] = []
        self.refuse: set[str] = set()
        self.down = False
        self._balance = balance
        self._hold = hold
        self._pricing = pricing
        self._calls: Mapping[str, Callable[[Any], httpx2.Response]] = {
            "/api/credits-process/start": self._start,
            "/api/credits-process/end-multimodel": self._end,
            "/api/credits-process/void": self._void,
            "/api/credits-process/extend": self._extend,
            "/api/usage": self._record,
            "/api/feature-usage-logs": self._log,
        }

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        if self.down:
            raise httpx2.ConnectError("the fake gateway is down")
        body = exact_json.loads(await request.aread())
        answer = self._calls[request.url.path](body)
        if request.headers.get("prefer") == "respond-async" and answer.is_success:
            return _answer(202, {"status": "processing", "usage_key": _key_in(body)})
        return answer

    def free(self, user_id: str) -> Decimal:
        """Return what a user has and no open use holds."""
        held = sum(
            (use.hold for use in self.uses.values() if use.user_id == user_id and use.status == "open"), Decimal(0)
        )
        return self.balances.get(user_id, self._balance) - held

    def _start(self, body: Mapping[str, Any]) -> httpx2.Response:
        user_id, feature, key = body["user_id"], body["feature_endpoint_id"], body["usage_key"]
        if feature in self.refuse:
            return _refusal(403, "feature_not_allowed", f"{user_id} may not use {feature}")
        hold = Decimal(body.get("estimated_credits", self._hold))
        if key not in self.uses:
            if self.free(user_id) < hold:
                facts = {"balance": self.free(user_id), "required": hold}
                return _refusal(402, "insufficient_credits", "Insufficient credits", facts)
            self.uses[key] = FakeUse(user_id, feature, key, hold, metadata=body.get("metadata"))
        return _answer(
            200,
            {
                **self._state(self.uses[key]),
                "status": "accessible",
                "held": hold,
                "hold": hold,
                "expires_at": now() + timedelta(hours=1),
                "charging": "individual",
            },
        )

    def _end(self, body: Mapping[str, Any]) -> httpx2.Response:
        key = body["usage_key"]
        use = self.uses.setdefault(key, FakeUse(body["user_id"], body["feature_endpoint_id"], key))
        if use.status != "settled":
            use.usages, use.metadata = body["usages"], body.get("metadata") or use.metadata
            use.charged = self._pricing(use.usages)
            use.status = "settled"
            self.balances[use.user_id] = self.balances.get(use.user_id, self._balance) - use.charged
        outcome: dict[str, Any] = {
            "charged": use.charged,
            "consumed": use.charged,
            "shortfall": 0,
            "flags": [],
            "details": use.usages,
        }
        return _answer(200, {**self._state(use), "status": "returnable", **outcome})

    def _void(self, body: Mapping[str, Any]) -> httpx2.Response:
        use = self.uses.get(body["usage_key"])
        if use is None:
            return _refusal(404, "unknown_usage_key", "no use has this key")
        if use.status == "settled":
            return _refusal(409, "already_settled", "this use is settled already")
        use.status, use.reason = "voided", body.get("reason")
        return _answer(200, {**self._state(use), "status": "voided"})

    def _extend(self, body: Mapping[str, Any]) -> httpx2.Response:
        return _answer(200, {"expires_at": now() + timedelta(seconds=body["ttl_seconds"])})

    def _record(self, body: Mapping[str, Any]) -> httpx2.Response:
        started = self._start({**body, "feature_endpoint_id": body["feature_key"]})
        if not started.is_success:
            return started
        self._end({**body, "feature_endpoint_id": body["feature_key"], "usages": body.get("usages", [])})
        use = self.uses[body["usage_key"]]
        told = {
            "id": use.usage_key,
            "organization_id": body.get("organization_id"),
            "feature_key": use.feature,
            "credits_consumed": use.charged,
            "credits_charged": use.charged,
            "metadata": use.metadata or {},
            "executed_at": now(),
        }
        return _answer(201, {**self._state(use), **told})

    def _log(self, body: Any) -> httpx2.Response:
        records: list[Any] = cast("list[Any]", body) if isinstance(body, list) else [body]
        self.logs.extend(records)
        return _answer(201, {"id": new_usage_key(), "accepted": len(records), "rejected": []})

    def _state(self, use: FakeUse) -> dict[str, Any]:
        free, balance = self.free(use.user_id), self.balances.get(use.user_id, self._balance)
        return {"user_id": use.user_id, "usage_key": use.usage_key, "credits": free, "balance": balance}


def _key_in(body: Any) -> str | None:
    return exact_json.mapping(body).get("usage_key")


def _answer(status: int, data: Mapping[str, Any]) -> httpx2.Response:
    content = {"success": True, "status": status, "message": "OK", "data": data}
    return httpx2.Response(status, content=exact_json.dumps(content))


def _refusal(status: int, code: str, detail: str, facts: Mapping[str, Any] | None = None) -> httpx2.Response:
    error = {"code": code, "detail": detail, **(facts or {})}
    content = {"success": False, "status": status, "message": detail, "data": {"message": detail}, "error": error}
    return httpx2.Response(status, content=exact_json.dumps(content))
