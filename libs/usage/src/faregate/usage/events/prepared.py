"""Rows and claims of the events of one call. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from faregate.core.errors import InvalidError
from faregate.usage.events.claims import claim_key

__all__ = ["PreparedEvents"]


@dataclass(frozen=True, slots=True)
class PreparedEvents:
    """The rows and claims of a call's events, in COPY format, and why the other items have none.

    Attributes:
        rows: the row of each event, by its place in the call.
        claims: the claims, in no order; all claims of an event must be new for it to count.
        claimed_by: the place of the event of each claim.
        errors: by place in the call.
    """

    rows: dict[int, bytes] = field(default_factory=dict[int, bytes])
    claims: list[bytes] = field(default_factory=list[bytes])
    claimed_by: list[int] = field(default_factory=list[int])
    errors: dict[int, InvalidError] = field(default_factory=dict[int, InvalidError])

    def add(self, places: Sequence[int], rows: Iterable[bytes]) -> None:
        """Add events."""
        self.rows.update(zip(places, rows, strict=True))

    def claim(self, places: Iterable[int], claims: Iterable[bytes]) -> None:
        """Add claims; `places` names the event of each."""
        self.claims.extend(claims)
        self.claimed_by.extend(places)

    def first_claims(self) -> tuple[Sequence[int], Sequence[bytes]]:
        """Return the places of the events without repetitions among themselves, and the claims to make, sorted."""
        if len(set(map(claim_key, self.claims))) == len(self.claims):
            return sorted(self.rows), sorted(self.claims)
        first: dict[bytes, tuple[int, bytes]] = {}
        repeated: set[int] = set()
        for place, claim in sorted(zip(self.claimed_by, self.claims, strict=True)):
            if first.setdefault(claim_key(claim), (place, claim))[0] != place:
                repeated.add(place)
        return sorted(self.rows.keys() - repeated), sorted(claim for _, claim in first.values())

    def unclaimed(self, new: Collection[bytes]) -> set[int]:
        """Return the places of the events with a claim whose key is not among the `new` ones."""
        claims = zip(self.claimed_by, map(claim_key, self.claims), strict=True)
        return {place for place, key in claims if key not in new}
