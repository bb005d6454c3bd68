"""Answers of `/healthz` and `/readyz`."""

from typing import Literal

from faregate.gateway.schemas.base import Answer

__all__ = ["CheckAnswer", "HealthAnswer", "ReadyAnswer"]


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class CheckAnswer(Answer):
    """The check of one required engine: its response time, and its problem if there is one."""

    name: str
    ok: bool
    duration_ms: float
    detail: str


class ReadyAnswer(Answer):
    """Whether this process can serve requests."""

    status: Literal["ready", "not ready"]
    checks: list[CheckAnswer]
