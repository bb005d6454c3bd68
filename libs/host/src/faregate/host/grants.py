"""Grants of the facade, in credits."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from faregate.core.errors import InvalidError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.host.arguments import check_list, check_moment
from faregate.wire.credits import to_micros
from faregate.wire.ids import check_external_id

__all__ = ["credit_amount", "grant_spec"]

_SOURCES = tuple(source.value for source in GrantSource if source is not GrantSource.OPENING)


def grant_spec(
    credits: Decimal | int,
    *,
    key: str,
    source: str,
    reason: str | None,
    actor: str | None,
    effective_at: datetime | None,
    expires_at: datetime | None,
    features: Sequence[str] | None,
    priority: int,
    every: str | None,
) -> GrantSpec:
    """Return the specification of a grant.

    Raises:
        InvalidError: the amount, the key or the source is not valid; the ledger checks the rest.
    """
    if source not in _SOURCES:
        raise InvalidError(f"source must be one of {', '.join(_SOURCES)}, not {source!r}", param="source")
    check_list(features, param="features")
    check_moment(effective_at, param="effective_at")
    check_moment(expires_at, param="expires_at")
    return GrantSpec(
        credit_amount(credits),
        GrantSource(source),
        priority,
        effective_at,
        expires_at,
        tuple(features) if features is not None else None,
        every,
        key=check_external_id(key, param="key"),
        actor=actor,
        reason=reason,
    )


def credit_amount(credits: Decimal | int, *, param: str = "credits") -> int:
    """Return an amount in micro-credits.

    Raises:
        InvalidError: it is a float, not more than 0, or finer than 0.000001.
    """
    if isinstance(credits, float):
        raise InvalidError(f"{param} must be a Decimal, such as Decimal({str(credits)!r}), not a float", param=param)
    micros = to_micros(Decimal(credits), param=param)
    if micros <= 0:
        raise InvalidError(f"{param} must be more than 0", param=param)
    return micros
