"""What a gunicorn worker loads after the fork: the application, with its background work running."""

from typing import Any

from flask import Flask

from datastorage.app import create_app
from datastorage.platform.server.gunicorn_conf import IS_SHUTTING_DOWN, SETTINGS
from datastorage.platform.web.current import EXTENSION
from datastorage.wiring import Services, build_services


def application() -> Flask:
    """Build the application and start its loops."""
    services = build_services(SETTINGS, is_shutting_down=IS_SHUTTING_DOWN)
    app = create_app(SETTINGS, services)
    services.start()
    return app


def close(gunicorn_app: Any) -> None:
    """Stop the loops and close the connections of the application that gunicorn loaded, if it did."""
    app = gunicorn_app.callable
    if isinstance(app, Flask):
        services: Services = app.extensions[EXTENSION][Services]
        services.close()
