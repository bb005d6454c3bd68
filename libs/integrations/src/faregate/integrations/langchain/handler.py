"""LangChain callback handler that holds credits and settles them."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID
from weakref import finalize

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from faregate.client.charge_request import Estimate
from faregate.client.charge_session import ChargeSession
from faregate.client.replies.observer import Observer
from faregate.client.values import ModelUsage, Quote
from faregate.integrations.charging import CallCharging, Payer, ambient_session
from faregate.integrations.interfaces import ICharges
from faregate.integrations.langchain.bridge import Bridge
from faregate.integrations.langchain.replies import (
    messages_of,
    model_of,
    observe_result,
    tokens_of_messages,
    tokens_of_prompts,
)
from faregate.integrations.open_use import OpenUse
from faregate.integrations.receipts import RECEIPT
from faregate.wire.clock import monotonic_seconds
from faregate.wire.exact_json import mapping

__all__ = ["FaregateHandler"]

_RECEIPTS = 100


@dataclass(frozen=True, slots=True)
class _Call:
    """A running call of a model; `use` is its own use, None if it is part of another one."""

    observer: Observer
    model: str | None
    use: OpenUse | None
    began: float


class FaregateHandler(BaseCallbackHandler):
    """LangChain callback: `model.invoke("…", config={"callbacks": [FaregateHandler(credits, "chat", user="ada")]})`.

    Holds credits before a model is called, and refuses the call without them: the error of the credits passes through
    LangChain. Settles with the `usage_metadata` of the reply, also of streams; voids a call that failed before anything came.
    Sync and async calls work; async credits need a handler that is made in the event loop.

    Within a `use` block of the host the block charges, and observes all calls.

    Args:
        user: the user who pays, or a function of the run (`{"metadata": …, "tags": […]}`); by default `user_id` in the run's
            metadata.
        per: "call" makes each call of a model a use; "run" makes one use of a whole chain, agent or graph with all its calls.
            A model that is called directly is a run of its own.
        timeout_seconds: LangChain does not report the end of an `ainvoke` that is cancelled. Such a call is charged by its request
            when the handler is collected, or when it begins another call after this time.
    """

    raise_error = True  # without it LangChain logs a refusal and calls the model all the same

    def __init__(
        self,
        credits: ICharges,
        feature: str,
        *,
        user: Payer | None = None,
        per: Literal["call", "run"] = "call",
        estimate: Estimate = None,
        organization: str | None = None,
        timeout_seconds: float = 600,
    ) -> None:
        self._charging = CallCharging(credits, feature, user or _user_of, estimate, organization)
        self._bridge = Bridge(self._charging)
        self._per = per
        self._calls: dict[UUID, _Call] = {}
        self._parents: dict[UUID, UUID] = {}
        self._runs: dict[UUID, OpenUse] = {}
        self._timeout_seconds = timeout_seconds
        finalize(self, _abandon, self._calls)
        self.receipts: deque[dict[str, str | None]] = deque(maxlen=_RECEIPTS)
        """The receipts of the last uses; that of a call is also in `response_metadata` of its message, unless it was streamed."""

    async def quote(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return what a call would hold and cost this user now; nothing is held or charged."""
        return await self._charging.quote(user, usages)

    def quote_now(self, user: str, usages: Sequence[ModelUsage] = ()) -> Quote:
        """Return the same without an event loop, with sync credits."""
        return self._charging.quote_now(user, usages)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **more: Any,
    ) -> None:
        """Hold the credits of a call of a chat model."""
        self._begin_call(run_id, parent_run_id, model_of(serialized, more), tokens_of_messages(messages), more)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **more: Any,
    ) -> None:
        """Hold the credits of a call of a model that completes text."""
        self._begin_call(run_id, parent_run_id, model_of(serialized, more), tokens_of_prompts(prompts), more)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_more: Any) -> None:
        """Settle a call, and put the receipt into the metadata of its message."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        if not observe_result(call.observer, response, call.model):
            call.observer.end_without_usage(call.model)
        if call.use is not None:
            receipt = self._end(call.use, None)
            for message in messages_of(response):
                message.response_metadata[RECEIPT] = receipt

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Void a call that failed; settle what a stream delivered, and a call that was cancelled by its request."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        if not observe_result(call.observer, more.get("response"), call.model):
            if isinstance(error, Exception):
                call.observer.fail()
            else:
                call.observer.break_off()
        if call.use is not None:
            self._end(call.use, error)

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        """Hold the credits of a run, if a run is one use."""
        self._begin_run(run_id, parent_run_id, more)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_more: Any) -> None:
        """Settle a run."""
        self._end_run(run_id, None)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_more: Any) -> None:
        """Settle what a run used until it failed."""
        self._end_run(run_id, error)

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_more: Any,
    ) -> None:
        """Remember to which run the calls within a tool belong."""
        if parent_run_id is not None:
            self._parents[run_id] = parent_run_id

    def on_tool_end(self, output: Any, *, run_id: UUID, **_more: Any) -> None:
        """Forget a tool."""
        self._parents.pop(run_id, None)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_more: Any) -> None:
        """Forget a tool."""
        self._parents.pop(run_id, None)

    def _begin_call(
        self, run_id: UUID, parent: UUID | None, model: str | None, tokens: int, more: Mapping[str, Any]
    ) -> None:
        self._abandon_forgotten()
        session = ambient_session() or self._session_of(parent)
        use = self._bridge.open(more) if session is None else None
        session = session or (use.session if use is not None else None)
        if session is not None:
            self._calls[run_id] = _Call(session.watcher(model, tokens), model, use, monotonic_seconds())

    def _begin_run(self, run_id: UUID, parent: UUID | None, more: Mapping[str, Any]) -> None:
        if parent is not None:
            self._parents[run_id] = parent
        elif self._per == "run" and ambient_session() is None:
            self._runs[run_id] = self._bridge.open(more)

    def _end_run(self, run_id: UUID, error: BaseException | None) -> None:
        self._parents.pop(run_id, None)
        use = self._runs.pop(run_id, None)
        if use is not None:
            self._end(use, error)

    def _session_of(self, run_id: UUID | None) -> ChargeSession | None:
        """Return the session of the run that a call belongs to, if a run is one use."""
        while run_id is not None:
            use = self._runs.get(run_id)
            if use is not None:
                return use.session
            run_id = self._parents.get(run_id)
        return None

    def _abandon_forgotten(self) -> None:
        limit = monotonic_seconds() - self._timeout_seconds
        _abandon({run_id: self._calls.pop(run_id) for run_id, call in list(self._calls.items()) if call.began < limit})

    def _end(self, use: OpenUse, error: BaseException | None) -> dict[str, str | None]:
        receipt = self._bridge.finish(use, error)
        self.receipts.append(receipt)
        return receipt


def _abandon(calls: Mapping[UUID, _Call]) -> None:
    """Settle calls whose end is not reported; each is charged by its request."""
    for call in calls.values():
        if call.use is not None:
            call.use.abandon()


def _user_of(run: Mapping[str, Any]) -> str | None:
    found = mapping(run.get("metadata")).get("user_id")
    return found if isinstance(found, str) else None
