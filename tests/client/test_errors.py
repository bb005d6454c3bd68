"""Errors of the client for error answers of the gateway."""

import pytest

from faregate import client
from faregate.client import FaregateError, InsufficientCreditsError, QuotaExceededError
from faregate.client.errors import error_of

EARLIER = {
    "AccessRefused": "AccessRefusedError",
    "CreditsError": "FaregateError",
    "HoldClosed": "HoldClosedError",
    "InsufficientCredits": "InsufficientCreditsError",
    "InvalidCall": "InvalidError",
    "KeyConflict": "KeyConflictError",
    "QuotaExceeded": "QuotaExceededError",
    "RateLimited": "RateLimitedError",
    "Unauthenticated": "UnauthenticatedError",
    "Unavailable": "UnavailableError",
    "UnknownFeature": "UnknownFeatureError",
    "UnknownUsageKey": "UnknownUsageKeyError",
    "UnreadableReply": "UnreadableReplyError",
}


def test_the_earlier_names_are_the_same_classes() -> None:
    for earlier, today in EARLIER.items():
        assert getattr(client, earlier) is getattr(client, today)
    shared = set(EARLIER.values()) - {"UnreadableReplyError"}
    assert all(getattr(client, name).__module__ == "faregate.wire.errors" for name in shared)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_credits", InsufficientCreditsError),
        ("member_limit", InsufficientCreditsError),
        ("quota_exceeded", QuotaExceededError),
    ],
)
def test_a_402_tells_credits_and_quota_apart(code: str, kind: type[FaregateError]) -> None:
    """A top-up helps only if credits are missing, not if a quota is exceeded."""
    error = error_of(402, {"error": {"code": code, "detail": "no", "used": 5, "limit": 5}})

    assert type(error) is kind
    assert error.facts == {"used": 5, "limit": 5}
