"""Sample events for the rehearsal of rules. Pure."""

from collections.abc import Mapping
from typing import Any

from faregate.usage.foreign.cloud_events import cloud_event
from faregate.usage.foreign.lago import lago_event
from faregate.usage.foreign.otlp import OTLP_SOURCE
from faregate.usage.foreign.rules import ForeignEvent
from faregate.usage.foreign.values import Form

__all__ = ["sample_event"]


def sample_event(form: Form, fields: Mapping[str, Any]) -> ForeignEvent:
    """Return an event of this form with these fields; a span, log record or data point needs no id.

    Raises:
        InvalidError: it would not be accepted, whatever the rules.
    """
    if form == "cloud_event":
        return cloud_event(fields)
    if form == "lago":
        return lago_event(fields)
    return ForeignEvent(form, OTLP_SOURCE, "sample", fields)
