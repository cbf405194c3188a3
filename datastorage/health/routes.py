"""The health endpoints, two of them with a second path that newer clients probe."""

from flask import Blueprint

from datastorage.health.service import Alive, Answering, HealthService, Healthy, NotReady, Ready, Unhealthy
from datastorage.platform.access.permissions import Permission
from datastorage.platform.clock import utc_now
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

blueprint = Blueprint("health", __name__)

ALIVE = (Answer(Alive, 200, Alive, "It is."),)
ANSWERING = (Answer(Answering, 200, Answering, "It is."),)
READY = (Answer(Ready, 200, Ready, "It is."), Answer(NotReady, 503, NotReady, "It is not."))
HEALTHY = (Answer(Healthy, 200, Healthy, "It is."), Answer(Unhealthy, 503, Unhealthy, "It is not."))


@blueprint.get("/health/live")
@operation(Permission.NOTHING, answers=ALIVE)
def live() -> Alive:
    """Tell whether the process can answer."""
    return Alive()  # nothing is checked, not even the shutdown flag: a failure would restart the pod


@blueprint.get("/healthz")
@operation(Permission.NOTHING, answers=ANSWERING)
def answering() -> Answering:
    """Tell whether the process can answer, and its time."""
    return Answering(timestamp=utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"))


@blueprint.get("/health/ready")
@operation(Permission.NOTHING, answers=READY)
def ready() -> Ready | NotReady:
    """Tell whether traffic should come here."""
    return current(HealthService).ready()


@blueprint.get("/readyz")
@operation(Permission.NOTHING, answers=READY)
def readyz() -> Ready | NotReady:
    """Tell what `/health/ready` tells."""
    return current(HealthService).ready()


@blueprint.get("/health")
@operation(Permission.NOTHING, answers=HEALTHY)
def health() -> Healthy | Unhealthy:
    """Tell whether the database and Redis are reachable."""
    return current(HealthService).health()
