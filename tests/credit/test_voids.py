"""Voided grants: a void names its actor and the transfer that it corrects; the actor of the grant is kept."""

from datetime import timedelta

import pytest

from faregate.core.db.database import Database
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.states import Transfer, TransferNote
from faregate.credit.proof.verify import Verifier
from support.ledger import START, DatabaseLedger, Ledger, PureLedger, micros

NOTE = TransferNote(actor="bank", reason="dispute 77")


@pytest.fixture(params=["pure", "database"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "pure":
        return PureLedger()
    return DatabaseLedger(request.getfixturevalue("database"))


async def voids(ledger: Ledger) -> list[Transfer]:
    return [transfer for transfer in await ledger.moved() if transfer.kind is TransferKind.GRANT_VOID]


async def test_void_references_the_transfer_that_filled_the_grant(ledger: Ledger) -> None:
    """What an open hold protects is taken when the hold closes, with the actor of the void."""
    await ledger.grant("other", 1)
    await ledger.grant("G", 10, actor="ada", reason="welcome")
    await ledger.hold("K", 5)
    await ledger.void_grant("G")
    await ledger.void("K")
    voided = next(grant for grant in (await ledger.state())[1] if grant.key == "G")

    assert [(t.amount, t.corrects_seq, t.actor, t.reason) for t in await voids(ledger)] == [
        (micros(6), 2, "test", "test"),
        (micros(4), 2, "test", "test"),
    ]
    assert (voided.actor, voided.reason) == ("ada", "welcome")


async def test_void_of_a_renewed_grant_corrects_the_last_renewal_even_one_due_now(ledger: Ledger) -> None:
    await ledger.grant("G", 10, every="day")
    ledger.clock.advance(days=1)
    await ledger.balance()
    ledger.clock.advance(days=1)
    await ledger.void_grant("G")
    moved = await ledger.moved()
    renewals = [transfer.seq for transfer in moved if transfer.kind is TransferKind.GRANT]

    assert (len(renewals), [t.corrects_seq for t in await voids(ledger)]) == (3, [renewals[-1]])


async def test_void_of_a_scheduled_grant_posts_nothing_and_stores_the_actor(ledger: Ledger) -> None:
    await ledger.grant("G", 10, effective_at=START + timedelta(days=1), actor="ada")
    await ledger.void_grant("G")
    ledger.clock.advance(days=2)
    (grant,) = (await ledger.state())[1]

    assert await ledger.moved() == []
    assert (grant.actor, grant.void_note) == ("ada", TransferNote(actor="test", reason="test"))


@pytest.fixture
def stored(database: Database) -> DatabaseLedger:
    return DatabaseLedger(database)


async def test_chargeback_of_a_voided_purchase_does_not_repeat_the_void(stored: DatabaseLedger) -> None:
    await stored.grant("G", 10)
    await stored.use(4)
    await stored.void_grant("G")
    wallet, _ = await stored.state()
    posted = await stored.database.run(
        lambda session: stored.corrections.charge_back(session, f"{wallet.wallet_id}-1", note=NOTE)
    )

    assert [(t.kind, t.corrects) for t in posted] == [("shortfall", f"{wallet.wallet_id}-1")]
    assert await proved(stored) == ()


async def test_void_of_a_refund_grant_corrects_the_refund(stored: DatabaseLedger) -> None:
    await stored.grant("G", 10, expires_at=START + timedelta(days=1))
    await stored.use(10)
    stored.clock.advance(days=2)
    wallet, _ = await stored.state()
    await stored.database.run(
        lambda session: stored.corrections.refund(session, f"{wallet.wallet_id}-2", amount=None, note=NOTE)
    )
    made = next(grant for grant in (await stored.state())[1] if grant.source == "refund")
    await stored.database.run(
        lambda s: stored.service.void_grant(s, stored.OWNER, made.grant_id, actor="eve", reason="twice")
    )
    (void,) = await voids(stored)

    assert (void.corrects_seq, void.credit, void.actor) == (3, Account.REVENUE, "eve")
    assert await proved(stored) == ()


async def test_story_of_a_use_excludes_corrections_of_the_next_transfer(stored: DatabaseLedger) -> None:
    await stored.grant("G", 10)
    charge = await stored.use(4)
    await stored.grant("later", 5)
    await stored.void_grant("later")
    told = await stored.database.run(lambda session: stored.service.transactions_of(session, charge))

    assert [transaction.kind for transaction in told] == ["charge"]


async def proved(ledger: DatabaseLedger) -> object:
    async with ledger.database.transaction() as session:
        return await Verifier(ledger.database).drifts(session)
