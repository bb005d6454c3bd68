"""Charging rule: who pays, individual or organisation. Pure.

Decided from facts when a use starts, and frozen on its charge.
"""

from dataclasses import dataclass

from faregate.usage.values import AccountFacts, ChargingPolicy, Rule
from faregate.wire.ids import organization_owner_id

__all__ = ["Charging", "charging_for"]


@dataclass(frozen=True, slots=True)
class Charging:
    """The rule of one use, and whose wallet stands for it (recorded uses are kept on the user's own)."""

    rule: Rule
    payer_id: str
    organization_id: str | None


def charging_for(facts: AccountFacts) -> Charging:
    """Return who pays for a user of whom `facts` are known.

    Raises:
        FaregateError: `facts.refusal`, why the organisation that the call names does not count.
    """
    if facts.refusal is not None:
        raise facts.refusal
    if facts.organization_id is None:
        return Charging(Rule.INDIVIDUAL, facts.user_id, None)
    if facts.policy is ChargingPolicy.POOLED:
        return Charging(Rule.POOLED, organization_owner_id(facts.organization_id), facts.organization_id)
    return Charging(Rule.RECORDED, facts.user_id, facts.organization_id)
