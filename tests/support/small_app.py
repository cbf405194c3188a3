"""An application with a few operations behind the door, for tests of what every request passes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask

from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.modes.none import NoneMode
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.quotas import Quotas
from datastorage.platform.access.session_keys import SessionKeys
from datastorage.platform.access.sessions import Sessions
from datastorage.platform.clock import utc_now
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.audited_reads import AuditedReads
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.door import Door
from datastorage.platform.web.http_metrics import HttpMetrics
from datastorage.platform.web.operations import Answer, Operation, operation
from datastorage.platform.web.refusals import Refusals
from datastorage.settings import ServerSettings


@dataclass(frozen=True)
class Said:
    """The outcome of most operations of these tests."""

    text: str


def _text(said: Said) -> str:
    return said.text


SAID = Answer(Said, 200, None, "It is said.", body=_text)


def says(text: str) -> Operation:
    """Return an operation that answers ``text``, whatever is in its path."""
    return operation(Permission.NOTHING, answers=(SAID,))(lambda: Said(text))


def small_app(
    blueprint: Blueprint,
    *,
    services: Mapping[type, object] | None = None,
    http_metrics: HttpMetrics | None = None,
) -> Flask:
    """Return an application with the operations of ``blueprint`` behind the door."""
    app = Flask("small", static_folder=None)
    metrics = Metrics()
    app.extensions[EXTENSION] = {
        Metrics: metrics,
        AccessControl: open_to_all(metrics),
        Refusals: Refusals(metrics),
        Quotas: no_quotas(metrics),
        AuditedReads: AuditedReads("off", lambda _: None),
        Sessions: no_sessions(),
        **(services or {}),
    }
    app.register_blueprint(blueprint)
    if http_metrics is None:
        http_metrics = HttpMetrics(metrics)
    http_metrics.init_app(app)
    app.wsgi_app = Door(app, ServerSettings(), http_metrics)  # type: ignore[method-assign] # Flask's way
    return app


def open_to_all(metrics: Metrics) -> AccessControl:
    """Return access control that is off."""
    mode = NoneMode("anonymous", is_alone=True)
    return AccessControl([mode], metrics, metrics_permission=Permission.NOTHING)


def no_sessions() -> Sessions:
    """Return what opens none, because no mode takes tokens."""
    return Sessions(
        keys=SessionKeys.random(),
        seal=None,
        longest=timedelta(hours=1),
        is_trusted_proxy=lambda _: False,
        clock=utc_now,
    )


def no_quotas(metrics: Metrics) -> Quotas:
    """Return limits that nobody meets."""
    return Quotas(
        failures=None,
        reads=None,
        writes=None,
        write_status=503,
        is_trusted_proxy=lambda _: False,
        metrics=metrics,
    )


def add(blueprint: Blueprint, rule: str, view: Any, *methods: str) -> None:
    """Add an operation to a blueprint under a name made of its rule."""
    name = "".join(character if character.isalnum() else "_" for character in rule)
    blueprint.add_url_rule(rule, f"{name}_{'_'.join(methods)}", view, methods=list(methods) or ["GET"])
