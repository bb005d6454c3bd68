"""Rows of FOCUS from settled uses and refunds. Pure.

Credits are the pricing currency, dollars the billing currency. A use has a row for each type of tokens of each line, and one for
what its price holds beyond its lines. Over the rows of a use, listed credits sum to its price, billed credits to what was charged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from faregate.analytics.bills.token_parts import TokenPart, shares
from faregate.analytics.focus.values import FocusRow, Issuer, SettledLine, SettledUse, UseRefund
from faregate.core.db.partitions import Month
from faregate.wire import exact_json
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["refund_row", "use_rows"]

_MICRO = Decimal("0.000001")
_EXACT = Context(prec=100)
_WHOLE = Decimal(1)
_ONE_USE = TokenPart("requests", 1, None)
_HOUR = timedelta(hours=1)
_ENTITIES = ("HostProviderName", "InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceProviderName")


@dataclass(frozen=True, slots=True)
class _Part:
    """A row in the making: what was used, its listed credits in micro-credits, and the line that it is of."""

    used: TokenPart
    line: SettledLine | None
    credits: int


def use_rows(use: SettledUse, issuer: Issuer) -> Iterator[FocusRow]:
    """Yield the rows of a use."""
    parts = _parts(use)
    charged = shares(Decimal(use.charged), [Decimal(part.credits) for part in parts], quantum=_WHOLE)
    for part, paid in zip(parts, charged, strict=True):
        yield _row(use, part, int(paid), issuer)


def refund_row(refund: UseRefund, issuer: Issuer) -> FocusRow:
    """Return the row of a refund: negative, and a correction if the use is of an earlier month."""
    use = refund.use
    row = dict(_row(use, _Part(TokenPart("requests", 0, None), None, -refund.amount), -refund.amount, issuer))
    row |= _periods(refund.refunded_at)
    row["ChargeDescription"] = f"Refund: {refund.reason}" if refund.reason else "Refund"
    if Month.of(use.settled_at) < Month.of(refund.refunded_at):
        row["ChargeClass"] = "Correction"
    return row


def _parts(use: SettledUse) -> list[_Part]:
    found = [part for line in use.lines for part in _line_parts(line)]
    rest = use.consumed - sum(part.credits for part in found)
    if rest or not found:
        found.append(_Part(_ONE_USE, None, rest))
    return found


def _line_parts(line: SettledLine) -> list[_Part]:
    """Divide the credits of a line by the cost of its types; by their counts if the line has no cost."""
    used = list(line.parts) or [TokenPart(line.unit or "requests", 1, None)]
    by_cost = [part.cost_usd or Decimal(0) for part in used]
    weights = by_cost if any(by_cost) else [Decimal(part.count) for part in used]
    credits = shares(Decimal(line.credits), weights, quantum=_WHOLE)
    return [_Part(part, line, int(each)) for part, each in zip(used, credits, strict=True)]


def _row(use: SettledUse, part: _Part, charged: int, issuer: Issuer) -> FocusRow:
    line = part.line
    price = line.credit_price_usd if line is not None else _price(use, issuer)
    listed, billed = part.credits * _MICRO, charged * _MICRO
    return {
        **dict.fromkeys(("ContractedCost", "ListCost"), _EXACT.multiply(listed, price)),
        **dict.fromkeys(("BilledCost", "EffectiveCost"), _EXACT.multiply(billed, price)),
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), price),
        "BillingCurrency": "USD",
        "PricingCurrency": "Credits",
        **dict.fromkeys(("PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice"), _WHOLE),
        "PricingCurrencyEffectiveCost": billed,
        "PricingCategory": "Standard",
        "PricingQuantity": listed,
        "PricingUnit": "Credits",
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": _description(use, part),
        "ChargeFrequency": "Usage-Based",
        **_periods(use.settled_at),
        **_accounts(use),
        **_consumed(part),
        **_sku(use, part),
        **dict.fromkeys(_ENTITIES, issuer.name),
        "ResourceId": use.feature_key,
        "ResourceName": use.feature_name or use.feature_key,
        "ResourceType": "Feature",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": issuer.name,
        "ServiceSubcategory": "Generative AI",
        "x_FeatureKey": use.feature_key,
        "x_Model": line.model if line is not None else None,
        "x_ModelProvider": line.provider if line is not None else None,
        "x_PriceVersion": line.price_version if line is not None else None,
        "x_ProviderCost": part.used.cost_usd,
        "x_TokenType": part.used.type if part.used.type.endswith("_tokens") else None,
        "x_UsageKey": use.usage_key,
        "x_UserId": use.user_id,
    }


def _price(use: SettledUse, issuer: Issuer) -> Decimal:
    return use.lines[0].credit_price_usd if use.lines else issuer.credit_price_usd


def _description(use: SettledUse, part: _Part) -> str:
    named = use.feature_name or use.feature_key
    if part.line is None:
        return named
    return (
        f"{named}: {_words(part.used.type)} of {part.line.model}"
        if part.line.model
        else f"{named}: {_words(part.used.type)}"
    )


def _periods(at: datetime) -> Mapping[str, datetime]:
    """Return the hour of the charge, and the calendar month in UTC that it is billed in."""
    hour, month = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0), Month.of(at)
    return {
        "ChargePeriodStart": hour,
        "ChargePeriodEnd": hour + _HOUR,
        "BillingPeriodStart": month.start,
        "BillingPeriodEnd": month.end,
    }


def _accounts(use: SettledUse) -> Mapping[str, str | None]:
    """Return who pays, and the member of the organisation that used it."""
    is_pool = use.payer_id.startswith(ORGANIZATION_PREFIX)
    member = use.user_id if use.user_id != use.payer_id else None
    return {
        "BillingAccountId": use.payer_id,
        "BillingAccountName": use.payer_name,
        "BillingAccountType": "Organization" if is_pool else "User",
        "SubAccountId": member,
        "SubAccountName": None,
        "SubAccountType": "User" if member is not None else None,
    }


def _consumed(part: _Part) -> Mapping[str, Any]:
    line, used = part.line, part.used
    if line is not None and not line.parts and line.quantity is not None:
        return {"ConsumedQuantity": line.quantity, "ConsumedUnit": _unit(used.type)}
    return {"ConsumedQuantity": Decimal(used.count), "ConsumedUnit": _unit(used.type)}


def _unit(name: str) -> str:
    """Return a unit of FOCUS: capitalised, in the plural."""
    word = name.rpartition("_")[2]
    return f"{word[:1].upper()}{word[1:]}" + ("" if word.endswith("s") else "s")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sku(use: SettledUse, part: _Part) -> Mapping[str, str | None]:
    """Return what was sold: a feature, by model and type of tokens. The ids hold no price, so that they stay the same."""
    line, used = part.line, part.used
    sku = "/".join([use.feature_key, *([line.model] if line is not None and line.model else []), used.type])
    details: dict[str, str] = {"x_Meter": used.type}
    if line is not None:
        about = {"x_Model": line.model, "x_ModelProvider": line.provider, "x_ServiceTier": line.service_tier}
        details |= {name: value for name, value in about.items() if value is not None}
    tier = f"/{line.service_tier}" if line is not None and line.service_tier else ""
    return {
        "SkuId": sku,
        "SkuMeter": _words(used.type).title(),
        "SkuPriceDetails": exact_json.dumps(details).decode(),
        "SkuPriceId": sku + tier,
    }
