"""gunicorn: its configuration, the worker class, readiness and shutdown."""
