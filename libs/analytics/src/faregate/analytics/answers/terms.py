"""Amounts and dimensions that questions about trends name."""

from typing import Literal

__all__ = ["Amount", "Dimension"]

Amount = Literal["requests", "credits", "tokens", "cost", "quantity", "events"]
Dimension = Literal[
    "service", "model", "country", "device", "hour", "provider", "feature", "organization", "status", "meter"
]
