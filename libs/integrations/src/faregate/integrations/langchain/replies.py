"""Usage in the results of LangChain. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from faregate.client.replies.estimating import request_tokens
from faregate.client.replies.observer import Observer
from faregate.wire.exact_json import mapping

__all__ = ["messages_of", "model_of", "observe_result", "tokens_of_messages", "tokens_of_prompts"]


def observe_result(observer: Observer, result: LLMResult | None, model: str | None) -> bool:
    """Record the usage of a call's result; return whether it holds any part of a reply."""
    messages = messages_of(result)
    if not messages:
        told = mapping(mapping(result.llm_output if result is not None else None).get("token_usage"))
        return bool(told) and observer.observe_chunk({"usage": dict(told)}, model=model)
    seen: list[Any] = []
    for message in messages:
        usage = getattr(message, "usage_metadata", None)
        if usage is None or usage not in seen:  # each of several choices repeats the usage of the whole call
            observer.observe_chunk(message, model=_named(message, model))
        seen.append(usage)
    return True


def messages_of(result: LLMResult | None) -> list[BaseMessage]:
    """Return the messages of a result, without those that only describe an error."""
    found: list[BaseMessage] = []
    for generations in result.generations if result is not None else ():
        found += [message for generation in generations if (message := _message(generation)) is not None]
    return found


def model_of(serialized: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> str | None:
    """Return the model that a call asks for."""
    asked = mapping(parameters.get("invocation_params"))
    metadata = mapping(parameters.get("metadata"))
    own = mapping(mapping(serialized).get("kwargs"))
    names = (*(asked.get(name) for name in ("model", "model_name")), metadata.get("ls_model_name"), own.get("model"))
    return next((name for name in names if isinstance(name, str) and name), None)


def tokens_of_messages(batches: Sequence[Sequence[BaseMessage]]) -> int:
    """Return the estimated tokens of a request, for replies that report none."""
    contents = [{"role": message.type, "content": message.content} for batch in batches for message in batch]
    return request_tokens({"messages": contents})


def tokens_of_prompts(prompts: Sequence[str]) -> int:
    """Return the estimated tokens of prompts."""
    return request_tokens({"prompt": list(prompts)})


def _message(generation: Generation) -> BaseMessage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    if message is None:
        return None
    return message if message.content or getattr(message, "usage_metadata", None) or _calls(message) else None


def _calls(message: BaseMessage) -> bool:
    return bool(getattr(message, "tool_calls", None) or getattr(message, "tool_call_chunks", None))


def _named(message: BaseMessage, asked: str | None) -> str | None:
    """Return None if the reply names its model itself."""
    return None if mapping(message.response_metadata).get("model_name") else asked
