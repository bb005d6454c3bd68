"""What an answer of the gateway is to the caller's `except`."""

import pytest

from faregate.client import CreditsError, InsufficientCredits, QuotaExceeded
from faregate.client.errors import error_of


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_credits", InsufficientCredits),
        ("member_limit", InsufficientCredits),
        ("quota_exceeded", QuotaExceeded),
    ],
)
def test_a_402_says_what_is_short(code: str, kind: type[CreditsError]) -> None:
    """Whoever is told to top up must be short of credits, not of a quota."""
    error = error_of(402, {"error": {"code": code, "detail": "no", "used": 5, "limit": 5}})

    assert type(error) is kind
    assert error.facts == {"used": 5, "limit": 5}
