"""Answers of the probes."""

from typing import Literal

from faregate.gateway.schemas.base import Answer

__all__ = ["CheckAnswer", "HealthAnswer", "ReadyAnswer"]


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class CheckAnswer(Answer):
    """One needed part, how long it took to answer, and what is wrong with it."""

    name: str
    ok: bool
    duration_ms: float
    detail: str


class ReadyAnswer(Answer):
    """Whether this process can serve."""

    status: Literal["ready", "not ready"]
    checks: list[CheckAnswer]
