"""The service on one screen."""

from flask import Flask
from flask_cors import CORS

from datastorage import routes, wiring
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.door import Door
from datastorage.platform.web.http_metrics import HttpMetrics
from datastorage.settings import Settings, environment


def create_app(settings: Settings | None = None, services: wiring.Services | None = None) -> Flask:
    """Build the WSGI application.

    Args:
        settings: read from the process environment when absent.
        services: the objects behind the views; built from ``settings`` when absent.

    Raises:
        SettingsError: with every mistake in the configuration.
    """
    settings = settings or Settings.from_environ(environment())
    services = services or wiring.build_services(settings)
    app = Flask("datastorage", static_folder=None)
    app.extensions[EXTENSION] = services.by_class
    routes.register(app)
    if settings.server.cors_allowed_origins:
        allow_browsers(app, settings.server.cors_allowed_origins)
    metrics = HttpMetrics(services[Metrics])
    metrics.init_app(app)
    # The door last: it reads which routes there are. Only traces stand in front of it.
    door = Door(app, settings.server, metrics)
    app.wsgi_app = services.middleware(door)  # type: ignore[assignment, method-assign] # Flask adds middleware so
    return app


def allow_browsers(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of ``origins`` call the API; without this no browser may."""
    CORS(
        app,
        origins=list(origins),
        methods=["GET", "POST", "PATCH", "OPTIONS"],
        allow_headers=["Accept", "Authorization", "Content-Type", "X-Request-ID"],
        expose_headers=["Link", "X-Request-ID", "Location", "Retry-After", "X-Next-Cursor"],
        supports_credentials=False,
        max_age=300,
    )
