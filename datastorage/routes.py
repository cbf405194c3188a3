"""Contents page: every blueprint of the service."""

from flask import Blueprint, Flask

from datastorage.access.routes import blueprint as access
from datastorage.audit.routes import blueprint as audit
from datastorage.console.routes import blueprint as console
from datastorage.health.routes import blueprint as health
from datastorage.incidents.routes import INCIDENTS, SUCCESS_RATES
from datastorage.ledger.routes import blueprint as ledger
from datastorage.notifications.routes import blueprint as notifications
from datastorage.platform.web import openapi
from datastorage.workflows.routes import blueprint as workflows

BLUEPRINTS: tuple[Blueprint, ...] = (
    audit,  # /api/v1/audit: write one event or a batch, find, read, export
    ledger,  # /api/v1/audit: the log of the ledger, proofs, verify-chain
    notifications,  # /api/v1/audit/notifications: delivery records
    workflows,  # /api/v1/workflows: register, list, read, change, search
    INCIDENTS,  # /api/v1/incidents: list, read, export, aggregate, write, change
    SUCCESS_RATES,  # /api/v1/success-rate: by incident type, workflow, several dimensions
    access,  # /api/v1/whoami: who the caller is
    health,  # /health, /health/ready and /readyz, /health/live, /healthz
    openapi.blueprint,  # /openapi.json, /docs
    console,  # /console: pages for people, and how they log in
)


def register(app: Flask) -> None:
    """Add every blueprint to ``app``."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
