"""Two calls by LiteLLM with its own callbacks `openmeter` and `lago`, which the environment points at a gateway.

A program of its own, because it runs under the interpreter that has LiteLLM.
"""

import asyncio
import os
from importlib import import_module
from typing import Any

litellm: Any = import_module("litellm")


async def main() -> None:
    """Make one call for each way in which LiteLLM reports: from a synchronous and an asynchronous call."""
    litellm.callbacks = [os.environ["LITELLM_CALLBACK"]]
    asked: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hello"}],
        "mock_response": "hello yourself",
        "user": "ada",
        "api_key": "sk-none",
        "metadata": {"user_api_key_user_id": "ada"},
        "proxy_server_request": {"body": {"user": "ada"}},
    }
    await litellm.acompletion(**asked)
    await asyncio.to_thread(litellm.completion, **asked)
    await asyncio.sleep(float(os.environ.get("LITELLM_WAIT_SECONDS", "3")))


if __name__ == "__main__":
    asyncio.run(main())
