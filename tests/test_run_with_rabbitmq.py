"""docs/howto/run-with-rabbitmq.md does what it says."""

import asyncio
import subprocess
from pathlib import Path

import aiormq
from pamqp.common import FieldValue

from faregate.benchmarks.ports import free_port
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_QUEUE
from support.apps import KEY
from support.docs import Page
from support.processes import command_path
from support.rabbitmq import RabbitServer
from support.servers import require_program

PAGE = Page.of("docs/howto/run-with-rabbitmq.md")


async def test_the_page_runs_from_its_first_block_to_its_last(
    tmp_path: Path, database_url: str, broker_url: str
) -> None:
    require_program("curl", package="curl")
    PAGE.block("python").save(tmp_path)
    printed = await asyncio.to_thread(
        PAGE.joined("bash").run,
        cwd=tmp_path,
        timeout=120,
        PATH=command_path(),
        PORT=str(free_port()),
        FAREGATE_DATABASE_URL=database_url,
        FAREGATE_BROKER_URL=broker_url,
        FAREGATE_SERVER_API_KEY=KEY,
    )

    assert exact_json.loads(printed.splitlines()[-1])["data"]["balance"] == exact_json.loads("9.58")


async def test_the_policy_of_the_page_sets_aside_what_somebody_elses_queue_would_drop(
    rabbitmq_server: RabbitServer, broker_url: str
) -> None:
    """A quorum queue with a delivery limit and nowhere to put what exceeds it, as RabbitMQ 4 makes them."""
    connection = await aiormq.connect(broker_url)
    channel = await connection.channel()
    theirs: dict[str, FieldValue] = {"x-queue-type": "quorum", "x-delivery-limit": 1}
    await channel.queue_declare(SETTLE_QUEUE, durable=True, arguments=theirs)
    transport = RabbitTransport(broker_url)
    await transport.open()
    block = next(block for block in PAGE.blocks("console") if "set_policy" in block.text)
    await _control(rabbitmq_server, block.text)
    try:
        await transport.publish(SETTLE_QUEUE, [OutgoingMessage(b"kills its consumer")])
        for _ in range(2):
            consumer = await transport.consume(SETTLE_QUEUE)
            assert await consumer.take(1, wait_seconds=10)
            await consumer.close()
        async with asyncio.timeout(20):
            while await transport.count_dead() == 0:
                await asyncio.sleep(0.05)
        dead = [letter.body async for letter in transport.dead_letters()]
    finally:
        await _control(rabbitmq_server, "rabbitmqctl clear_policy faregate")
        await transport.close()
        await connection.close()

    assert dead == [b"kills its consumer"]


async def _control(server: RabbitServer, script: str) -> None:
    """Run what an operator of the node would type."""
    command = ["bash", "-euc", script]
    await asyncio.to_thread(subprocess.run, command, env=server.control_environment(), check=True, capture_output=True)
