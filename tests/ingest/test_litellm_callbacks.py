"""LiteLLM's own callbacks, unchanged, pointed at a gateway.

They run where LiteLLM is installed: under the interpreter that `FAREGATE_TEST_LITELLM_PYTHON` names, beside us, or in the environment
that the tests of the adapters have made. Everywhere else `test_openmeter_and_lago.py` sends the bodies that they sent.
"""

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import uvicorn

from support.apps import KEY, Gateway
from support.serving import serving

MADE = sorted(Path(__file__).parents[2].glob("build/litellm-*/complete"))
PYTHON = (
    os.environ.get("FAREGATE_TEST_LITELLM_PYTHON")
    or (sys.executable if find_spec("litellm") else None)
    or (MADE[-1].with_name("bin") / "python" if MADE else None)
)
CALLS = Path(__file__).with_name("litellm_calls.py")


@pytest.mark.skipif(PYTHON is None, reason="LiteLLM is not installed")
@pytest.mark.parametrize("callback", ["openmeter", "lago"])
async def test_calls_are_recorded_once_at_our_price(gateway: Gateway, callback: str) -> None:
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
        process = await asyncio.create_subprocess_exec(str(PYTHON), str(CALLS), env=environment)
        assert await process.wait() == 0

    await gateway.container.roller().run()
    found = (await gateway.get("/api/analytics/metrics")).data
    assert (found["totalRequests"], found["uniqueUsers"], found["unpriced"]) == (2, 1, 0)
    assert found["providerCostUsd"] > 0
