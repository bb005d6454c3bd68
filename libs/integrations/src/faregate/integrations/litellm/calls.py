"""Calls of LiteLLM that hold credits, by LiteLLM's id."""

import weakref
from collections.abc import Mapping
from typing import Any

from faregate.client.replies.estimating import request_tokens
from faregate.integrations.litellm.requests import call_id_of
from faregate.integrations.open_use import OpenUse
from faregate.wire.errors import KeyConflictError

__all__ = ["HeldCall", "HeldCalls"]


class HeldCall:
    """One call with its hold.

    Attributes:
        proxied: the hold was taken by the proxy for the whole request, retries and fallbacks included.
        tool: it calls a tool, whose price does not depend on models.
        chunks: what a stream delivered until now.
    """

    def __init__(self, use: OpenUse, data: Mapping[str, Any], *, proxied: bool, tool: bool) -> None:
        self.use = use
        self.proxied = proxied
        self.tool = tool
        self.chunks: list[Any] = []
        self.model = data.get("model")
        self._request_tokens = request_tokens(data)

    def observe_partly(self) -> None:
        """Record a call whose end LiteLLM does not report: what was delivered, else the estimate of the use or its request."""
        observer = self.use.session.watcher(self.model, self._request_tokens)
        for chunk in self.chunks:
            observer.observe_chunk(chunk)
        if self.use.session.request.estimated_usages:
            observer.end_without_usage()
        else:
            observer.break_off()

    def abandon(self) -> None:
        """End a call that nobody waits for any longer, from any thread."""
        if self.use.session.running:
            if not self.tool:
                self.observe_partly()
            self.use.abandon()


class HeldCalls:
    """The calls that hold credits now. A call that LiteLLM forgets without reporting its end is ended here."""

    def __init__(self) -> None:
        self._calls: dict[str, HeldCall] = {}
        self._loggings: dict[str, weakref.ref[Any]] = {}

    def knows(self, data: Mapping[str, Any], *, alone: bool) -> bool:
        """Whether a call holds credits already.

        Args:
            alone: the call is a new request to the proxy, rather than an attempt of one.

        Raises:
            KeyConflictError: another call with the same id is running: two calls would share one hold.
        """
        call_id = call_id_of(data)
        if call_id is None or call_id not in self._loggings:
            return False
        logging = self._loggings[call_id]()
        if alone and logging is not None and logging is not data.get("litellm_logging_obj"):
            raise KeyConflictError(
                f"a call with the id {call_id!r} is running; send another x-litellm-call-id", param="x-litellm-call-id"
            )
        return logging is not None

    def reserve(self, data: Mapping[str, Any]) -> None:
        """Claim the id of a call before its hold is requested, so that a second call with this id is refused meanwhile."""
        call_id, logging = call_id_of(data), data.get("litellm_logging_obj")
        if call_id is not None and logging is not None:
            self._loggings[call_id] = weakref.ref(logging)

    def add(self, data: Mapping[str, Any], call: HeldCall) -> None:
        """Remember a call until its end."""
        call_id, logging = call_id_of(data) or call.use.session.usage_key, data.get("litellm_logging_obj")
        self._calls[call_id] = call
        if logging is not None:
            weakref.finalize(logging, self._forgotten, call_id, call)

    def find(self, data: Mapping[str, Any]) -> HeldCall | None:
        """Return the call, which goes on."""
        return self._calls.get(call_id_of(data) or "")

    def take(self, data: Mapping[str, Any]) -> HeldCall | None:
        """Return the call and forget it: it ends now."""
        call_id = call_id_of(data) or ""
        self._loggings.pop(call_id, None)
        return self._calls.pop(call_id, None)

    def _forgotten(self, call_id: str, call: HeldCall) -> None:
        if self._calls.get(call_id) is call:
            del self._calls[call_id]
            self._loggings.pop(call_id, None)
        call.abandon()
