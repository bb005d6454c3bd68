"""Formats of foreign events."""

from typing import Literal

__all__ = ["Form"]

Form = Literal["cloud_event", "lago", "span", "log", "metric"]
