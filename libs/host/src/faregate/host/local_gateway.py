"""Calls of the credits process, answered by the libraries in this process."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from faregate.client.request_bodies import END_PATH, EXTEND_PATH, START_PATH, VOID_PATH
from faregate.client.transport.call import HttpCall
from faregate.usage.credits_process.bodies import EndMultimodelBody, ExtendBody, StartBody, VoidBody, validated
from faregate.usage.service import UsageService
from faregate.usage.values import UsageLine
from faregate.wire.credits import to_credits

__all__ = ["LocalGateway", "line_view"]


class LocalGateway:
    """`IGateway` on a `UsageService`: the same bodies and answers as over HTTP, without a network in between."""

    def __init__(self, usage: UsageService) -> None:
        self._usage = usage
        self._calls: Mapping[str, Callable[[Any], Awaitable[Mapping[str, Any]]]] = {
            START_PATH: self._start,
            END_PATH: self._settle,
            VOID_PATH: self._void,
            EXTEND_PATH: self._extend,
        }

    async def post(self, call: HttpCall) -> Mapping[str, Any]:
        """Answer one call; a settlement is done when this returns, whatever its headers prefer."""
        return await self._calls[call.path](call.body)

    async def aclose(self) -> None:
        """Close nothing: the database belongs to the caller."""

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
