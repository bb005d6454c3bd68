"""Spans above other spans, whose usage repeats that of their parts. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["AGENT_OPERATIONS", "OPENINFERENCE_GROUPS", "OPENLLMETRY_GROUPS", "SpanTree"]

AGENT_OPERATIONS = (
    *("invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "plan", "retrieval", "handoff"),
)
OPENLLMETRY_GROUPS = ("workflow", "task", "agent", "tool")
OPENINFERENCE_GROUPS = ("CHAIN", "AGENT", "TOOL", "RETRIEVER", "GUARDRAIL", "EVALUATOR")

_GROUPS: Mapping[str, Sequence[str]] = {
    "gen_ai.operation.name": AGENT_OPERATIONS,
    "traceloop.span.kind": OPENLLMETRY_GROUPS,
    "openinference.span.kind": OPENINFERENCE_GROUPS,
}
_DEPTH_LIMIT = 64


class SpanTree:
    """Spans of one request by trace and id.

    A span of a model call that has another one below it comes from two instrumentations of the same call, or sums its parts.
    Across the span of an agent or tool nothing is summed: what runs in a tool is another call.
    """

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._groups: set[str] = set()

    def add(self, span: str, parent: str, attributes: Mapping[str, Any]) -> None:
        """Add a span; both ids with the trace, and `parent` empty for the first one of a trace."""
        if parent:
            self._parents[span] = parent
        if any(name in attributes and attributes[name] in values for name, values in _GROUPS.items()):
            self._groups.add(span)

    def above(self, span: str) -> tuple[str, ...]:
        """Return the ids of the spans above one, up to the first agent or tool, as far as they are in this request."""
        found: list[str] = []
        at = self._parents.get(span)
        while at is not None and at not in found and at != span and len(found) < _DEPTH_LIMIT:
            found.append(at)
            at = self._parents.get(at) if at not in self._groups else None
        return tuple(found)
