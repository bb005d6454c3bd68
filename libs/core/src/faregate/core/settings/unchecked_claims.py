"""Claims of user tokens that the settings leave unchecked."""

from collections.abc import Sequence
from dataclasses import dataclass

from faregate.core.settings import Settings, variable_name

__all__ = ["UncheckedClaim", "unchecked_claims"]


@dataclass(frozen=True, slots=True)
class UncheckedClaim:
    """A claim that no setting checks: `setting` is the variable that would check it, `risk` what is accepted without it."""

    claim: str
    setting: str
    risk: str


def unchecked_claims(settings: Settings) -> Sequence[UncheckedClaim]:
    """Return the unchecked claims; none if user tokens are not accepted at all."""
    if settings.jwks_url is None and settings.jwt_secret is None:
        return []
    found: list[UncheckedClaim] = []
    if settings.jwt_issuer is None:
        risk = "tokens of any issuer that holds a key of the key set or the secret are accepted"
        found.append(UncheckedClaim("iss", variable_name("jwt_issuer"), risk))
    if settings.jwt_audience is None:
        risk = "tokens that were issued for other applications are accepted"
        found.append(UncheckedClaim("aud", variable_name("jwt_audience"), risk))
    return found
