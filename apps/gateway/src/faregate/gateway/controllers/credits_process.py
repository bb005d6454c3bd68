"""Controller of `/api/credits-process`: start, settle, extend, void, story."""

from decimal import Decimal

from faregate.analytics.answers.story import Storyteller
from faregate.core.errors import FaregateError
from faregate.core.messaging.interfaces import ITransport, OutgoingMessage
from faregate.credit.errors import (
    AlreadySettledError,
    HoldClosedError,
    HoldMismatchError,
    InsufficientCreditsError,
    SpendingLimitError,
    UnknownUsageKeyError,
    UsageKeyConflictError,
    WalletClosedError,
    WalletFrozenError,
)
from faregate.gateway.http.operation import Audit, Call, Controller, Refusal, Reply, link, operation
from faregate.gateway.observability.metrics import GatewayMetrics
from faregate.gateway.schemas.credits_process import (
    EndAnswer,
    ExtendAnswer,
    ProcessingAnswer,
    StartAnswer,
    UseQuoteAnswer,
    VoidAnswer,
    end_answer,
    start_answer,
    use_quote_answer,
)
from faregate.gateway.schemas.story import StoryAnswer, story_answer
from faregate.gateway.security.auth import Scope
from faregate.usage.accounts.wallets import WalletService
from faregate.usage.credits_process.bodies import (
    EndBody,
    EndMultimodelBody,
    ExtendBody,
    SettlementBody,
    StartBody,
    UseQuoteBody,
    VoidBody,
)
from faregate.usage.errors import (
    FeatureInactiveError,
    FeatureNotAllowedError,
    NotAMemberError,
    UnknownFeatureError,
    UnknownOrganizationError,
    UnpricedError,
)
from faregate.usage.service import UsageService
from faregate.wire import exact_json
from faregate.wire.credits import to_credits
from faregate.wire.ids import new_uuid7
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE, SPENDER_HEADER

__all__ = ["CreditsProcessController"]

_SCOPE = Scope.CREDITS_PROCESS
_MEMBERSHIP = (UnknownOrganizationError, NotAMemberError)
_CLOSED = (AlreadySettledError, HoldClosedError)
_USE = {"usage_key": "usage_key", "user_id": "user_id"}
_SAME_FEATURE = {name: f"$request.body#/{name}" for name in ("feature_endpoint_id", "feature_endpoint_value")}
_STORY = link("credits-process.story", path={"usage_key": "usage_key"})


