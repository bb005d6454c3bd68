"""Use of features: strategies, prices, charging rules, and the service."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.usage.container import UsageContainer
    from faregate.usage.errors import UnknownFeatureError, UsageError
    from faregate.usage.interfaces import IAccountDirectory, IFeatureStrategy
    from faregate.usage.service import UsageService
    from faregate.usage.values import (
        Accessible,
        AccountFacts,
        ChargingPolicy,
        Feature,
        FeatureAccess,
        FeatureKey,
        FeatureRef,
        FeatureUsage,
        ModelUsage,
        Price,
        PricingPolicy,
        Settled,
        SettleRequest,
        StartRequest,
        UsageLine,
        Use,
        UseQuote,
    )
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "container": ["UsageContainer"],
            "errors": ["UnknownFeatureError", "UsageError"],
            "interfaces": ["IAccountDirectory", "IFeatureStrategy"],
            "service": ["UsageService"],
            "values": [
                "Accessible",
                "AccountFacts",
                "ChargingPolicy",
                "Feature",
                "FeatureAccess",
                "FeatureKey",
                "FeatureRef",
                "FeatureUsage",
                "ModelUsage",
                "Price",
                "PricingPolicy",
                "Settled",
                "SettleRequest",
                "StartRequest",
                "UsageLine",
                "Use",
                "UseQuote",
            ],
        },
    )

__all__ = [
    "Accessible",
    "AccountFacts",
    "ChargingPolicy",
    "Feature",
    "FeatureAccess",
    "FeatureKey",
    "FeatureRef",
    "FeatureUsage",
    "IAccountDirectory",
    "IFeatureStrategy",
    "ModelUsage",
    "Price",
    "PricingPolicy",
    "SettleRequest",
    "Settled",
    "StartRequest",
    "UnknownFeatureError",
    "UsageContainer",
    "UsageError",
    "UsageLine",
    "UsageService",
    "Use",
    "UseQuote",
]
