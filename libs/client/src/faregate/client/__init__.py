"""Client for services without the library, over HTTP or AMQP."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.client.charge_session import ChargeSession, Ride, current_charge_session, current_ride
    from faregate.client.client import CreditsClient
    from faregate.client.errors import (
        AccessRefused,
        CreditsError,
        HoldClosed,
        InsufficientCredits,
        InvalidCall,
        KeyConflict,
        QuotaExceeded,
        RateLimited,
        Unauthenticated,
        Unavailable,
        UnknownFeature,
        UnknownUsageKey,
        UnreadableReply,
    )
    from faregate.client.feature_logger import FeatureLogger
    from faregate.client.sync import SyncCreditsClient, SyncFeatureLogger
    from faregate.client.testing.fake_credits import FakeCredits, SyncFakeCredits
    from faregate.client.testing.pricing import FakePrice, fixed_credits, one_credit, token_prices
    from faregate.client.transport.outage import CLOSED, Outage
    from faregate.client.transport.retrying import Retry
    from faregate.client.values import Accepted, Authorization, FeatureUsage, ModelUsage, Settlement, Voided
    from faregate.client.wrapping.wrap import wrap
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "charge_session": ["ChargeSession", "Ride", "current_charge_session", "current_ride"],
            "client": ["CreditsClient"],
            "errors": [
                "AccessRefused",
                "CreditsError",
                "HoldClosed",
                "InsufficientCredits",
                "InvalidCall",
                "KeyConflict",
                "QuotaExceeded",
                "RateLimited",
                "Unauthenticated",
                "Unavailable",
                "UnknownFeature",
                "UnknownUsageKey",
                "UnreadableReply",
            ],
            "feature_logger": ["FeatureLogger"],
            "sync": ["SyncCreditsClient", "SyncFeatureLogger"],
            "testing.fake_credits": ["FakeCredits", "SyncFakeCredits"],
            "testing.pricing": ["FakePrice", "fixed_credits", "one_credit", "token_prices"],
            "transport.outage": ["CLOSED", "Outage"],
            "transport.retrying": ["Retry"],
            "values": ["Accepted", "Authorization", "FeatureUsage", "ModelUsage", "Settlement", "Voided"],
            "wrapping.wrap": ["wrap"],
        },
    )

__all__ = [
    "CLOSED",
    "Accepted",
    "AccessRefused",
    "Authorization",
    "ChargeSession",
    "CreditsClient",
    "CreditsError",
    "FakeCredits",
    "FakePrice",
    "FeatureLogger",
    "FeatureUsage",
    "HoldClosed",
    "InsufficientCredits",
    "InvalidCall",
    "KeyConflict",
    "ModelUsage",
    "Outage",
    "QuotaExceeded",
    "RateLimited",
    "Retry",
    "Ride",
    "Settlement",
    "SyncCreditsClient",
    "SyncFakeCredits",
    "SyncFeatureLogger",
    "Unauthenticated",
    "Unavailable",
    "UnknownFeature",
    "UnknownUsageKey",
    "UnreadableReply",
    "Voided",
    "current_charge_session",
    "current_ride",
    "fixed_credits",
    "one_credit",
    "token_prices",
    "wrap",
]
