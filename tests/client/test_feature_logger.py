"""The feature logger: batches, drops, outages; it never fails its host."""

import asyncio
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from faregate.client import FeatureLogger, Retry
from faregate.client.testing.gateway import FakeGateway
from faregate.client.testing.pricing import one_credit
from support.apps import KEY, Gateway, open_gateway, running_worker, settings_for

RECORD = {"feature_endpoint_id": "chat", "user_id": "ada", "method": "POST", "code": 200, "status": "success"}


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(balance=Decimal(0), hold=Decimal(0), pricing=one_credit)


def _logger(gateway: FakeGateway, **options: object) -> FeatureLogger:
    return FeatureLogger(
        "http://fake",
        "key",
        transport=httpx2.MockTransport(gateway),
        retry=Retry(attempts=1),
        **options,  # type: ignore[arg-type]
    )


async def test_queued_records_arrive_in_batches_each_with_an_id_and_a_time(gateway: FakeGateway) -> None:
    async with _logger(gateway) as logger:
        assert all(logger.dispatch_to_queue(RECORD) for _ in range(250))

    assert len({record["id"] for record in gateway.logs}) == 250
    assert all(record["time"].endswith("Z") for record in gateway.logs)
    assert logger.dropped == 0


async def test_method_b_returns_the_id(gateway: FakeGateway) -> None:
    async with _logger(gateway) as logger:
        assert await logger.dispatch_to_api({**RECORD, "id": "mine"}) is not None

    assert gateway.logs[0]["id"] == "mine"


async def test_dispatching_never_raises(gateway: FakeGateway) -> None:
    """Without a JSON form, too large or circular: an invalid log must not fail the request."""
    endless: dict[str, object] = {}
    endless["again"] = endless
    async with _logger(gateway) as logger:
        for bad in ({"x": object()}, {"x": float("nan")}, {"x": "a" * 600_000}, endless):
            assert logger.dispatch_to_queue(bad) is False
            assert await logger.dispatch_to_api(bad) is None

        assert logger.dropped == 8


async def test_a_full_buffer_drops_counts_and_logs(gateway: FakeGateway, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "faregate.client"):
        async with _logger(gateway, buffer_size=10) as logger:
            taken = [logger.dispatch_to_queue(RECORD) for _ in range(15)]

    assert taken == [True] * 10 + [False] * 5
    assert logger.dropped == 5
    assert "the buffer is full" in caplog.text


async def test_records_of_an_outage_arrive_after_it(gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.down = True
    logger = _logger(gateway, spool_dir=tmp_path)
    logger.dispatch_to_queue(RECORD)
    assert await logger.dispatch_to_api(RECORD) is None
    await logger.aclose(patience_seconds=0.1)
    assert gateway.logs == []

    gateway.down = False
    async with _logger(gateway, spool_dir=tmp_path) as second:
        await asyncio.sleep(0.05)
    assert len(gateway.logs) == 2
    assert (logger.dropped, second.dropped) == (0, 0)


async def test_records_beyond_the_limit_of_the_spool_are_dropped(gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.down = True
    logger = _logger(gateway, spool_dir=tmp_path, spool_limit_bytes=1000)
    for _ in range(10):
        await logger.dispatch_to_api(RECORD)
    await logger.aclose(patience_seconds=0)

    assert logger.dropped > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


async def test_at_a_real_gateway_records_are_stored_once_and_wrong_ones_are_counted(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(database_url)
    async with open_gateway(settings) as gateway, running_worker(settings):
        logger = FeatureLogger("http://gateway", KEY, transport=httpx2.ASGITransport(gateway.app))
        assert await logger.dispatch_to_api({**RECORD, "id": "one"}) is not None
        assert await logger.dispatch_to_api({**RECORD, "id": "one"}) is not None
        assert await logger.dispatch_to_api({**RECORD, "code": "wrong"}) is None
        logger.dispatch_to_queue({**RECORD, "endpoint": "/queued"})
        logger.dispatch_to_queue({**RECORD, "status": "perhaps"})
        await logger.aclose()
        found = await _logs(gateway, 2)

    assert {log["endpoint"] for log in found} == {None, "/queued"}
    assert logger.dropped == 2
    assert "refuses it" in caplog.text


async def _logs(gateway: Gateway, wanted: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(200):
        found = (await gateway.get("/api/feature-usage-logs?user_id=ada")).data
        if len(found) == wanted:
            break
        await asyncio.sleep(0.05)
    return found
