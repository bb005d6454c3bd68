"""Structured logging with secrets removed.

Events are JSON for machines or coloured text for people; ids are bound once per context.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, cast

import structlog

from faregate.core.redaction.scrubbing import clean_text

__all__ = ["configure_logging", "get_logger", "hide_secrets"]

_SECRET_WORDS = (
    "password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "cookie", "credential", "private_key", "dsn",
)  # fmt: skip
_COUNTS = ("_tokens", "token_count", "tokens")
_CHATTY = ("alembic", "uvicorn", "aiormq", "httpx2", "httpcore2")
_HIDDEN = "[hidden]"
_HARMLESS_LENGTH = 11


def configure_logging(
    *, style: Literal["auto", "json", "console"] = "auto", level: str = "info", stream: Any = None
) -> None:
    """Set up structlog and the standard library's root logger once per process; both write to `stream` (stderr)."""
    target = stream or sys.stderr
    as_json = style == "json" or (style == "auto" and not target.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    render: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(
                # the plain form: the rich one shows local variables, which may hold secrets, and takes a second
                colors=target.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, *render])
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module; configuration is looked up at the first event, not here."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(module=name))


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace every value whose key names a secret or that has the form of one, at any depth; token counts are kept."""
    return {key: _hide(key, value) for key, value in event.items()}


def _hide(key: str, value: Any) -> Any:
    if _is_secret(key):
        return _HIDDEN
    if isinstance(value, dict):
        return {inner: _hide(str(inner), item) for inner, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_hide("", item) for item in cast("list[Any]", value)]
    return clean_text(value) if isinstance(value, str) and len(value) > _HARMLESS_LENGTH else value


def _is_secret(key: str) -> bool:
    name = key.lower().replace("-", "_")
    return any(word in name for word in _SECRET_WORDS) and not name.endswith(_COUNTS)


def _drop_meta(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)
