"""The commands of docs/howto/operate-the-worker.md and secure-a-deployment.md work."""

import asyncio
import re

from faregate.benchmarks.ports import free_port
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from support.apps import open_gateway, running_worker, settings_for
from support.docs import Page
from support.processes import command_path
from support.servers import require_program

OPERATE = Page.of("docs/howto/operate-the-worker.md")
SECURE = Page.of("docs/howto/secure-a-deployment.md")


async def test_a_worker_is_started_probed_cleared_of_dead_letters_and_stopped(database_url: str) -> None:
    require_program("curl", package="curl")
    settings = settings_for(database_url)
    async with open_gateway(settings) as gateway:
        transport = gateway.container.transport()
        await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(b'{"usage_key": "poison"}')])
        async with running_worker(settings), asyncio.timeout(30):
            while not await transport.count_dead():
                await asyncio.sleep(0.05)
    run = OPERATE.joined("bash").run
    printed = await asyncio.to_thread(
        run, timeout=300, PATH=command_path(), PORT=str(free_port()), FAREGATE_DATABASE_URL=database_url
    )

    assert '"status":"ready"' in printed.replace(" ", "")
    assert "faregate_workers 1.0" in printed
    assert '"usage_key": "poison"' in printed
    assert "1 put back on their queues" in printed


async def test_every_metric_of_the_page_exists(database_url: str, broker_url: str) -> None:
    """In the tables and in the alerts; each abbreviation of the page matches an existing metric."""
    settings = settings_for(database_url, broker_url=broker_url)
    named = set(re.findall(r"faregate_[a-z_]+", OPERATE.text))

    async with open_gateway(settings), running_worker(settings) as worker:
        async with asyncio.timeout(60):
            while missing := named - _told((await worker.metrics().text()).decode()):
                print("not told yet", missing)
                await asyncio.sleep(0.1)


def _told(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


async def test_a_key_is_made_with_few_scopes_and_rotated(database_url: str) -> None:
    (pattern,) = re.findall(r"`(fg_\S+)`", SECURE.text)
    printed = await asyncio.to_thread(
        SECURE.joined("bash").run, timeout=120, PATH=command_path(), FAREGATE_DATABASE_URL=database_url
    )
    first, second = [found.group() for found in re.finditer(pattern, printed)]

    assert first != second
    async with open_gateway(settings_for(database_url)) as gateway:
        keys = (await gateway.get("/api/keys")).data
    assert [key["scopes"] for key in keys] == [["credits:process"]] * 2
    assert exact_json.dumps(keys).count(b"203.0.113.0/24") == 2
