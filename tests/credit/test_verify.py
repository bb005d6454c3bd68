"""`verify` reports nothing on a correct ledger and reports every manipulation."""

import asyncpg
import pytest

from faregate.core.db.database import Database
from faregate.credit.ledger.holds import HoldRequest
from faregate.credit.ledger.limits import LimitPeriod
from faregate.credit.proof.ranges import Range, split
from faregate.credit.proof.verify import Drift, Verifier
from support.busy import BusyLedger
from support.ledger import DatabaseLedger
from support.tampering import Case, cases

MOST = 2**63 - 1


@pytest.fixture
async def busy(database: Database) -> BusyLedger:
    ledger = BusyLedger(database)
    await ledger.live()
    return ledger


async def test_all_operations_verify_and_each_of_200_tamperings_is_found(busy: BusyLedger) -> None:
    """Edits, deletions, insertions and reorderings in the database, with its triggers disabled."""
    done: list[str] = []
    useless: list[str] = []
    missed: list[str] = []
    verifier = Verifier(busy.database)
    async with busy.database.transaction() as session:
        clean = await verifier.drifts(session)
        await busy.database.rows(session, "select set_config('session_replication_role', 'replica', true)")
        driver = await busy.database.driver(session)
        for case in cases():
            savepoint = driver.transaction()
            await savepoint.start()
            try:
                if problem := await _tamper(driver, case):
                    useless.append(problem)
                elif not await verifier.drifts(session):
                    missed.append(case.name)
                done.append(case.name)
            finally:
                await savepoint.rollback()
        after = await verifier.drifts(session)

    assert useless == []
    assert missed == []
    assert (clean, after) == ((), ())
    assert len(set(done)) >= 200


async def _tamper(driver: "asyncpg.Connection[asyncpg.Record]", case: Case) -> str | None:
    """Run the manipulation; return why it is skipped, if a constraint refuses it or no row matches."""
    try:
        status = await driver.execute(case.sql)
    except asyncpg.PostgresError as error:
        return f"{case.name}: {error}"
    return f"{case.name} hits nothing" if status.endswith(" 0") else None


async def test_first_divergence_is_reported_first(busy: BusyLedger) -> None:
    async with busy.database.transaction() as session:
        await busy.database.rows(session, "select set_config('session_replication_role', 'replica', true)")
        for seq in (9, 6):
            sql = f"update faregate.transfer set amount = amount + 1 where wallet_id = 1 and seq = {seq}"
            await busy.database.rows(session, sql)
    found = await Verifier(busy.database).verify(remember=True)
    first = found.drifts[0]

    assert (first.wallet_id, first.seq, first.item) == (1, 6, "a0")
    assert Drift(1, 6, "a0", "balance_after", 168_000_000, 167_999_999) in found.drifts
    assert await busy.rows("select * from faregate.verified_head") == [], (
        "a ledger with divergences must not be stored as verified"
    )


async def test_incremental_run_begins_where_the_last_clean_run_ended(busy: BusyLedger) -> None:
    """It finds changes to new rows, to counters and to the verified heads; it trusts older rows."""
    verifier = Verifier(busy.database)
    assert (await verifier.verify(remember=True)).drifts == ()
    bob = busy.ledgers["bob"]
    await bob.settle("after", 2)
    await bob.grant("new", 3, features=["images"])
    await bob.hold("new hold", 4, feature="images", ttl=80_000)
    clean = await verifier.verify(since_heads=True)
    edits = {
        "old": "update faregate.transfer set reason = 'x' where wallet_id = 2 and seq = 3",
        "head": "update faregate.transfer set hash = sha256(hash) where wallet_id = 2 and seq = 15",
        "new": "update faregate.transfer set reason = 'x' where wallet_id = 2 and seq = 16",
        "slice": "update faregate.grant_slice set amount = amount - 1 where wallet_id = 2 and seq = 16",
        "grant": "update faregate.credit_grant set remaining = remaining + 1 where wallet_id = 1 and key = 'later'",
        "charge": "update faregate.charge set charged = charged - 1 where usage_key = 'after'",
        "counter": "update faregate.wallet set debits = debits - 1 where wallet_id = 1",
        "tail": "delete from faregate.transfer where wallet_id = 2 and seq = 17",
    }
    found: dict[str, bool] = {}
    async with busy.database.transaction() as session:
        await busy.database.rows(session, "select set_config('session_replication_role', 'replica', true)")
        driver = await busy.database.driver(session)
        for name, sql in edits.items():
            savepoint = driver.transaction()
            await savepoint.start()
            await driver.execute(sql)
            found[name] = bool(await verifier.drifts(session, since_heads=True))
            await savepoint.rollback()

    assert clean.drifts == ()
    assert found == {name: name != "old" for name in edits}


