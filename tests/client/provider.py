"""Stub of OpenAI's and Anthropic's servers for the real SDKs.

The model name selects the behaviour: `broken…` answers 400, `cut…` breaks off in the middle of a stream, `failing…` reports
an error as its first event, `endless…` streams 4,000 chunks, `silent…` reports no usage, `long…` stops at its length limit.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

__all__ = ["running_provider"]

CHAT_USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
PIECES = ["Tap", " in", ", ", "ride"]
_numbers = iter(range(10**9))


async def chat(request: Request) -> Response:
    body = await request.json()
    head = {"id": f"chatcmpl-{next(_numbers)}", "created": 1, "model": body["model"]}
    if body["model"].startswith("broken"):
        return JSONResponse({"error": {"message": "no such model", "type": "invalid_request_error"}}, 400)
    if not body.get("stream"):
        message = {"role": "assistant", "content": "".join(PIECES)}
        choice = {"index": 0, "message": message, "finish_reason": "length" if body["model"] == "long" else "stop"}
        usage = {} if body["model"].startswith("silent") else {"usage": CHAT_USAGE}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice], **usage})
    return _events(_chat_chunks(head, body))


async def _chat_chunks(head: dict[str, Any], body: dict[str, Any]) -> AsyncIterator[str]:
    head = {**head, "object": "chat.completion.chunk"}
    if body["model"].startswith("failing"):
        yield _data({"error": {"message": "overloaded", "type": "server_error"}})
    for piece in PIECES * (1000 if body["model"].startswith("endless") else 1):
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        yield _data({**head, "choices": [choice]})
        await asyncio.sleep(0.002)
    if body["model"].startswith("cut"):
        raise ConnectionResetError
    yield _data({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _data({**head, "choices": [], "usage": CHAT_USAGE})
    yield "data: [DONE]\n\n"


async def responses(request: Request) -> Response:
    body = await request.json()
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 100,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1100,
    }
    whole = {
        "id": f"resp_{next(_numbers)}",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "output": [],
    }
    return JSONResponse({**whole, "usage": usage, "status": "completed", "parallel_tool_calls": True, "tools": []})


async def embeddings(request: Request) -> Response:
    body = await request.json()
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})


async def images(request: Request) -> Response:
    body = await request.json() if "json" in request.headers["content-type"] else {"model": "gpt-image-1"}
    counts = {
        "input_tokens": 50,
        "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
        "output_tokens": 1056,
        "total_tokens": 1106,
    }
    usage = {"usage": counts} if body["model"].startswith("gpt-image") else {}
    return JSONResponse({"created": 1, "data": [{"b64_json": "aGVsbG8="}], **usage})


async def transcription(request: Request) -> Response:
    form = await request.body()
    if b"srt" in form:
        return Response("1\n00:00:00,000 --> 00:00:01,000\nTap in", media_type="text/plain")
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    if b'name="stream"' in form:
        events: list[dict[str, Any]] = [{"type": "transcript.text.delta", "delta": "Tap"}]
        events.append({"type": "transcript.text.done", "text": "Tap in", "usage": usage})
        return _events(_all(events))
    return JSONResponse({"text": "Tap in", "usage": usage})


async def _all(events: list[dict[str, Any]]) -> AsyncIterator[str]:
    for event in events:
        yield _data(event)


async def speech(request: Request) -> Response:
    return Response(b"ID3 sound", media_type="audio/mpeg")


async def unmetered(request: Request) -> Response:
    return JSONResponse({"id": "x_1", "object": "x", "model": "omni-moderation-latest", "results": []})


async def messages(request: Request) -> Response:
    body = await request.json()
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
    begun = {"input_tokens": 900, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 1}
    if not body.get("stream"):
        content = [{"type": "text", "text": "".join(PIECES)}]
        usage = {**begun, "output_tokens": 100}
        return JSONResponse({**head, "content": content, "stop_reason": "end_turn", "usage": usage})
    return _events(_message_events({**head, "content": [], "stop_reason": None, "usage": begun}))


async def _message_events(message: dict[str, Any]) -> AsyncIterator[str]:
    text = {"type": "text", "text": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": text},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p}} for p in PIECES),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 100}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield f"event: {event['type']}\n" + _data(event)
        await asyncio.sleep(0.002)


def _data(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"


def _events(content: AsyncIterator[str]) -> Response:
    return StreamingResponse(content, media_type="text/event-stream")


@contextmanager
def running_provider() -> Generator[str]:
    """Run the stub in a thread."""
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/images/generations", images, methods=["POST"]),
            Route("/v1/images/edits", images, methods=["POST"]),
            Route("/v1/audio/transcriptions", transcription, methods=["POST"]),
            Route("/v1/audio/speech", speech, methods=["POST"]),
            Route("/v1/{rest:path}", unmetered, methods=["POST"]),
        ]
    )
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
