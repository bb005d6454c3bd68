"""Bounds of keys that an API key makes or rotates.

Such a key may never do more than the key that made it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import cast

from faregate.core.access.key_lineage import LINE_LIMIT
from faregate.core.access.key_store import ApiKey, KeySpec
from faregate.core.errors import InvalidError
from faregate.credit.ledger.limits import LimitPeriod
from faregate.credit.services.spending_limits import SpendingLimit
from faregate.gateway.errors import ForbiddenError
from faregate.wire.credits import to_credits, to_micros

__all__ = ["KeyBounds"]

_LENGTHS = tuple(LimitPeriod)


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """The calling key, its line (own client first, the oldest last) and the spend caps of that line."""

    key: ApiKey
    line: Sequence[str]
    caps: Sequence[SpendingLimit]

    def narrowed(self, spec: KeySpec) -> KeySpec:
        """Return `spec` within the bounds; fields that are left out are taken from the key that makes it.

        Raises:
            ForbiddenError: `spec` exceeds the bounds, or the line of keys is too long.
        """
        if len(self.line) >= LINE_LIMIT:
            raise ForbiddenError(
                f"keys may be nested at most {LINE_LIMIT} levels deep; make this key with a key nearer to the first one"
            )
        inherited = replace(
            spec,
            expires_at=spec.expires_at if spec.expires_at is not None else self.key.expires_at,
            allowed_ips=spec.allowed_ips if spec.allowed_ips is not None else self.key.allowed_ips,
        )
        self._check(inherited)
        return inherited

    def check_cap(self, micros: int, period: LimitPeriod) -> None:
        """Raise `ForbiddenError` if a spend cap is above one of the line for the same or a longer period."""
        for cap in self.caps:
            longer = _LENGTHS.index(LimitPeriod(cap.period)) >= _LENGTHS.index(period)
            if cap.hard is not None and longer and micros > to_micros(cap.hard):
                raise ForbiddenError(
                    f"spend_cap: {to_credits(micros)} credits ({period}) are more than the {cap.hard} ({cap.period}) "
                    "that the calling key may spend; lower it, or leave it out",
                    param="spend_cap",
                )

    def check_rotation(self, old: ApiKey, line: Iterable[str]) -> None:
        """Raise `ForbiddenError` unless the successor of `old`, a key of this line, may do no more than the calling key.

        A key outside the line of the calling key spends from other caps, so a calling key with caps cannot rotate it.
        """
        self._check(KeySpec(old.name, old.scopes, old.environment, old.expires_at, old.allowed_ips))
        if old.client in self.line[1:]:
            raise ForbiddenError(
                "a key cannot rotate a key that it descends from; ask an administrator", param="key_id"
            )
        if self.caps and self.key.client not in line:
            raise ForbiddenError(
                "spend_cap: a key with a spend cap rotates only itself and keys that it has made, which spend from its cap",
                param="key_id",
            )

    def _check(self, spec: KeySpec) -> None:
        ends = self.key.expires_at
        if ends is not None and (spec.expires_at is None or spec.expires_at > ends):
            raise ForbiddenError(
                f"expires_at must not be after {ends.isoformat()}, when the calling key expires", param="expires_at"
            )
        allowed = self.key.allowed_ips
        if allowed is None:
            return
        outside = _outside(spec.allowed_ips, allowed)
        if outside is not None:
            raise ForbiddenError(
                f"allowed_ips: {outside} is not within {', '.join(allowed)}, the networks of the calling key",
                param="allowed_ips",
            )


def _outside(wanted: Sequence[str] | None, allowed: Sequence[str]) -> str | None:
    """Return the first network that is not within the allowed ones; None if all are."""
    if wanted is None:
        return "every address"
    try:
        return next((network for network in wanted if not _is_within(network, allowed)), None)
    except ValueError:
        raise InvalidError(
            "allowed_ips must hold addresses and networks such as 203.0.113.0/24", param="allowed_ips"
        ) from None


def _is_within(network: str, allowed: Sequence[str]) -> bool:
    inner = ip_network(network)
    same = (outer for outer in map(ip_network, allowed) if outer.version == inner.version)
    return any(_contains(outer, inner) for outer in same)


def _contains(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    if isinstance(outer, IPv4Network):
        return cast("IPv4Network", inner).subnet_of(outer)
    return cast("IPv6Network", inner).subnet_of(outer)