async def test_rewritten_history_is_found_by_the_stored_heads(database: Database) -> None:
    """Recomputed hashes and counters deceive a full run, but not the heads stored by an earlier run (or a stored digest)."""
    ledger = DatabaseLedger(database)
    await ledger.grant("G", 10)
    await ledger.settle("K", 1)
    verifier = Verifier(database)
    await verifier.verify(remember=True)
    async with database.transaction() as session:
        await database.rows(session, "select set_config('session_replication_role', 'replica', true)")
        for sql in (
            "update faregate.transfer set reason = 'for something else' where seq = 2",
            "update faregate.transfer set hash = decode(repeat('ab', 32), 'hex') where seq = 2",
            "update faregate.wallet set head_hash = decode(repeat('ab', 32), 'hex')",
        ):
            await database.rows(session, sql)
    found = await verifier.verify(since_heads=True)

    assert {(drift.wallet_id, drift.seq) for drift in found.drifts} >= {(1, 2)}


async def test_progress_is_reported_to_the_end(busy: BusyLedger) -> None:
    told: list[tuple[int, int]] = []
    await Verifier(busy.database).verify(on_progress=lambda done, total: told.append((done, total)))

    assert told[-1][0] == told[-1][1] == len(told)


async def test_ledger_verifies_with_any_division_into_ranges(busy: BusyLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faregate.credit.proof.ranges._SIZE", 4)
    sizes = [tuple(row) for row in await busy.rows("select wallet_id, last_seq from faregate.wallet")]

    assert len(split(sizes, size=4)) > 10
    assert (await Verifier(busy.database).verify()).drifts == ()


def test_ranges_cover_every_transfer_once() -> None:
    ranges = split([(1, 3), (2, 12), (5, 1), (9, 4)], size=5)

    assert [(r.first, r.first_seq) for r in ranges[1:]] == [(r.last, r.last_seq) for r in ranges[:-1]]
    assert ranges[0].first == -MOST - 1
    assert (ranges[-1].last, ranges[-1].last_seq) == (MOST, MOST)
    assert ranges[1:3] == [Range(2, 2, 2, 7), Range(2, 7, 2, 12)]


async def test_limit_set_during_a_hold_counts_it(busy: BusyLedger) -> None:
    """Another limit of the same kind has put the scope on the charge before."""
    limits = busy.credit.limits
    scope, other = "user:3", "user:4"
    request = HoldRequest("early", 4, 4, None, "f", "individual", 1_000_000, 80_000, b"", None, (scope, other))
    await busy.database.run(lambda session: busy.credit.service.authorize(session, [request]))
    await busy.database.run(lambda session: limits.set(session, scope, LimitPeriod.DAY, soft=None, hard=5_000_000))
    held = await busy.rows("select held from faregate.spend_limit where scope = 'user:3'")
    clean = await Verifier(busy.database).verify()
    await busy.ledgers["dora"].void("early")

    assert [row.held for row in held] == [1_000_000]
    assert clean.drifts == (await Verifier(busy.database).verify()).drifts == ()


async def test_text_of_a_reason_may_be_erased_but_not_changed(busy: BusyLedger) -> None:
    kept = await busy.rows("select wallet_id, seq, words from faregate.transfer_reason order by 1, 2")
    sealed = await busy.rows("select 1 from faregate.transfer where reason like 'sealed:%'")
    first = f"wallet_id = {kept[0].wallet_id} and seq = {kept[0].seq}"
    await busy.rows(f"update faregate.transfer_reason set words = 'other words' where {first} returning 1")
    changed = (await Verifier(busy.database).verify()).drifts
    await busy.rows(f"delete from faregate.transfer_reason where {first} returning 1")
    erased = (await Verifier(busy.database).verify()).drifts

    assert len(kept) == len(sealed) > 0
    assert [(drift.check, drift.wallet_id, drift.seq) for drift in changed] == [
        ("reason", kept[0].wallet_id, kept[0].seq)
    ]
    assert erased == ()
