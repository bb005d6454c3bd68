"""Model provider of the Agents SDK that charges each call."""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from agents import (
    Model,
    ModelProvider,
    ModelResponse,
    OpenAIProvider,
    custom_span,
    get_current_trace,
)
from agents.items import TResponseStreamEvent

from faregate.client.charge_request import Estimate
from faregate.client.replies.estimating import request_tokens
from faregate.client.replies.observer import Observer
from faregate.client.values import ModelUsage, Quote
from faregate.integrations.charging import CallCharging, Payer, ambient_session
from faregate.integrations.interfaces import ICharges
from faregate.integrations.open_use import OpenUse
from faregate.integrations.openai_agents.replies import charged_here, observe_response, reset_charged
from faregate.integrations.receipts import RECEIPT
from faregate.wire.exact_json import mapping

__all__ = ["FaregateModelProvider"]

_RECEIPTS = 100


class FaregateModelProvider(ModelProvider):
    """`Runner.run(agent, "…", run_config=RunConfig(model_provider=FaregateModelProvider(credits, "chat", user="ada")))`.

    Each call of a model holds credits before the provider is called, and is refused without them: the error of the credits ends
    the run. It is settled with the usage of the response or stream, and voided if it fails before anything came. Each receipt is
    a span `faregate` of the trace.

    Within a `use` block of the host the block charges, and observes all calls of the run.

    Args:
        inner: the provider that makes the models; OpenAI's by default. The model of an agent that is an object passes no
            provider: give `charged(model)`.
        user: the user who pays, or a function of the run (`{"metadata": …, "group_id": …}`); by default `user_id` of the trace's
            metadata (`RunConfig(trace_metadata={"user_id": "ada"})`).
    """

    def __init__(
        self,
        credits: ICharges,
        feature: str,
        *,
        inner: ModelProvider | None = None,
        user: Payer | None = None,
        estimate: Estimate = None,
        organization: str | None = None,
    ) -> None:
        self._charging = CallCharging(credits, feature, user or _user_of, estimate, organization)
        self._inner = inner or OpenAIProvider()
        self.receipts: deque[dict[str, str | None]] = deque(maxlen=_RECEIPTS)
        """The receipts of the last calls."""

    def get_model(self, model_name: str | None) -> Model:
        """Return a model whose calls are charged."""
        return self.charged(self._inner.get_model(model_name))

    def charged(self, model: Model) -> Model:
        """Return a model whose calls are charged: `Agent(model=provider.charged(model))`."""
        return _ChargedModel(model, self._charging, self.receipts)

    async def aclose(self) -> None:
        """Close the inner provider."""
        await self._inner.aclose()

    async def quote(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a call would hold and cost this user now; nothing is held or charged."""
        return await self._charging.quote(user, usages)


class _ChargedModel(Model):
    def __init__(self, inner: Model, charging: CallCharging, receipts: deque[dict[str, str | None]]) -> None:
        self._inner = inner
        self._charging = charging
        self._receipts = receipts
        self.model = getattr(inner, "model", None)

    async def close(self) -> None:
        await self._inner.close()

    def get_retry_advice(self, request: Any) -> Any:
        return self._inner.get_retry_advice(request)

    async def get_response(self, *arguments: Any, **more: Any) -> ModelResponse:
        use, observer = await self._begin(arguments, more)
        token = charged_here.set(True)
        try:
            response = await self._inner.get_response(*arguments, **more)
        except BaseException as failure:
            await self._broken(use, observer, failure)
            raise
        finally:
            reset_charged(token)
        observe_response(observer, response, self.model)
        await self._end(use, None)
        return response

    async def stream_response(self, *arguments: Any, **more: Any) -> AsyncIterator[TResponseStreamEvent]:
        use, observer = await self._begin(arguments, more)
        token = charged_here.set(True)
        try:
            async for event in self._inner.stream_response(*arguments, **more):
                observer.observe_chunk(event, model=None)
                yield event
        except BaseException as failure:
            await self._broken(use, observer, failure)
            raise
        finally:
            reset_charged(token)
        observer.end_without_usage()
        await self._end(use, None)

    async def _begin(self, arguments: Sequence[Any], more: Mapping[str, Any]) -> tuple[OpenUse | None, Observer]:
        ambient = ambient_session()
        use = await self._charging.open(_run()) if ambient is None else None
        session = ambient or (use.session if use is not None else None)
        assert session is not None  # noqa: S101  of the block or of the call
        given = {**dict(zip(("system_instructions", "input"), arguments, strict=False)), **more}
        request = {"instructions": given.get("system_instructions"), "input": given.get("input")}
        return use, session.watcher(self.model, request_tokens(request))

    async def _broken(self, use: OpenUse | None, observer: Observer, failure: BaseException) -> None:
        if isinstance(failure, Exception):
            observer.fail()
        else:
            observer.break_off()
        await self._end(use, failure)

    async def _end(self, use: OpenUse | None, failure: BaseException | None) -> None:
        if use is None:
            return
        receipt = await use.finish(failure)
        self._receipts.append(receipt)
        if get_current_trace() is not None:
            with custom_span(RECEIPT, dict(receipt)):
                pass


def _run() -> dict[str, Any]:
    """Return what is known of the run: the metadata and group of its trace."""
    trace = get_current_trace()
    return {"metadata": getattr(trace, "metadata", None), "group_id": getattr(trace, "group_id", None)}


def _user_of(run: Mapping[str, Any]) -> str | None:
    found = mapping(run.get("metadata")).get("user_id")
    return found if isinstance(found, str) else None
