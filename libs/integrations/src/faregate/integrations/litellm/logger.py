"""LiteLLM callback that holds credits before a call and settles it."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from faregate.client.charge_request import Estimate
from faregate.client.values import ModelUsage, Quote
from faregate.client.wrapping.wrap import Unmetered
from faregate.integrations.charging import CallCharging, Payer, ambient_session
from faregate.integrations.extras import framework
from faregate.integrations.interfaces import ICharges
from faregate.integrations.litellm.calls import HeldCall, HeldCalls
from faregate.integrations.litellm.refusals import never_retry, refusal_of, with_retries_inside
from faregate.integrations.litellm.requests import call_id_of, kind_of, payer_of
from faregate.integrations.receipts import RECEIPT, headers_of
from faregate.wire.errors import FaregateError, InvalidError
from faregate.wire.exact_json import mapping

if TYPE_CHECKING:

    class CustomLogger:
        """What LiteLLM's class is to a type checker; the package is untyped here."""

else:
    CustomLogger = framework("litellm.integrations.custom_logger", "litellm").CustomLogger

__all__ = ["FaregateLogger"]

log = logging.getLogger("faregate.integrations")

_SYNC = "a sync call of LiteLLM cannot be refused"


class FaregateLogger(CustomLogger):
    """LiteLLM callback: `litellm.callbacks = [FaregateLogger(credits, "chat")]`, or `callbacks` in the proxy's configuration.

    An async call, in the SDK or through the proxy, holds credits before a provider is called and is refused without them; it
    is settled with the usage of its response or stream, and voided if it fails before anything was delivered. Within a `use`
    block of the host the block charges, and this class does nothing.

    Sync calls of the SDK have no hook that can refuse them: they are charged afterwards (`credits` must be a sync class), and
    the log names what could not be paid. Put `with credits.use(…)` around them for a hold.

    Args:
        user: the user who pays, or a function of the request. By default the user of the proxy's virtual key, else the one
            that the request names.
        estimate: the expected cost in credits, or the expected usage of models; the hold covers it.
        key: returns the usage key of a request to the proxy; by default each gets a new one. With `call_id_of`, a call that is sent
            again with its `x-litellm-call-id` after a crash of the proxy continues its hold. Use it only where callers may be
            trusted: two calls with one id on two proxies share a hold.
        tool_feature: the feature of MCP tool calls through the proxy; without it they are not charged.
        charge_cached: charge responses that LiteLLM's cache answered; by default they are voided.
        unmetered: how to treat calls that may cost money but whose response reports no usage (batches, realtime, videos,
            pass-through endpoints): "refuse" them, "warn" in the log, or "pass".
    """

    def __init__(
        self,
        credits: ICharges,
        feature: str,
        *,
        user: Payer = payer_of,
        estimate: Estimate = None,
        organization: str | None = None,
        key: Callable[[Mapping[str, Any]], str | None] | None = None,
        tool_feature: str | None = None,
        charge_cached: bool = False,
        unmetered: Unmetered = "warn",
    ) -> None:
        super().__init__()
        self._charging = CallCharging(credits, feature, user, estimate, organization)
        self._tools = CallCharging(credits, tool_feature, user, None, organization) if tool_feature else None
        self._key = key
        self._charge_cached = charge_cached
        self._unmetered = unmetered
        self._calls = HeldCalls()

    async def quote(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a call would hold and cost this user now; nothing is held or charged."""
        return await self._charging.quote(user, usages)

    # the proxy's hooks

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Hold the credits of a request to the proxy.

        Raises:
            HTTPException: the request is refused; 402 if there are too few credits.
        """
        try:
            await self._hold({**data, "user_api_key_dict": user_api_key_dict}, call_type, proxied=True)
        except FaregateError as error:
            raise refusal_of(error) from error
        return data

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> None:
        """Settle a whole response of the proxy."""
        if not hasattr(response, "__anext__"):
            await self._settle(data, response)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncIterator[Any]:
        """Pass on a stream of the proxy and keep what it delivers: if it breaks off, that is settled."""
        held = self._calls.find(request_data)
        async for chunk in response:
            if held is not None:
                held.chunks.append(chunk)
            yield chunk

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """Void a failed request of the proxy, or settle what its stream delivered."""
        await self._fail(self._calls.take(request_data), original_exception)

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Return what was charged and is left as `x-faregate-…` headers; of a stream, the usage key."""
        receipt = _hidden(response).get(RECEIPT)
        if receipt is not None:
            return headers_of(receipt)
        held = self._calls.find(data)
        return headers_of({"usage_key": held.use.session.usage_key}) if held is not None else None

    # the hooks of the SDK, which the proxy's calls pass as well

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Hold the credits of a call of the SDK; those of the proxy have their hold already.

        Raises:
            InsufficientCreditsError, AccessRefusedError, …: the call is refused.
        """
        if ambient_session() is not None:
            return None
        try:
            await self._hold(kwargs, getattr(call_type, "value", call_type), proxied=False)
        except FaregateError as error:
            never_retry(error)
            raise
        return with_retries_inside(kwargs)

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> None:
        """Settle a whole response."""
        await self._settle(request_data, response)

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: Any,
        fallback_depth: int | None = None,
    ) -> None:
        """Void a failed call of the SDK; the proxy may retry, and reports the failure of the whole request by another hook."""
        await self._fail_attempt(request_data, exception)

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Settle a stream at its end, a tool call, and responses that no earlier hook reports."""
        await self._settle(kwargs, response_obj, cached=bool(kwargs.get("cache_hit")))

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """End a stream that broke off, or a tool call that failed."""
        failure = kwargs.get("exception")
        await self._fail_attempt(kwargs, failure if isinstance(failure, BaseException) else None)

    def log_success_event(self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Charge a sync call of the SDK after it."""
        if ambient_session() is not None or (kwargs.get("cache_hit") and not self._charge_cached):
            return
        try:
            use = self._charging.open_now(_with_user(kwargs))
            use.observe(response_obj, model=_model(response_obj, kwargs.get("model")))
            use.finish_now()
        except FaregateError as error:
            log.error("%s, and this one was not charged: %s", _SYNC, error)  # noqa: TRY400  one line

    async def _hold(self, data: Mapping[str, Any], call_type: str | None, *, proxied: bool) -> None:
        charging = self._charging_of(call_type)
        if charging is None or self._calls.knows(data, alone=proxied):
            return
        self._calls.reserve(data)
        try:
            use = await charging.open(data, key=self._key(data) if self._key and proxied else None)
        except BaseException:
            self._calls.take(data)
            raise
        self._calls.add(data, HeldCall(use, data, proxied=proxied, tool=charging is self._tools))

    def _charging_of(self, call_type: str | None) -> CallCharging | None:
        kind = kind_of(call_type)
        if kind == "tool":
            return self._tools
        if kind == "unmetered":
            self._treat_unmetered(str(call_type))
        return self._charging if kind == "metered" else None

    def _treat_unmetered(self, call_type: str) -> None:
        text = f"{call_type} may cost money, but its response reports no usage"
        if self._unmetered == "refuse":
            raise InvalidError(f"{text}; call the provider without this callback", param="unmetered")
        if self._unmetered == "warn":
            log.warning("%s: it is not charged", text)

    async def _settle(self, data: Mapping[str, Any], response: Any, *, cached: bool = False) -> None:
        held = self._calls.take(data)
        if held is None:
            return
        if cached and not self._charge_cached:
            held.use.session.void("cache_hit")
        elif not held.tool:
            held.use.observe(response, model=_model(response, held.model))
        receipt = await held.use.finish()
        _hidden(response)[RECEIPT] = receipt

    async def _fail_attempt(self, data: Mapping[str, Any], failure: BaseException | None) -> None:
        held = self._calls.find(data)
        if held is not None and (not held.proxied or held.tool or held.chunks):
            await self._fail(self._calls.take(data), failure)

    async def _fail(self, held: HeldCall | None, failure: BaseException | None) -> None:
        if held is None:
            return
        if held.chunks:
            held.observe_partly()
        await held.use.finish(failure or RuntimeError("the call failed"))


def _hidden(response: Any) -> dict[str, Any]:
    """Return the metadata that LiteLLM keeps beside a response; of other objects, what nobody reads."""
    found: Any = getattr(response, "_hidden_params", None)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _model(response: Any, asked: Any) -> str | None:
    """Return the model to price if the response names none."""
    named = getattr(response, "model", None) or mapping(response).get("model")
    return None if named else asked


def _with_user(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a logged call with the names that a request has."""
    metadata = mapping(kwargs.get("litellm_params")).get("metadata")
    return {**kwargs, "metadata": metadata, "user": kwargs.get("user"), "litellm_call_id": call_id_of(kwargs)}
