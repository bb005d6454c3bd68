"""Usage in the responses of pydantic-ai. Pure."""

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart, ThinkingPart

from faregate.client.replies.estimating import request_tokens
from faregate.client.replies.observer import Observer

__all__ = ["observe_response", "tokens_of_request"]


def observe_response(observer: Observer, response: ModelResponse) -> None:
    """Record a response. The framework counts zero tokens where a provider reports no usage: then the output is estimated."""
    model = response.model_name
    if response.usage.total_tokens:
        observer.observe(response, model=model)
        return
    texts = [part.content for part in response.parts if isinstance(part, TextPart | ThinkingPart)]
    output = [{"content": [{"text": text} for text in texts]}]
    observer.observe_chunk({"object": "response", "model": model, "output": output}, model=model)


def tokens_of_request(messages: Sequence[ModelMessage]) -> int:
    """Return the estimated tokens of a request, for one that is cancelled before its response."""
    return request_tokens({"messages": ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")})
