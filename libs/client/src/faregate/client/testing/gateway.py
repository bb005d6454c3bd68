"""In-memory gateway for the tests of hosts."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx2

from faregate.client.leases.request import LEASES_PATH
from faregate.client.request_bodies import (
    END_PATH,
    EVENTS_PATH,
    EXTEND_PATH,
    FEEDBACK_PATH,
    LOG_PATH,
    QUOTE_PATH,
    START_PATH,
    USAGE_PATH,
    VOID_PATH,
    wallet_path,
)
from faregate.client.testing.bodies import check_ids, check_start, lines_in, request_identity
from faregate.client.testing.book import FakeBook, FakeUse, RefusedError
from faregate.client.testing.events import event_identity, event_problem
from faregate.client.testing.fake_leases import FakeLeases
from faregate.client.testing.pricing import FakePrice, Pricing, price_of, token_prices
from faregate.wire import clock, exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["FakeGateway"]

_TTL_SECONDS = 3600


class FakeGateway:
    """Answers the client's calls as the gateway does: holds, prices, shortfalls, conflicts.

    It has no plans, quotas, spending limits or operators' prices; every feature exists.

    Attributes:
        uses: by usage key.
        balances: balances of users that were charged; set one to change a user's balance.
        members: organisations by member id; uses of members are recorded and not charged.
        logs: the feature logs received.
        events: the usage events that counted.
        feedback: the feedback on uses, by usage key.
        dead_letters: settlements that were accepted by the queue and refused later, with the error's code.
        down: while True, every call fails to connect.
        refuse: features whose start is refused for every user.
        clock: returns the current time; replace it to let holds expire.
    """

    def __init__(self, *, balance: Decimal, hold: Decimal, pricing: Pricing | Mapping[str, Pricing] | None) -> None:
        self._book = FakeBook(balance)
        self.uses = self._book.uses
        self.balances = self._book.balances
        self.members: dict[str, str] = {}
        self.logs: list[Mapping[str, Any]] = []
        self.events: list[Mapping[str, Any]] = []
        self.feedback: dict[str, Mapping[str, Any]] = {}
        self.dead_letters: list[tuple[str, Mapping[str, Any]]] = []
        self.refuse: set[str] = set()
        self.down = False
        self.clock: Callable[[], datetime] = clock.now
        self._minimum = hold
        one: Pricing | None = None if isinstance(pricing, Mapping) else pricing
        self._named: Mapping[str, Pricing] = pricing if isinstance(pricing, Mapping) else {}
        self._pricing: Pricing = one or token_prices(clock=self._now)
        self._calls: Mapping[str, Callable[[Mapping[str, Any]], httpx2.Response]] = {
            START_PATH: self._start,
            END_PATH: self._end,
            VOID_PATH: self._void,
            EXTEND_PATH: self._extend,
            QUOTE_PATH: self._quote,
            USAGE_PATH: self._record,
            FEEDBACK_PATH: self._rate,
        }
        self._leases = FakeLeases(self._book, self._now)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        if self.down:
            raise httpx2.ConnectError("the fake gateway is down")
        self._book.expire(self.clock())
        path = request.url.path
        if request.method == "GET":
            return self._wallet(path.removeprefix(wallet_path("")))
        body = exact_json.loads_lenient(await request.aread())
        if path == LOG_PATH:
            return self._log(body)
        if path == EVENTS_PATH:
            return self._record_events(cast("list[Any]", body))
        try:
            if path == END_PATH and request.headers.get("prefer") == "respond-async":
                return self._enqueue(exact_json.mapping(body))
            if path.startswith(LEASES_PATH):
                return self._lease(path, exact_json.mapping(body))
            return self._calls[path](exact_json.mapping(body))
        except RefusedError as refusal:
            return _refusal(refusal)

    def free(self, user_id: str) -> Decimal:
        """Return a user's free credits: the balance without open holds."""
        self._book.expire(self.clock())
        return self._book.free(user_id)

    def _now(self) -> datetime:
        return self.clock()

    def _start(self, body: Mapping[str, Any]) -> httpx2.Response:
        check_ids(body, "user_id", "feature_endpoint_id", "usage_key")
        check_start(body)
        lines = lines_in(body, "estimated_usages")
        self._require_access(body["user_id"], body["feature_endpoint_id"])
        estimate = self._price(body["feature_endpoint_id"], lines)
        use = self._book.start(self._wanted(body, lines, estimate))
        facts: dict[str, Any] = {
            "status": "accessible",
            "feature_key": use.feature,
            "held": self._book.held(use.user_id),
            "hold": use.hold,
            "expires_at": use.expires_at,
            "charging": "recorded" if use.organization_id else "individual",
            "unpriced": estimate.unpriced,
            "limits_passed": [],
            "outage_limit_credits": None,
        }
        return _answer(200, {**self._state(use), **facts})

    def _wanted(self, body: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], estimate: FakePrice) -> FakeUse:
        """Return the use of a start request, with its hold."""
        user_id, feature = body["user_id"], body["feature_endpoint_id"]
        organization_id = self.members.get(user_id)
        fields = [body.get(name) for name in ("organization_id", "estimated_credits", "ttl_seconds")]
        hold = max(self._minimum, estimate.credits, Decimal(body.get("estimated_credits") or 0))
        return FakeUse(
            user_id,
            feature,
            body["usage_key"],
            hold=Decimal(0) if organization_id else hold,
            metadata=body.get("metadata"),
            organization_id=organization_id,
            expires_at=self.clock() + timedelta(seconds=body.get("ttl_seconds") or _TTL_SECONDS),
            started=request_identity(user_id, feature, *fields, lines=lines),
        )

    def _end(self, body: Mapping[str, Any]) -> httpx2.Response:
        check_ids(body, "user_id", "feature_endpoint_id", "usage_key")
        return _answer(200, self._settle(body, body["feature_endpoint_id"]).answer)

    def _enqueue(self, body: Mapping[str, Any]) -> httpx2.Response:
        """Accept a valid body; if its settlement is refused afterwards, it becomes a dead letter."""
        check_ids(body, "user_id", "feature_endpoint_id", "usage_key")
        lines_in(body)
        try:
            self._settle(body, body["feature_endpoint_id"])
        except RefusedError as refusal:
            self.dead_letters.append((refusal.code, body))
        return _answer(202, {"status": "processing", "usage_key": body["usage_key"]})

    def _settle(self, body: Mapping[str, Any], feature: str, *, in_full: bool = False) -> FakeUse:
        lines, key = lines_in(body), body["usage_key"]
        use = FakeUse(body["user_id"], feature, key, metadata=body.get("metadata"), usages=lines)
        known = self._book.uses.get(key)
        started = known is not None and known.started is not None
        named = None if started else body.get("organization_id")
        use.settled = request_identity(use.user_id, feature, key, named, lines=lines)
        first = self._book.settled_before(use)
        if first is not None:
            return first
        if in_full and not started:
            self._require_access(use.user_id, feature)
        use.organization_id = known.organization_id if known is not None else self.members.get(use.user_id)
        price = self._settled_price(feature, lines)
        done = self._book.settle(use, price, recorded=use.organization_id is not None, in_full=in_full)
        done.answer = self._outcome(done, price)
        return done

    def _outcome(self, use: FakeUse, price: FakePrice) -> Mapping[str, Any]:
        outcome = {name: getattr(use, name) for name in ("charged", "consumed", "shortfall", "flags")}
        facts = {"status": "returnable", "feature_key": use.feature, "details": price.details}
        return {**self._state(use), **facts, **outcome}

    def _void(self, body: Mapping[str, Any]) -> httpx2.Response:
        use = self._book.find(body["usage_key"], body["user_id"])
        self._book.void(use, body.get("reason"))
        return _answer(200, {**self._state(use), "status": "voided"})

    def _extend(self, body: Mapping[str, Any]) -> httpx2.Response:
        check_start(body)
        use = self._book.find(body["usage_key"], body["user_id"])
        ends = self._book.extend(use, self.clock(), body["ttl_seconds"])
        return _answer(200, {"usage_key": use.usage_key, "expires_at": ends})

    def _record(self, body: Mapping[str, Any]) -> httpx2.Response:
        check_ids(body, "user_id", "feature_key", "usage_key")
        use = self._settle(body, body["feature_key"], in_full=True)
        facts: dict[str, Any] = {
            "id": use.usage_key,
            "organization_id": use.organization_id,
            "feature_key": use.feature,
            "credits_consumed": use.consumed,
            "credits_charged": use.charged,
            "metadata": use.metadata or {},
            "executed_at": self.clock(),
        }
        return _answer(201, {**self._state(use), **facts})

    def _quote(self, body: Mapping[str, Any]) -> httpx2.Response:
        check_ids(body, "user_id", "feature_endpoint_id")
        check_start(body)
        user_id, feature = body["user_id"], body["feature_endpoint_id"]
        estimated, used = lines_in(body, "estimated_usages"), lines_in(body)
        self._require_access(user_id, feature)
        use = self._wanted({**body, "usage_key": ""}, estimated, self._price(feature, estimated or used))
        price = self._settled_price(feature, used or estimated)
        facts: dict[str, Any] = {
            "user_id": user_id,
            "feature_key": feature,
            "charging": "recorded" if use.organization_id else "individual",
            "credits": self._book.free(user_id),
            "hold": use.hold,
            "price": price.credits,
            "covered": bool(use.organization_id) or self._book.free(user_id) >= max(use.hold, price.credits),
            "unpriced": price.unpriced,
            "details": price.details,
        }
        return _answer(200, {"status": "quoted", **facts})

    def _lease(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        if path != LEASES_PATH:
            lease_id, _, action = path.removeprefix(f"{LEASES_PATH}/").rpartition("/")
            return _answer(200, self._leases.answer(lease_id, action, body))
        check_ids(body, "user_id", "feature_endpoint_id", "lease_id")
        check_start(body)
        self._require_access(body["user_id"], body["feature_endpoint_id"])
        return _answer(201, self._leases.take(body, self.members.get(body["user_id"])))

    def _wallet(self, owner_id: str) -> httpx2.Response:
        facts: dict[str, Any] = {
            "owner_id": owner_id,
            "credits": self._book.free(owner_id),
            "held": self._book.held(owner_id),
            "balance": self._book.balance(owner_id),
            "credit_limit": 0,
            "plan": None,
            "status": "active",
        }
        return _answer(200, facts)

    def _record_events(self, events: Sequence[Any]) -> httpx2.Response:
        """Count each valid event once by its source and id."""
        known = {event_identity(event) for event in self.events}
        rejected: list[Mapping[str, Any]] = []
        new: list[Mapping[str, Any]] = []
        for index, event in enumerate(map(exact_json.mapping, events)):
            problem = event_problem(event)
            if problem is not None:
                rejected.append({"index": index, "error": problem})
            elif event_identity(event) not in known:
                known.add(event_identity(event))
                new.append(event)
        self.events += new
        repeated = len(events) - len(rejected) - len(new)
        return _answer(202, {"accepted": len(new), "duplicates": repeated, "rejected": rejected})

    def _rate(self, body: Mapping[str, Any]) -> httpx2.Response:
        check_ids(body, "usage_key")
        use = self._book.uses.get(body["usage_key"])
        if use is None:
            raise RefusedError(404, "unknown_usage_key", f"No use is known by the key {body['usage_key']!r}")
        if body["score"] not in range(1, 6):
            raise RefusedError(422, "invalid", "score must be a whole number from 1 to 5", {"param": "score"})
        self.feedback[use.usage_key] = body
        return _answer(201, {**body, "user_id": use.user_id, "feature_key": use.feature})

    def _log(self, body: Any) -> httpx2.Response:
        records: list[Any] = cast("list[Any]", body) if isinstance(body, list) else [body]
        self.logs.extend(records)
        return _answer(201, {"id": str(new_uuid7()), "accepted": len(records), "rejected": []})

    def _require_access(self, user_id: str, feature: str) -> None:
        if feature in self.refuse:
            raise RefusedError(403, "feature_not_allowed", f"{user_id} may not use {feature}")

    def _price(self, feature: str, lines: Sequence[Mapping[str, Any]]) -> FakePrice:
        return price_of(self._named.get(feature, self._pricing), lines)

    def _settled_price(self, feature: str, lines: Sequence[Mapping[str, Any]]) -> FakePrice:
        """Return the price of a use; with an unpriced line, at least the minimum."""
        price = self._price(feature, lines)
        if not price.unpriced:
            return price
        return FakePrice(max(price.credits, self._minimum), price.details, price.unpriced)

    def _state(self, use: FakeUse) -> dict[str, Any]:
        free, balance = self._book.free(use.user_id), self._book.balance(use.user_id)
        return {"user_id": use.user_id, "usage_key": use.usage_key, "credits": free, "balance": balance}


def _answer(status: int, data: Mapping[str, Any]) -> httpx2.Response:
    content = {"success": True, "status": status, "message": "OK", "data": data}
    return httpx2.Response(status, content=exact_json.dumps(content))


def _refusal(refusal: RefusedError) -> httpx2.Response:
    detail = refusal.detail
    error = {"code": refusal.code, "detail": detail, **refusal.facts}
    content = {"success": False, "status": refusal.status, "message": detail, "data": {"message": detail}}
    return httpx2.Response(refusal.status, content=exact_json.dumps({**content, "error": error}))
