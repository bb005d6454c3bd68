"""A wallet that stays locked, such as by an administrator's open transaction: the settlements of all others go on."""

import asyncio

import pytest

from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.credit.proof.verify import Verifier
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from support.apps import Gateway, open_gateway, running_worker, settings_for
from support.locks import wallets_locked

USES = 4


def _message(user: str, number: int) -> OutgoingMessage:
    body = {"user_id": user, "feature_endpoint_value": "chat", "usage_key": f"{user}-{number}", "usages": []}
    return OutgoingMessage(exact_json.dumps(body))


async def _until_balance(gateway: Gateway, user: str, balance: int) -> None:
    async with asyncio.timeout(30):
        while (await gateway.get(f"/api/wallets/{user}")).data["balance"] != balance:
            await asyncio.sleep(0.05)


async def test_one_locked_wallet_delays_its_own_settlements_only(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker stays, and says what to look for; the settlements of the locked wallet are tried again later, and each is charged once."""
    settings = settings_for(database_url, db_lock_timeout_seconds=0.05)
    async with open_gateway(settings) as gateway:
        await gateway.feature("chat", strategy="fixed", parameters={"credits": 2})
        for user in ("ada", "bela"):
            await gateway.grant(user, 100)
        transport = gateway.container.transport()
        messages = [_message(user, number) for number in range(USES) for user in ("ada", "bela")]
        async with wallets_locked(database_url, "ada"):
            await transport.publish(SETTLE_MULTIMODEL_QUEUE, messages)
            async with running_worker(settings):
                await _until_balance(gateway, "bela", 100 - 2 * USES)
        told = [line for line in capsys.readouterr().out.splitlines() if "database_busy" in line]
        async with gateway.database.transaction() as session:
            await gateway.database.rows(session, "update faregate.message set available_at = now()")
        async with running_worker(settings):
            await _until_balance(gateway, "ada", 100 - 2 * USES)

        assert told
        assert all("pg_blocking_pids" in line for line in told)
        assert [letter async for letter in transport.dead_letters()] == []
        assert (await Verifier(gateway.database).verify()).drifts == ()
