"""The payer of a use, decided from account facts."""

import pytest

from faregate.usage.credits_process.charging import Charging, charging_for
from faregate.usage.values import AccountFacts, ChargingPolicy, Rule


@pytest.mark.parametrize(
    ("facts", "charging"),
    [
        (AccountFacts("ada"), Charging(Rule.INDIVIDUAL, "ada", None)),
        (AccountFacts("ada", policy=ChargingPolicy.POOLED), Charging(Rule.INDIVIDUAL, "ada", None)),
        (AccountFacts("kim", "acme"), Charging(Rule.RECORDED, "kim", "acme")),
        (AccountFacts("kim", "acme", ChargingPolicy.POOLED), Charging(Rule.POOLED, "org:acme", "acme")),
    ],
)
def test_payer_of_each_policy(facts: AccountFacts, charging: Charging) -> None:
    assert charging_for(facts) == charging


def test_only_recorded_uses_are_not_charged() -> None:
    assert [rule for rule in Rule if not rule.charges] == [Rule.RECORDED]
