"""The service through which a Kubernetes remediation platform reads and writes its database."""

__version__ = "0.1.0"
