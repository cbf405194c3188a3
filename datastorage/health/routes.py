"""The three health endpoints."""

from flask import Blueprint

from datastorage.health.service import Alive, HealthService, Healthy, NotReady, Ready, Unhealthy
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

blueprint = Blueprint("health", __name__, url_prefix="/health")

ALIVE = (Answer(Alive, 200, Alive, "It is."),)
READY = (Answer(Ready, 200, Ready, "It is."), Answer(NotReady, 503, NotReady, "It is not."))
HEALTHY = (Answer(Healthy, 200, Healthy, "It is."), Answer(Unhealthy, 503, Unhealthy, "It is not."))


@blueprint.get("/live")
@operation(Permission.NOTHING, answers=ALIVE)
def live() -> Alive:
    """Tell whether the process can answer."""
    return Alive()  # nothing is checked, not even the shutdown flag: a failure would restart the pod


@blueprint.get("/ready")
@operation(Permission.NOTHING, answers=READY)
def ready() -> Ready | NotReady:
    """Tell whether traffic should come here."""
    return current(HealthService).ready()


@blueprint.get("")
@operation(Permission.NOTHING, answers=HEALTHY)
def health() -> Healthy | Unhealthy:
    """Tell whether the database and Redis are reachable."""
    return current(HealthService).health()
