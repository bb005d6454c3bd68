"""Log events are one line each and contain no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from faregate.core.logging import configure_logging, get_logger


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def test_json_events_contain_the_bound_values(stream: io.StringIO) -> None:
    configure_logging(style="json", stream=stream)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        get_logger("here").info("usage_settled", credits="5")

    event = json.loads(stream.getvalue())
    assert (event["event"], event["request_id"], event["credits"], event["level"]) == (
        "usage_settled",
        "r-1",
        "5",
        "info",
    )


def test_the_standard_library_logs_the_same_way(stream: io.StringIO) -> None:
    configure_logging(style="json", stream=stream)

    logging.getLogger("somebody.else").warning("hello %s", "you")

    assert json.loads(stream.getvalue())["event"] == "hello you"


def test_less_severe_events_are_left_out(stream: io.StringIO) -> None:
    configure_logging(style="json", level="warning", stream=stream)

    get_logger("here").info("nothing_special")

    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "secret",
    [
        {"password": "canary"},
        {"x-server-api-key": "canary"},
        {"Authorization": "canary"},
        {"nested": {"deep": [{"client_secret": "canary"}]}},
        {"set-cookie": "canary"},
    ],
)
@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_hidden_at_any_depth(stream: io.StringIO, secret: dict[str, object], style: str) -> None:
    configure_logging(style=style, stream=stream)  # type: ignore[arg-type]

    get_logger("here").info("request", **secret)

    assert "canary" not in stream.getvalue()
    assert "[hidden]" in stream.getvalue()


def test_token_counts_are_not_hidden(stream: io.StringIO) -> None:
    configure_logging(style="json", stream=stream)

    get_logger("here").info("usage", input_tokens=12, max_tokens=5)

    event = json.loads(stream.getvalue())
    assert (event["input_tokens"], event["max_tokens"]) == (12, 5)


def test_an_exception_is_logged_with_its_traceback(stream: io.StringIO) -> None:
    configure_logging(style="json", stream=stream)

    try:
        raise ValueError("broken")
    except ValueError:
        get_logger("here").error("job_failed", exc_info=True)

    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]
