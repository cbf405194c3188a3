"""The ways to find out who calls, one module each (access.md 2.1)."""
