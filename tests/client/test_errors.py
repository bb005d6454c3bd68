"""Errors of the client for error answers of the gateway."""

import pytest

from faregate.client import FaregateError, InsufficientCreditsError, QuotaExceededError
from faregate.client.errors import error_of


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
