"""Calls of LiteLLM's SDK with a `FaregateLogger`; prints what each left behind as JSON."""

import asyncio
import gc
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import litellm

from faregate.client import FakeCredits, FaregateError, ModelUsage, SyncFakeCredits
from faregate.integrations.litellm import FaregateLogger
from faregate.integrations.litellm.refusals import refusal_of

BASE = f"{os.environ['PROVIDER']}/v1"
HELLO = [{"role": "user", "content": "Hello"}]
CALL: dict[str, Any] = {"model": "openai/gpt-4o", "messages": HELLO, "api_key": "sk-test", "user": "ada"}
CALL |= {"api_base": BASE}
MESSAGES: dict[str, Any] = {"model": "anthropic/claude-sonnet-4-6", "messages": HELLO, "api_key": "k", "max_tokens": 50}

credits = FakeCredits(balance=1000)
logger = FaregateLogger(credits, "chat")


def uses(of: Any = credits) -> list[list[str]]:
    return [[use.user_id, use.status, str(use.charged.normalize())] for use in of.gateway.uses.values()]


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        gc.collect()
        await asyncio.sleep(0.01)


async def last_ends() -> list[str]:
    await asyncio.wait_for(until(lambda: uses() and uses()[-1][1] != "open"), 10)
    return uses()[-1]


async def whole() -> Any:
    reply = await litellm.acompletion(**CALL)
    return {"receipt": reply._hidden_params["faregate"], "use": await last_ends()}


async def anthropic() -> Any:
    await litellm.acompletion(**MESSAGES, api_base=os.environ["PROVIDER"], user="bela")
    return await last_ends()


async def stream() -> Any:
    async for _chunk in await litellm.acompletion(**CALL, stream=True, stream_options={"include_usage": True}):
        pass
    return await last_ends()


async def left_stream() -> Any:
    estimate = [ModelUsage("gpt-4o", input_tokens=1000, output_tokens=100)]
    litellm.callbacks = [FaregateLogger(credits, "chat", estimate=estimate)]
    reply = await litellm.acompletion(**CALL, stream=True)
    await anext(reply)
    del reply
    return await last_ends()


async def failure() -> Any:
    error = await failed(litellm.acompletion(**{**CALL, "model": "openai/broken"}))
    return {"error": error, "use": await last_ends()}


async def retries() -> Any:
    before = len(uses())
    await failed(litellm.acompletion(**{**CALL, "api_base": f"{BASE}/nowhere/else", "num_retries": 2}))
    await last_ends()
    return [use[1] for use in uses()[before:]]


async def retries_for_all_calls() -> Any:
    before, litellm.num_retries = len(uses()), 2
    await failed(litellm.acompletion(**{**CALL, "api_base": f"{BASE}/nowhere/else"}))
    litellm.num_retries = None
    await last_ends()
    return [use[1] for use in uses()[before:]]


async def refused_with_retries() -> Any:
    litellm.callbacks = [FaregateLogger(FakeCredits(balance=0), "chat")]
    by_call = await failed(litellm.acompletion(**CALL, num_retries=2))
    by_policy = await failed(litellm.acompletion(**CALL, retry_policy={"TimeoutErrorRetries": 2}, num_retries=1))
    litellm.num_retries = 2
    by_setting = await failed(litellm.acompletion(**CALL))
    litellm.num_retries = None
    return [error.partition(":")[0] for error in (by_call, by_policy, by_setting)]


async def cancelled() -> Any:
    call = asyncio.create_task(litellm.acompletion(**{**CALL, "api_base": os.environ["SILENT"]}))
    held = len(uses())
    await until(lambda: len(uses()) > held)
    call.cancel()
    await asyncio.wait([call])
    del call
    return await last_ends()


async def refused() -> Any:
    litellm.callbacks = [FaregateLogger(FakeCredits(balance=0), "chat")]
    return await failed(litellm.acompletion(**CALL))


async def nobody() -> Any:
    return await failed(litellm.acompletion(**{**CALL, "user": None}))


async def in_a_block() -> Any:
    before = len(uses())
    async with credits.use("chat", "cleo") as use:
        use.observe(await litellm.acompletion(**CALL))
    return [use[:2] for use in uses()[before:]]


async def unmetered() -> Any:
    litellm.callbacks = [FaregateLogger(credits, "chat", unmetered="refuse")]
    made = litellm.acreate_batch(
        "24h", "/v1/chat/completions", "file-1", custom_llm_provider="openai", api_key="sk-test"
    )
    return await failed(made)


async def sync_calls() -> Any:
    paid = SyncFakeCredits(balance=10)
    litellm.success_callback.clear()
    litellm.callbacks = [FaregateLogger(paid, "chat")]
    reply = await asyncio.to_thread(lambda: litellm.completion(**CALL))
    await until(lambda: uses(paid) and uses(paid)[-1][1] == "settled")
    asynchronous = await litellm.acompletion(**CALL)
    return {"model": reply.model, "uses": uses(paid), "left": asynchronous._hidden_params["faregate"]["credits_left"]}


async def quoted() -> Any:
    quote = await logger.quote("ada", [ModelUsage("gpt-4o", input_tokens=1000, output_tokens=100)])
    return [str(quote.credits.normalize()), quote.covered]


class AwayError(FaregateError):
    """As of a host whose database is away: its text is for operators."""

    code = "unavailable"

    @property
    def public_detail(self) -> str:
        return "try again"


async def away() -> Any:
    refused: Any = refusal_of(AwayError("postgresql://faregate@10.0.0.7/credits: nothing listens there"))
    return refused.detail


async def failed(call: Awaitable[Any]) -> str:
    try:
        await call
    except (litellm.exceptions.APIError, litellm.exceptions.BadRequestError, FaregateError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  LiteLLM's exceptions have no common base
        return type(error).__name__
    return "nothing was raised"


SCENES = [
    whole,
    anthropic,
    stream,
    left_stream,
    failure,
    retries,
    retries_for_all_calls,
    refused_with_retries,
    cancelled,
    refused,
    nobody,
    in_a_block,
    unmetered,
]


async def main() -> None:
    litellm.suppress_debug_info = True
    shown: dict[str, Any] = {}
    for scene in [*SCENES, sync_calls, quoted, away]:
        litellm.callbacks = [logger]
        shown[scene.__name__] = await scene()
    print(json.dumps(shown))


asyncio.run(main())
