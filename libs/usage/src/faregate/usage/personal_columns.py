"""How an erasure treats each text column about features and usage."""

from collections.abc import Mapping

from faregate.core.personal_columns import ENUM, ERASED, NAME, OURS

__all__ = ["USAGE_COLUMNS"]

_PRICED = "decides what others pay, so that it must not change behind them"
_USE = "the key of a use, as in the ledger"

USAGE_COLUMNS: Mapping[str, str] = {
    "definition.kind": ENUM,
    "definition.key": NAME,
    "definition.content": ERASED,
    "definition.actor": ERASED,
    "feature.key": NAME,
    "feature.feature_id": NAME,
    "feature.name": ERASED,
    "feature.strategy": ENUM,
    "feature.parameters": _PRICED,
    "feature.access": ERASED,
    "feature.outage_policy": ENUM,
    "feature.hold_sizing": ENUM,
    "margin.scope": ENUM,
    "margin.name": NAME,
    "organization.name": ERASED,
    "organization.policy": ENUM,
    "plan.key": NAME,
    "plan.name": ERASED,
    "plan.features": _PRICED,
    "plan.grants": _PRICED,
    "price_override.model": NAME,
    "price_override.provider": NAME,
    "price_override.service_tier": NAME,
    "price_override.prices": _PRICED,
    "price_override.actor": ERASED,
    "price_override.note": ERASED,
    "usage_correction.reason": ERASED,
    "usage_correction.actor": ERASED,
    **{
        f"usage_event.{name}": NAME
        for name in ("service", "feature_key", "model", "provider", "meter", "country", "device", "source")
    },
    "usage_event.usage_key": _USE,
    "usage_event.external_id": ERASED,
    "usage_event.tags": ERASED,
    "usage_event.metadata": ERASED,
    "usage_line.usage_key": _USE,
    "usage_line.model": NAME,
    "usage_line.provider": NAME,
    "usage_line.tokens": OURS,
    "usage_line.unit": NAME,
    "usage_line.service_tier": NAME,
    "usage_line.price_version": OURS,
    "usage_line.raw": ERASED,
    "usage_meter.name": NAME,
    "usage_meter.unit": NAME,
    "usage_meter.aggregation": ENUM,
    "usage_meter.description": ERASED,
    "usage_rejection.reason": ERASED,
}
