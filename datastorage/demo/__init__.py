"""Sample data: one believable remediation after another, sent through the HTTP API of a running service."""
