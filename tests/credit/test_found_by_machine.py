"""Failures that the state machines have found, as single tests."""

from datetime import timedelta

import pytest

from faregate.credit.ledger.accounts import GrantSource, TransferKind
from support.driving import Hold, PureDriver, PutGrant, Refund, Settle
from support.ledger import START, PureLedger


async def test_grant_sent_again_after_its_expiry_is_the_same_grant() -> None:
    ledger = PureLedger()
    await ledger.grant("G", 5, expires_at=START + timedelta(minutes=1))
    ledger.clock.advance(hours=1)
    await ledger.grant("G", 5, expires_at=START + timedelta(minutes=1))

    assert await ledger.left() == {"G": 0}


@pytest.mark.parametrize("look_between", [False, True])
def test_refund_to_a_grant_lapses_on_time(look_between: bool) -> None:
    """Also if the wallet was brought up to date in between, while the grant had no credits left."""
    ends = START + timedelta(hours=1)
    driver = PureDriver()
    driver.apply(PutGrant("G", 5, GrantSource.BONUS, expires_at=ends))
    driver.apply(Settle("K", 5, "f"))
    if look_between:
        driver.apply(PutGrant("later", 1, GrantSource.BONUS, effective_at=START + timedelta(seconds=5)))
        driver.clock.advance(seconds=10)
        driver.mature()
    driver.apply(Refund("K", TransferKind.CHARGE, None, "r"))
    driver.clock.advance(hours=2)
    driver.mature()

    grant = next(grant for grant in driver.wallet.grants.values() if grant.key == "G")
    assert grant.remaining == 0
    assert driver.transfers[-1].kind is TransferKind.EXPIRY


@pytest.mark.parametrize("turned", [False, True])
def test_hold_reserves_restricted_grants_in_burn_order_not_in_row_order(turned: bool) -> None:
    driver = PureDriver()
    driver.apply(PutGrant("lasting", 5, GrantSource.BONUS, features=("images",)))
    driver.apply(PutGrant("lapsing", 5, GrantSource.BONUS, features=("images",), expires_at=START + timedelta(hours=1)))
    if turned:
        driver.wallet.grants = dict(reversed(driver.wallet.grants.items()))
    driver.apply(Hold("K", 7, 60, "images"))

    assert {grant.key: grant.held for grant in driver.wallet.grants.values()} == {"lapsing": 5, "lasting": 2}
