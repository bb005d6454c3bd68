"""One worker for many tenants: each message settles at its own tenant, and no tenant waits for another's backlog."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiormq.exceptions import ChannelNotFoundEntity

from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.messaging.rabbitmq.connection import open_link
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.core.settings import Settings
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from faregate.worker.main import run_worker
from faregate.worker.tenancy.lanes import Lane
from faregate.worker.tenancy.pace import JobPace
from support.servers import execute
from support.tenancy import Front, deployment_settings, open_front, until


@asynccontextmanager
async def working(settings: Settings) -> AsyncGenerator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(run_worker(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def prepare(front: Front, tenant: str, credits: int) -> None:
    await front.call(tenant, "POST", "/api/wallets/ada/grants", {"credits": credits, "source": "purchase"})
    await front.call(tenant, "PUT", "/api/features/chat", {"strategy": "fixed", "parameters": {"credits": 1}})


async def publish(front: Front, tenant: str, *keys: str) -> None:
    """Publish settlements on the tenant's queue, as the library does."""
    (held,) = [held for held in front.container.tenant_apps().held if held.tenant.key == tenant]
    transport = front.service.database_of(held.tenant)
    await transport.open()
    bodies = [
        {
            "user_id": "ada",
            "feature_endpoint_id": "chat",
            "usage_key": key,
            "usages": [{"ai_model": "gpt-4o", "input_tokens": 1}],
        }
        for key in keys
    ]
    sender = PostgresTransport(transport)
    await sender.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(exact_json.dumps(body)) for body in bodies])
    await sender.close()


async def balance(front: Front, tenant: str) -> Any:
    return (await front.call(tenant, "GET", "/api/wallets/ada")).data["balance"]


async def test_messages_settle_at_their_own_tenant_only(deployment_url: str) -> None:
    """The same user, feature and usage key at both; what one publishes is charged there, and webhooks, sums and heartbeats too."""
    settings = deployment_settings(deployment_url)
    async with open_front(settings) as front:
        for tenant, credits in (("acme", 100), ("beta", 50)):
            await prepare(front, tenant, credits)
        async with working(settings):
            await publish(front, "acme", "use-1", "use-2")

            async def acme_settled() -> bool:
                return bool(await balance(front, "acme") == 98)

            await until(acme_settled)
            unsettled = await front.call("beta", "GET", "/api/credits-process/use-1")
            await publish(front, "beta", "use-1")

            async def beta_settled() -> bool:
                return bool(await balance(front, "beta") == 49)

            await until(beta_settled)

            async def both_alive() -> bool:
                shown = [(await front.text(tenant, "GET", "/metrics"))[1] for tenant in ("acme", "beta")]
                return all(
                    f'faregate_workers{{tenant="{tenant}"}} 1.0' in text
                    for tenant, text in zip(("acme", "beta"), shown, strict=True)
                )

            await until(both_alive)
        assert unsettled.status == 404
        assert (await balance(front, "acme"), await balance(front, "beta")) == (98, 49)


async def test_a_suspended_tenant_waits_and_a_broken_one_stops_nobody(deployment_url: str) -> None:
    settings = deployment_settings(deployment_url)
    async with open_front(settings) as front:
        for tenant in ("acme", "beta"):
            await prepare(front, tenant, 10)
        await publish(front, "beta", "early")
        await front.service.create("gone", hosts=["gone.example.com"])
        await execute(deployment_url, "drop table tenant_gone.message")
        await front.service.suspend("beta")
        async with working(settings):
            await publish(front, "acme", "use-1")

            async def acme_settled() -> bool:
                return bool(await balance(front, "acme") == 9)

            await until(acme_settled)

            async def refused() -> bool:
                return (await front.call("beta", "GET", "/api/wallets/ada")).status == 403

            await until(refused)
            waiting = await front.service.database_of(await front.service.get("beta")).connect()
            assert await waiting.fetchval("select count(*) from tenant_beta.message") == 1
            await waiting.close()
            await front.service.resume("beta")

            async def beta_settled() -> bool:
                answer = await front.call("beta", "GET", "/api/wallets/ada")
                return answer.status == 200 and answer.data["balance"] == 9

            await until(beta_settled)


