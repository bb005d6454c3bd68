"""Events in formats of other systems: OpenMeter, Lago and OpenTelemetry."""
