"""Identity of the lines of bills. Pure.

A line is about something: a request, or a period of a model, a type of tokens and a project. A later import that says something
else about the same thing takes its place; the same line again is known.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from uuid import UUID

from faregate.analytics.bills.values import BillLine, BillSource
from faregate.wire import exact_json

__all__ = ["line_keys"]


def line_keys(source: BillSource, lines: Iterable[BillLine]) -> list[tuple[UUID, UUID]]:
    """Return for each line what it is about, and its identity; equal lines of one file are told apart by their place."""
    seen: Counter[UUID] = Counter()
    found: list[tuple[UUID, UUID]] = []
    for line in lines:
        group = _digest(_about(source, line))
        said = _digest(
            [str(group), line.cost_usd, line.tokens, line.requests, *_period(line), line.model, line.token_type]
        )
        found.append((group, _digest([str(said), seen[said]])))
        seen[said] += 1
    return found


def _about(source: BillSource, line: BillLine) -> list[Any]:
    if line.request_id is not None:
        return [line.provider, line.request_id]
    return [source.value, line.provider, *_period(line), line.model, line.token_type, line.detail]


def _period(line: BillLine) -> list[str]:
    return [line.start.isoformat(), line.end.isoformat()]


def _digest(parts: list[Any]) -> UUID:
    return UUID(bytes=sha256(exact_json.dumps(parts)).digest()[:16])
