"""``GET /api/v1/whoami``: what the service takes the caller for."""

from flask import Blueprint

from datastorage.access.model import WhoAmI
from datastorage.platform.access.caller import Caller
from datastorage.platform.access.permissions import GRANTABLE, Permission
from datastorage.platform.web.operations import Answer, operation

blueprint = Blueprint("access", __name__, url_prefix="/api/v1")


@blueprint.get("/whoami")
@operation(
    Permission.IDENTITY,
    wants_caller=True,
    answers=(Answer(WhoAmI, 200, WhoAmI, "What the caller is and may do."),),
)
def whoami(caller: Caller) -> WhoAmI:
    """Tell the caller who it is, and what it may do.

    Useful to find out why a request was refused: in most installations groups decide about permissions.
    """
    identity = caller.identity
    return WhoAmI(
        name=identity.name,
        kind=identity.kind,
        mode=identity.mode,
        groups=list(identity.groups),
        permissions=[each for each in GRANTABLE if caller.may(each)],
    )
