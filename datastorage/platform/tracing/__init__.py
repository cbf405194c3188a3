"""Traces of requests, sent by OTLP over HTTP; off by default (DD-005).

The packages of OpenTelemetry are an extra, so ``wiring`` imports nothing from here unless
``telemetry.enabled`` is set. Only a request makes a trace: background work would fill the collector with
polling. ``docs/tracing.md`` shows what arrives there.
"""
