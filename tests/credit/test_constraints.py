"""Constraints of the database that hold even if the code is wrong."""

import asyncpg
import pytest

from faregate.core.db.database import Database
from support.ledger import DatabaseLedger


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("update faregate.wallet set held = 10000001", "wallet_never_overspent_check"),
        ("update faregate.wallet set debits = debits + 10000001", "wallet_never_overspent_check"),
        ("update faregate.wallet set credits = -1", "wallet_"),
        ("update faregate.credit_grant set remaining = -1", "credit_grant_amounts_check"),
        ("update faregate.credit_grant set held = remaining + 1", "credit_grant_amounts_check"),
        ("update faregate.charge set status = 0", "charge_status_check"),
        ("update faregate.transfer set amount = amount", "append-only"),
        ("delete from faregate.transfer", "append-only"),
        ("truncate faregate.transfer", "append-only"),
        ("update faregate.grant_slice set amount = amount", "append-only"),
        ("delete from faregate.grant_slice", "append-only"),
        ("truncate faregate.grant_slice", "append-only"),
    ],
)
async def test_the_database_refuses(database: Database, sql: str, refusal: str) -> None:
    ledger = DatabaseLedger(database)
    await ledger.grant("G", 11)
    await ledger.settle("K", 1)
    connection = await database.connect()
    try:
        with pytest.raises(asyncpg.PostgresError, match=refusal):
            await connection.execute(sql)
    finally:
        await connection.close()
