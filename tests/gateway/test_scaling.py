"""The scaling signal, as the example manifest of KEDA reads it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # it comes with uvicorn

from faregate.core.clock import SystemClock
from faregate.core.errors import EngineUnavailableError
from faregate.core.messaging.interfaces import Backlog, OutgoingMessage
from faregate.core.monitoring.scaling import QueueScaling
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from support.apps import Gateway, open_gateway, settings_for

MANIFEST = Path(__file__).parents[2] / "examples" / "keda" / "scaledobject.yaml"


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        yield gateway


def trigger() -> dict[str, Any]:
    (scaled,) = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each["kind"] == "ScaledObject"]
    found: dict[str, Any]
    (found,) = scaled["spec"]["triggers"]
    return found


async def test_the_manifest_reads_the_waiting_messages_with_a_key_of_one_scope(gateway: Gateway) -> None:
    made = await gateway.post("/api/keys", {"name": "keda", "scopes": ["ops:read"]})
    await gateway.container.transport().publish(
        SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(b"{}"), OutgoingMessage(b"{}")]
    )
    asked = trigger()["metadata"]

    answer = await gateway.call("GET", urlsplit(asked["url"]).path, headers={asked["keyParamName"]: made.data["key"]})

    value: Any = answer.body
    for name in asked["valueLocation"].split("."):
        value = value[name]
    assert value == 2
    assert answer.data["queues"][SETTLE_MULTIMODEL_QUEUE] == 2
    assert answer.data["lag_seconds"] >= 0
    assert answer.data["workers"] == 0


async def test_the_manifest_is_complete() -> None:
    kinds = {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}
    auth = kinds["TriggerAuthentication"]

    assert trigger()["type"] == "metrics-api"
    assert trigger()["authenticationRef"]["name"] == auth["metadata"]["name"]
    (secret,) = auth["spec"]["secretTargetRef"]
    assert (secret["parameter"], secret["name"]) == ("apiKey", kinds["Secret"]["metadata"]["name"])
    assert secret["key"] in kinds["Secret"]["stringData"]


class Silent:
    """A transport whose queue is known by its depth alone, or cannot be read."""

    def __init__(self, depth: int, *, away: bool = False) -> None:
        self.depth, self.away = depth, away

    async def backlog(self, queue: str) -> Backlog:
        if self.away:
            raise EngineUnavailableError("the broker is away")
        return Backlog(self.depth if queue == SETTLE_MULTIMODEL_QUEUE else 0, None)


def scaling(gateway: Gateway, broker: Silent) -> QueueScaling:
    container = gateway.container
    return QueueScaling(broker, container.outbox(), container.heartbeats(), SystemClock())  # type: ignore[arg-type]


async def test_the_lag_is_unknown_until_a_worker_reports_and_never_guessed(gateway: Gateway) -> None:
    unknown = await scaling(gateway, Silent(5)).signal()
    settled = SystemClock().now() - timedelta(seconds=40)
    await gateway.container.heartbeats().report("w1", "worker", settled_until=settled)
    known = await scaling(gateway, Silent(5)).signal()
    idle = await scaling(gateway, Silent(0)).signal()

    assert (unknown.waiting, unknown.lag_seconds) == (5, None)
    assert known.lag_seconds is not None
    assert 40 <= known.lag_seconds < 60
    assert (idle.waiting, idle.lag_seconds) == (0, 0)


async def test_a_queue_that_cannot_be_read_is_an_error_and_not_an_empty_one(gateway: Gateway) -> None:
    with pytest.raises(EngineUnavailableError):
        await scaling(gateway, Silent(0, away=True)).signal()
