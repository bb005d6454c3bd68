"""Who pays is decided from facts."""

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
def test_who_pays(facts: AccountFacts, charging: Charging) -> None:
    assert charging_for(facts) == charging


def test_only_recorded_uses_charge_nobody() -> None:
    assert [rule for rule in Rule if not rule.charges] == [Rule.RECORDED]
