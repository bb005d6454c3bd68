"""Usage lines as bills are compared with them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from faregate.analytics.bills.token_parts import LineCost, token_parts
from faregate.analytics.bills.values import LedgerLine
from faregate.usage.pricing.line import PriceBook
from faregate.wire import exact_json
from faregate.wire.model_names import canonical_model, canonical_provider

__all__ = ["ModelNames", "ledger_lines"]


class ModelNames:
    """What the names of models mean, by the prices of a price book: `gpt-4o` and `gpt-4o-2024-08-06` are priced as one.

    Args:
        at: the moment whose prices count.
    """

    def __init__(self, book: PriceBook, provider: str, at: datetime) -> None:
        self._book = book
        self._provider = provider
        self._at = at
        self._meant: dict[tuple[str, str | None], str] = {}

    def model_of(self, name: str, provider: str | None) -> str:
        """Return the model that a name means."""
        key = (name, provider)
        if key not in self._meant:
            self._meant[key] = self._found(name, provider)
        return self._meant[key]

    def has_price(self, model: str) -> bool:
        """Return whether a model has a price."""
        return bool(model) and self._book.rates(model, provider=self._provider, at=self._at) is not None

    def provider_of(self, model: str, provider: str | None) -> str | None:
        """Return who provides a model: as the line says, else as its name or the published prices do."""
        if provider is not None:
            return canonical_provider(provider)
        _, named = canonical_model(model)
        if named is not None:
            return named
        published = self._book.snapshot.find(model, provider=None, service_tier=None, at=self._at)
        return published.provider if published is not None else None

    def _found(self, name: str, provider: str | None) -> str:
        bare, _ = canonical_model(name, provider)
        if not bare or self._book.price_list.override(name, provider=provider, service_tier=None, at=self._at):
            return bare  # a price of one's own is of exactly this name
        published = self._book.snapshot.find(name, provider=provider, service_tier=None, at=self._at)
        return canonical_model(published.model, provider)[0] if published is not None else bare


def ledger_lines(
    rows: Iterable[Any], book: PriceBook, names: ModelNames, *, provider: str, request_ids: frozenset[str]
) -> list[LedgerLine]:
    """Return the lines of a provider, and those of the requests that its bill names."""
    found: list[LedgerLine] = []
    for row in rows:
        request_id = row.response_id or _request_id(row.request_id, row.line_no)
        if request_id not in request_ids and names.provider_of(row.model, row.provider) != provider:
            continue
        tokens: Mapping[str, int] = exact_json.loads(row.tokens)
        rates = book.rates(row.model, provider=row.provider, service_tier=row.service_tier, at=row.created_at)
        cost = LineCost(row.provider_cost_usd, row.input_cost_usd, row.output_cost_usd)
        line = LedgerLine(
            row.usage_key,
            row.line_no,
            row.provider,
            row.model,
            row.settled_at,
            tuple(token_parts(tokens, cost, rates)),
            row.provider_cost_usd,
            request_id,
        )
        found.append(line)
    return found


def _request_id(text: str | None, line_no: int) -> str | None:
    """Return what the metadata of a use names as the provider's request: one for all lines, or one for each in their order."""
    if text is None:
        return None
    named = exact_json.loads(text)
    if isinstance(named, list):
        places = cast("list[Any]", named)
        named = places[line_no] if line_no < len(places) else None
    return named if isinstance(named, str) and named else None
