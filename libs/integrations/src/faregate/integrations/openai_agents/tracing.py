"""Tracing processor of the Agents SDK that charges calls after they ended."""

import inspect
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agents import GenerationSpanData, ResponseSpanData, Span, Trace, TracingProcessor

from faregate.integrations.charging import CallCharging, Payer, ambient_session
from faregate.integrations.interfaces import ICharges
from faregate.integrations.openai_agents.replies import charged_here
from faregate.wire.errors import FaregateError, InvalidError
from faregate.wire.exact_json import mapping

__all__ = ["FaregateTracing"]

log = logging.getLogger("faregate.integrations")


class FaregateTracing(TracingProcessor):
    """`add_trace_processor(FaregateTracing(credits, "chat"))`: each call of a model is charged after it, once.

    Nothing is held and no call is refused: what could not be paid is in the log. The span's id is the usage key, so that a span
    that is reported twice counts once. Calls in a `use` block or of a `FaregateModelProvider` are charged there.

    Args:
        credits: a `SyncCreditsClient` or `SyncFaregate`; processors run without an event loop.
        user: the user who pays, or a function of the trace (`{"metadata": …, "group_id": …}`); by default `user_id` of its
            metadata.
    """

    def __init__(
        self, credits: ICharges, feature: str, *, user: Payer | None = None, organization: str | None = None
    ) -> None:
        if inspect.iscoroutinefunction(credits.quote):
            raise InvalidError("tracing is sync; give a SyncCreditsClient or SyncFaregate", param="credits")
        self._charging = CallCharging(credits, feature, user or _user_of, None, organization)
        self._traces: dict[str, dict[str, Any]] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="faregate-tracing")

    def on_trace_start(self, trace: Trace) -> None:
        """Remember for whom the trace is."""
        known = {"metadata": getattr(trace, "metadata", None), "group_id": getattr(trace, "group_id", None)}
        self._traces[trace.trace_id] = known

    def on_trace_end(self, trace: Trace) -> None:
        """Forget the trace."""
        self._traces.pop(trace.trace_id, None)

    def on_span_start(self, span: Span[Any]) -> None:
        """Nothing is known of a call yet."""

    def on_span_end(self, span: Span[Any]) -> None:
        """Charge a call that reports its usage, in the background."""
        usage = _usage_of(span.span_data)
        if usage is None or charged_here.get() or ambient_session() is not None:
            return
        self._worker.submit(self._charge, span.span_id, self._traces.get(span.trace_id, {}), usage)

    def force_flush(self) -> None:
        """Wait until what was reported is charged."""
        self._worker.submit(_nothing).result()

    def shutdown(self) -> None:
        """Charge what was reported, then end."""
        self._worker.shutdown(wait=True)

    def _charge(self, span_id: str, trace: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
        try:
            use = self._charging.open_now(trace, key=span_id)
        except FaregateError as error:
            log.error("the call of span %s ran and was not charged: %s", span_id, error)  # noqa: TRY400  one line
            return
        use.observe(usage)
        use.finish_now()


def _usage_of(data: Any) -> dict[str, Any] | None:
    """Return the usage of a call of a model, with its model; None for other spans."""
    if not isinstance(data, GenerationSpanData | ResponseSpanData) or not data.usage:
        return None
    model = data.model if isinstance(data, GenerationSpanData) else getattr(data.response, "model", None)
    return {"model": model, "usage": dict(data.usage)}


def _user_of(trace: Mapping[str, Any]) -> str | None:
    found = mapping(trace.get("metadata")).get("user_id")
    return found if isinstance(found, str) else None


def _nothing() -> None:
    """Return when everything before it is done."""
