"""Calls of the credits process, answered by the libraries in this process."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from faregate.client.request_bodies import END_PATH, EXTEND_PATH, START_PATH, VOID_PATH
from faregate.client.transport.call import HttpCall
from faregate.core.messaging.interfaces import ITransport, OutgoingMessage
from faregate.usage.credits_process.bodies import EndMultimodelBody, ExtendBody, StartBody, VoidBody, validated
from faregate.usage.service import UsageService
from faregate.usage.values import UsageLine
from faregate.wire import exact_json
from faregate.wire.credits import to_credits
from faregate.wire.errors import FaregateError, UnavailableError
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

__all__ = ["LocalGateway", "line_view"]

log = logging.getLogger("faregate.host")


class LocalGateway:
    """`IGateway` on a `UsageService`: the same bodies and answers as over HTTP, without a network in between."""

    def __init__(self, usage: UsageService, transport: ITransport) -> None:
        self._usage = usage
        self._transport = transport
        self._calls: Mapping[str, Callable[[Any], Awaitable[Mapping[str, Any]]]] = {
            START_PATH: self._start,
            END_PATH: self._settle,
            VOID_PATH: self._void,
            EXTEND_PATH: self._extend,
        }

    async def post(self, call: HttpCall) -> Mapping[str, Any]:
        """Answer one call.

        A settlement that fails for no reason of its caller, such as an error in the host's strategy, is not lost: the first call
        raises, and one that prefers `respond-async` puts it on the queue, for a worker or for a look at the dead letters.

        Raises:
            UnavailableError: a settlement failed so; its log line names the use and the error.
        """
        try:
            return await self._calls[call.path](call.body)
        except FaregateError:
            raise
        except Exception as error:
            if call.path != END_PATH:
                raise
            return await self._kept(call, error)

    async def aclose(self) -> None:
        """Close nothing: the database belongs to the caller."""

    async def _kept(self, call: HttpCall, error: Exception) -> Mapping[str, Any]:
        key, user = call.body.get("usage_key"), call.body.get("user_id")
        if "prefer" not in call.headers:
            log.error("%s of %s was not settled: %r; it is put on the queue", key, user, error, exc_info=error)
            raise UnavailableError(f"the use {key!r} cannot be settled now: {type(error).__name__}: {error}") from error
        message = validated(EndMultimodelBody, call.body).message(key)
        await self._transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(exact_json.dumps(message))])
        return {}

    async def _start(self, body: Any) -> Mapping[str, Any]:
        opened = await self._usage.authorize(validated(StartBody, body).request())
        return {
            "user_id": opened.user_id,
            "usage_key": opened.usage_key,
            "credits": opened.free,
            "balance": opened.balance,
            "hold": opened.hold,
            "expires_at": opened.expires_at.isoformat(),
            "charging": opened.charging.value,
            "unpriced": opened.unpriced_models,
            "outage_limit_credits": opened.outage_limit_credits,
        }

    async def _settle(self, body: Any) -> Mapping[str, Any]:
        settled = await self._usage.settle(validated(EndMultimodelBody, body).request(body["usage_key"]))
        return {
            "user_id": settled.user_id,
            "usage_key": settled.usage_key,
            "credits": settled.free,
            "balance": settled.balance,
            "charged": settled.charged,
            "consumed": settled.consumed,
            "shortfall": settled.shortfall,
            "flags": settled.flags.words,
            "details": [line_view(line) for line in settled.lines],
        }

    async def _void(self, body: Any) -> Mapping[str, Any]:
        wanted = validated(VoidBody, body)
        voided = await self._usage.void(wanted.usage_key, user_id=wanted.user_id, reason=wanted.reason)
        return {
            "user_id": wanted.user_id,
            "usage_key": wanted.usage_key,
            "credits": to_credits(voided.wallet.free),
            "balance": to_credits(voided.wallet.balance),
        }

    async def _extend(self, body: Any) -> Mapping[str, Any]:
        wanted = validated(ExtendBody, body)
        ends = await self._usage.extend(wanted.usage_key, user_id=wanted.user_id, ttl_seconds=wanted.ttl_seconds)
        return {"usage_key": wanted.usage_key, "expires_at": ends.isoformat()}


def line_view(line: UsageLine) -> Mapping[str, Any]:
    """Return a priced line as it stands in the answers of a gateway."""
    usage = line.usage
    return {
        "ai_model": usage.model,
        "provider": line.provider,
        "input_tokens": usage.tokens.get("input_tokens", 0),
        "output_tokens": usage.tokens.get("output_tokens", 0),
        "tokens": dict(usage.tokens),
        "provider_cost_usd": line.provider_cost_usd,
        "margin_percent": line.margin_percent,
        "credit_price_usd": line.credit_price_usd,
        "credits": line.credits,
        "price_version": line.price_version,
        "unpriced": line.unpriced,
    }
