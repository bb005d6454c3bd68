"""LiteLLM's own callbacks, unchanged, pointed at a gateway.

They run under the interpreter that `FAREGATE_TEST_LITELLM_PYTHON` names, or in the environment of the adapters' tests.
"""

import asyncio
import os
from pathlib import Path

import pytest
import uvicorn

from support.apps import KEY, Gateway
from support.litellm import litellm_python
from support.serving import serving

CALLS = Path(__file__).with_name("litellm_calls.py")


@pytest.mark.parametrize("callback", ["openmeter", "lago"])
async def test_calls_are_recorded_once_at_our_price(gateway: Gateway, callback: str) -> None:
    given = os.environ.get("FAREGATE_TEST_LITELLM_PYTHON")
    python = Path(given) if given else await asyncio.to_thread(litellm_python)
    async with serving(uvicorn.Config(gateway.app, port=0, log_config=None, lifespan="off")) as url:
        environment = {
            "PATH": os.environ["PATH"],
            "LITELLM_CALLBACK": callback,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OPENMETER_API_ENDPOINT": url,
            "OPENMETER_API_KEY": KEY,
            "LAGO_API_BASE": url,
            "LAGO_API_KEY": KEY,
            "LAGO_API_EVENT_CODE": "openai_tokens",
        }
        process = await asyncio.create_subprocess_exec(str(python), str(CALLS), env=environment)
        assert await process.wait() == 0

    await gateway.container.roller().run()
    found = (await gateway.get("/api/analytics/metrics")).data
    assert (found["totalRequests"], found["uniqueUsers"], found["unpriced"]) == (2, 1, 0)
    assert found["providerCostUsd"] > 0
