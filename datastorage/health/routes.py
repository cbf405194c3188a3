"""The three health endpoints."""

from typing import Any

from flask import Blueprint
from marshmallow import Schema, fields

from datastorage.health.service import Down, HealthService, Up
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.permissions import Permission

blueprint = Blueprint("health", __name__, url_prefix="/health")


class HealthSchema(Schema):
    """What is reachable."""

    status = fields.String(required=True)
    reason = fields.String()
    degraded = fields.String()
    database = fields.String()
    redis = fields.String()
    log = fields.String()
    error = fields.String()


def _body(outcome: Up | Down) -> dict[str, Any]:
    return outcome.body


UP = Answer(Up, 200, HealthSchema, "It is.", body=_body)
DOWN = Answer(Down, 503, HealthSchema, "It is not.", body=_body)


@blueprint.get("/live")
@operation(Permission.NOTHING, answers=(UP,))
def live() -> Up:
    """Tell whether the process can answer."""
    return current(HealthService).live()


@blueprint.get("/ready")
@operation(Permission.NOTHING, answers=(UP, DOWN))
def ready() -> Up | Down:
    """Tell whether traffic should come here."""
    return current(HealthService).ready()


@blueprint.get("")
@operation(Permission.NOTHING, answers=(UP, DOWN))
def health() -> Up | Down:
    """Tell whether the database and Redis are reachable."""
    return current(HealthService).health()
