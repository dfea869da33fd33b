"""Numbers and traces of what became of requests, made from their records once they have ended: for Prometheus, which
comes and asks, and for OpenTelemetry, which is sent to."""
