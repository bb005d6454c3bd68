"""OpenTelemetry tracing of requests, an optional extra.

Each request is a span, which is sent to the collector of the settings.
"""

from typing import Any

from starlette.middleware import Middleware

from faregate.core.errors import MissingExtraError
from faregate.core.settings import Settings

__all__ = ["tracing"]


def tracing(settings: Settings) -> list[Middleware]:
    """Return the middleware that traces requests; an empty list if the settings name no collector.

    Raises:
        MissingExtraError: the settings name a collector, but the extra is not installed.
    """
    if settings.otel_endpoint is None:
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
    except ImportError:
        raise MissingExtraError("FAREGATE_OTEL_ENDPOINT", "otel") from None
    provider: Any = TracerProvider(resource=Resource.create({"service.name": "faregate-gateway"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{settings.otel_endpoint.rstrip('/')}/v1/traces")))
    return [Middleware(OpenTelemetryMiddleware, excluded_urls="/healthz,/readyz,/metrics", tracer_provider=provider)]