class CreditsProcessController(Controller):
    """The phases of the credits process over HTTP."""

    def __init__(
        self,
        usage: UsageService,
        wallets: WalletService,
        transport: ITransport,
        stories: Storyteller,
        metrics: GatewayMetrics,
    ) -> None:
        self._metrics = metrics
        self._stories = stories
        self._usage = usage
        self._wallets = wallets
        self._transport = transport

    @operation(
        "POST",
        "/api/credits-process/start",
        scope=_SCOPE,
        answer=StartAnswer,
        errors=(
            UnknownFeatureError,
            FeatureInactiveError,
            FeatureNotAllowedError,
            UnpricedError,
            *_MEMBERSHIP,
            InsufficientCreditsError,
            SpendingLimitError,
            WalletClosedError,
            WalletFrozenError,
            UsageKeyConflictError,
            *_CLOSED,
        ),
        links={
            "settle": link("credits-process.end_multimodel", body={**_USE, **_SAME_FEATURE}),
            "settleOneModel": link("credits-process.end", body={**_USE, **_SAME_FEATURE}),
            "extend": link("credits-process.extend", body=_USE),
            "cancel": link("credits-process.void", body=_USE),
            "status": _STORY,
        },
    )
    async def start(self, call: Call, body: StartBody) -> StartAnswer:
        """Authorise a use and hold its credits."""
        if body.usage_key is None and call.derived_key is not None:
            body = body.model_copy(update={"usage_key": call.derived_key})
        try:
            return start_answer(await self._usage.authorize(body.request(spender=call.spender)))
        except FaregateError as refusal:
            raise Refusal(refusal, await self._refusal_data(body.user_id, refusal)) from refusal

    @operation(
        "POST",
        "/api/credits-process/quote",
        scope=_SCOPE,
        answer=UseQuoteAnswer,
        errors=(
            UnknownFeatureError,
            FeatureInactiveError,
            FeatureNotAllowedError,
            UnpricedError,
            *_MEMBERSHIP,
            WalletClosedError,
            WalletFrozenError,
        ),
        audit=Audit.NEVER,
    )
    async def quote(self, body: UseQuoteBody) -> UseQuoteAnswer:
        """Return what a start would hold and what the usage would cost now, without storing anything.

        Without `usages` the estimated usages are priced; without an estimate `usages` are the estimate. Too few credits are no
        error: `covered` tells whether the payer's credits cover both the hold and the price. Spending limits are not looked at.
        """
        return use_quote_answer(await self._usage.quote(body.request(), usages=body.used()))

    @operation(
        "POST",
        "/api/credits-process/end-multimodel",
        scope=_SCOPE,
        answer=EndAnswer,
        also={202: ProcessingAnswer},
        errors=(UnknownFeatureError, *_MEMBERSHIP, HoldMismatchError, UsageKeyConflictError),
        links={"status": _STORY},
    )
    async def end_multimodel(self, call: Call, body: EndMultimodelBody) -> Reply:
        """Settle a use with one line for each model."""
        return await self._settle(call, body, SETTLE_MULTIMODEL_QUEUE)

    @operation(
        "POST",
        "/api/credits-process/end",
        scope=_SCOPE,
        answer=EndAnswer,
        also={202: ProcessingAnswer},
        errors=(UnknownFeatureError, *_MEMBERSHIP, HoldMismatchError, UsageKeyConflictError),
        links={"status": _STORY},
    )
    async def end(self, call: Call, body: EndBody) -> Reply:
        """Settle a use of a single model."""
        return await self._settle(call, body, SETTLE_QUEUE)

    @operation(
        "POST",
        "/api/credits-process/extend",
        scope=_SCOPE,
        answer=ExtendAnswer,
        errors=(UnknownUsageKeyError, HoldMismatchError, *_CLOSED),
    )
    async def extend(self, body: ExtendBody) -> ExtendAnswer:
        """Extend an open hold."""
        ends = await self._usage.extend(body.usage_key, user_id=body.user_id, ttl_seconds=body.ttl_seconds)
        return ExtendAnswer(usage_key=body.usage_key, expires_at=ends)

    @operation(
        "POST",
        "/api/credits-process/void",
        scope=_SCOPE,
        answer=VoidAnswer,
        errors=(UnknownUsageKeyError, HoldMismatchError, *_CLOSED),
        rehearsable=True,
    )
    async def void(self, body: VoidBody) -> VoidAnswer:
        """Void a hold: close it without a charge."""
        voided = await self._usage.void(body.usage_key, user_id=body.user_id, reason=body.reason)
        return VoidAnswer(
            user_id=body.user_id,
            usage_key=body.usage_key,
            credits=to_credits(voided.wallet.free),
            balance=to_credits(voided.wallet.balance),
            message="Voided; nothing was charged",
        )

    @operation(
        "GET",
        "/api/credits-process/{usage_key}",
        scope=_SCOPE,
        answer=StoryAnswer,
        errors=(UnknownUsageKeyError,),
        audit=Audit.PERSONAL,
    )
    async def story(self, usage_key: str) -> StoryAnswer:
        """Return everything about one use: hold, outcome, lines, transactions, usage events and feature logs."""
        use, story = await self._stories.tell(usage_key)
        return story_answer(story, use)

    async def _settle(self, call: Call, body: SettlementBody, queue: str) -> Reply:
        usage_key, keyless = _usage_key(call, body)
        if call.prefers_async:
            return await self._enqueue(call, body, usage_key, queue)
        settled = await self._usage.settle(body.request(usage_key, keyless=keyless, spender=call.spender))
        self._metrics.settled(settled)
        return Reply(end_answer(settled))

    async def _enqueue(self, call: Call, body: SettlementBody, usage_key: str, queue: str) -> Reply:
        spender = {SPENDER_HEADER: call.spender} if call.spender is not None else {}
        await self._transport.publish(queue, [OutgoingMessage(exact_json.dumps(body.message(usage_key)), spender)])
        answer = ProcessingAnswer(usage_key=usage_key, message="Accepted; it will be settled by the queue")
        return Reply(answer, message="Accepted", status=202, headers={"preference-applied": "respond-async"})

    async def _refusal_data(self, user_id: str, refusal: FaregateError) -> dict[str, object]:
        data: dict[str, object] = {"status": "not-accessible", "user_id": user_id}
        if isinstance(refusal, InsufficientCreditsError | SpendingLimitError):
            return data | {"credits": refusal.balance, "required": refusal.required}
        if refusal.retryable:
            return data | {"credits": Decimal(0)}
        return data | {"credits": await self._wallets.free(user_id)}


def _usage_key(call: Call, body: SettlementBody) -> tuple[str, bool]:
    """Return the key of a settlement, and whether it was derived from the Idempotency-Key because the caller gave none."""
    if body.usage_key is not None:
        return body.usage_key, False
    if call.derived_key is not None:
        return call.derived_key, False
    return str(new_uuid7()), True
