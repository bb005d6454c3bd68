"""Readers by source. Pure."""

from collections.abc import Callable, Iterable, Mapping

from faregate.analytics.bills.errors import UnreadableBillError
from faregate.analytics.bills.sources.anthropic import anthropic_lines
from faregate.analytics.bills.sources.mapped_csv import csv_lines, read_mapping
from faregate.analytics.bills.sources.openai import openai_lines
from faregate.analytics.bills.sources.openrouter import openrouter_lines
from faregate.analytics.bills.values import BillLine, BillSource
from faregate.core.errors import InvalidError
from faregate.wire.model_names import canonical_provider

__all__ = ["read_bill"]

_READERS: Mapping[BillSource, Callable[[bytes], Iterable[BillLine]]] = {
    BillSource.OPENAI: openai_lines,
    BillSource.ANTHROPIC: anthropic_lines,
    BillSource.OPENROUTER: openrouter_lines,
}


def read_bill(
    content: bytes, source: BillSource, *, provider: str | None = None, mapping: Mapping[str, str] | None = None
) -> list[BillLine]:
    """Return all lines of an export.

    Raises:
        InvalidError: a CSV lacks its provider or its mapping, or another source has one.
        UnreadableBillError: a line cannot be read, or there is none.
    """
    if source is BillSource.CSV:
        if provider is None or not provider.strip():
            raise InvalidError("provider is required for csv, such as mistral", param="provider")
        lines = list(csv_lines(content, read_mapping(mapping or {}), provider=canonical_provider(provider)))
    elif provider is not None or mapping:
        raise InvalidError(f"provider and map are for csv only; leave them out for {source}", param="map")
    else:
        lines = list(_READERS[source](content))
    if not lines:
        raise UnreadableBillError("the file holds no line; was the export made for the right dates?")
    return lines
