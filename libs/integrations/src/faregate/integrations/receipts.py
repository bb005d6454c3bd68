"""Receipt: what a use cost, as a framework's metadata can hold it."""

from collections.abc import Mapping
from decimal import Decimal

from faregate.client.values import UseResult

__all__ = ["RECEIPT", "headers_of", "receipt_of", "refused_receipt"]

RECEIPT = "faregate"
"""The name under which an adapter puts the receipt into its framework's metadata."""

_HEADERS = {
    "usage_key": "x-faregate-usage-key",
    "state": "x-faregate-state",
    "credits_charged": "x-faregate-credits-charged",
    "credits_left": "x-faregate-credits-left",
}


def receipt_of(result: UseResult) -> dict[str, str | None]:
    """Return the receipt of an ended use: plain strings, amounts exact, such as `{"credits_charged": "0.42"}`.

    `credits_charged` and `credits_left` are None while a queue or the spool has the settlement (`state` is "pending").
    """
    return {
        "usage_key": result.usage_key,
        "state": result.state,
        "credits_charged": _text(result.charged),
        "credits_left": _text(result.credits),
    }


def refused_receipt(usage_key: str) -> dict[str, str | None]:
    """Return the receipt of a use whose settlement was refused; the log says why."""
    return {"usage_key": usage_key, "state": "refused", "credits_charged": None, "credits_left": None}


def headers_of(receipt: Mapping[str, str | None]) -> dict[str, str]:
    """Return a receipt as HTTP headers, without what is not known."""
    return {_HEADERS[name]: value for name, value in receipt.items() if value is not None}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount.normalize(), "f")
