"""Endpoints of the providers' SDKs: metered, free or unmetered."""

import re
from collections.abc import Iterable
from typing import Literal

__all__ = ["Kind", "kind_of", "route_of"]

Kind = Literal["metered", "free", "unmetered"]
"""`metered`: the reply or the request reports the usage. `unmetered`: the call costs money, but its reply reports no usage."""

_METERED = (
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "chat/completions",
    "completions",
    "decisions",
    "embeddings",
    "images/edits",
    "images/generations",
    "images/variations",
    "messages",
    "responses",
    "responses/compact",
)

_UNMETERED = (
    "agents/automations/*/invocations",
    "agents/environments",
    "agents/sessions",
    "agents/sessions/*/events",
    "batches",
    "chatkit/sessions",
    "complete",
    "containers",
    "content_provenance_checks",
    "deployments",
    "deployments/*/run",
    "dreams",
    "evals/*/runs",
    "fine_tuning/alpha/graders/run",
    "fine_tuning/jobs",
    "live/sessions",
    "live/sessions/*/accept",
    "live/sessions/*/fork",
    "messages/batches",
    "moderations",
    "realtime/calls",
    "realtime/calls/*/accept",
    "realtime/client_secrets",
    "realtime/sessions",
    "realtime/transcription_sessions",
    "realtime/translations/client_secrets",
    "sessions",
    "sessions/*/events",
    "threads/*/runs",
    "threads/*/runs/*/submit_tool_outputs",
    "threads/runs",
    "vector_stores/*/search",
    "videos",
    "videos/characters",
    "videos/edits",
    "videos/extensions",
    "videos/*/remix",
)

_FREE = (
    "agents/**",
    "assistants/**",
    "audio/voice_consents/**",
    "audio/voices/**",
    "batches/*/cancel",
    "chat/completions/*",
    "chatkit/sessions/*/cancel",
    "containers/*/files",
    "conversations/**",
    "deployments/**",
    "dreams/**",
    "environments/**",
    "evals",
    "evals/*",
    "evals/*/runs/*/cancel",
    "files/**",
    "fine_tuning/alpha/graders/validate",
    "fine_tuning/checkpoints/**",
    "fine_tuning/jobs/**",
    "live/sessions/**",
    "memory_stores/**",
    "messages/batches/*/cancel",
    "messages/count_tokens",
    "organization/**",
    "organizations/**",
    "projects/**",
    "realtime/calls/**",
    "responses/*/cancel",
    "responses/input_tokens",
    "sessions/**",
    "skills/**",
    "threads",
    "threads/*",
    "threads/*/messages",
    "threads/*/messages/*",
    "threads/*/runs/*",
    "threads/*/runs/*/cancel",
    "tunnels/**",
    "uploads/**",
    "user_profiles/**",
    "vaults/**",
    "vector_stores/**",
    "webhook_endpoints/**",
)


def route_of(path: str) -> str:
    """Return the path without leading slash, version and query: `messages` for `/v1/messages?beta=true`."""
    return path.partition("?")[0].strip("/").removeprefix("v1/")


def kind_of(path: str) -> Kind | None:
    """Return the kind of the endpoint that a POST calls; None if it is not known."""
    route = route_of(path)
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(route)), None)


def _compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(_regex(pattern) for pattern in patterns))


def _regex(pattern: str) -> str:
    """Return the regular expression of a pattern: `*` is one segment; `/**` is the path itself and everything below it."""
    return re.escape(pattern).replace(r"/\*\*", "(?:/.*)?").replace(r"\*", "[^/]+")


_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("metered", _compiled(_METERED)),
    ("unmetered", _compiled(_UNMETERED)),
    ("free", _compiled(_FREE)),
)
"""The first pattern that matches decides."""