async def test_a_backlog_of_one_tenant_delays_the_others_by_one_turn() -> None:
    order: list[str] = []
    left = {"big": 50, "small": 1, "other": 2}
    stop = asyncio.Event()

    async def turn(key: str) -> bool:
        order.append(key)
        left[key] -= 1
        await asyncio.sleep(0)
        if not any(left.values()):
            stop.set()
        return left[key] > 0

    lane = Lane(1, turn, grace_seconds=5)
    for key in left:
        lane.offer(key)
        lane.offer(key)
    await lane.run(stop)

    assert order[:5] == ["big", "small", "other", "big", "other"]
    assert (len(order), order[5:]) == (53, ["big"] * 48)


async def test_a_tenant_that_is_offered_during_its_turn_gets_another_and_never_two_at_once() -> None:
    running, most, turns = 0, 0, 0
    stop = asyncio.Event()

    async def turn(key: str) -> bool:
        nonlocal running, most, turns
        running, turns = running + 1, turns + 1
        most = max(most, running)
        if turns == 1:
            lane.offer(key)
            lane.offer(key)
        await asyncio.sleep(0)
        running -= 1
        if turns == 2:
            stop.set()
        return False

    lane = Lane(4, turn, grace_seconds=5)
    lane.offer("acme")
    await lane.run(stop)

    assert (most, turns) == (1, 2)


async def test_a_turn_that_outlasts_the_grace_is_cancelled() -> None:
    stop, begun = asyncio.Event(), asyncio.Event()

    async def turn(_key: str) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return False

    lane = Lane(1, turn, grace_seconds=0.01)
    lane.offer("acme")
    running = asyncio.create_task(lane.run(stop))
    await begun.wait()
    stop.set()

    await asyncio.wait_for(running, 5)


@pytest.mark.parametrize("count", [0, 1, 3, 12])
def test_idle_tenants_are_looked_at_in_turn_and_busy_ones_always(count: int) -> None:
    keys = [f"t{number:02}" for number in range(count)]
    pace = JobPace(idle_at_once=5)
    seen = [pace.due(keys) for _ in range(4)]

    assert all(len(set(chosen)) == min(5, count) for chosen in seen)
    assert {key for chosen in seen for key in chosen} == set(keys)
    if count:
        pace.was_busy(keys[0])
        assert all(pace.due(keys)[0] == keys[0] for _ in range(4))


async def test_on_a_shared_broker_each_tenant_has_queues_of_its_own(deployment_url: str, broker_url: str) -> None:
    """What is published to acme's queues settles at acme; its dead letters are acme's; deleting its queues leaves beta's."""
    settings = deployment_settings(deployment_url, broker_url=broker_url)
    async with open_front(settings) as front:
        for tenant in ("acme", "beta"):
            await prepare(front, tenant, 10)
        async with working(settings):
            body = {
                "user_id": "ada",
                "feature_endpoint_id": "chat",
                "usages": [{"ai_model": "gpt-4o", "input_tokens": 1}],
            }
            link = await open_link(broker_url, "test", confirms=True)
            for key in ("use-1", "use-2"):
                await link.channel.basic_publish(
                    exact_json.dumps({**body, "usage_key": key}), routing_key=f"acme.{SETTLE_MULTIMODEL_QUEUE}"
                )
            await link.channel.basic_publish(b"{", routing_key=f"acme.{SETTLE_MULTIMODEL_QUEUE}")
            by_http = await front.call(
                "beta",
                "POST",
                "/api/credits-process/end-multimodel",
                {**body, "usage_key": "use-1"},
                headers={"prefer": "respond-async"},
            )
            assert by_http.status == 202

            async def settled() -> bool:
                return (await balance(front, "acme"), await balance(front, "beta")) == (8, 9)

            await until(settled, seconds=60)

            async def buried() -> bool:
                return len((await front.call("acme", "GET", "/api/dead-letters")).data) == 1

            await until(buried)
            assert (await front.call("beta", "GET", "/api/dead-letters")).data == []
        transport = RabbitTransport(broker_url, names=QueueNames.of("acme"))
        await transport.remove_queues()
        left = [name for name in ("acme", "beta") if await _exists(link, f"{name}.{SETTLE_MULTIMODEL_QUEUE}")]
        await link.close()

    assert left == ["beta"]


async def _exists(link: Any, queue: str) -> bool:
    channel = await link.connection.channel(publisher_confirms=False)
    try:
        await channel.queue_declare(queue, passive=True)
    except ChannelNotFoundEntity:
        return False
    await channel.close()
    return True
