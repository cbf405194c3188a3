"""Traces of requests, sent by OTLP over HTTP; off by default (DD-005).

The packages of OpenTelemetry are an extra. Nothing here is imported before ``telemetry.enabled`` says so,
and a service without traces pays nothing for those who have them. Only a request makes a trace: background
work would fill the collector with polling. ``docs/tracing.md`` shows what arrives there.
"""
