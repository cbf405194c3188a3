"""What operators learn of callers that a gate keeps out: a count by reason, and a line in the log."""

import logging
from hashlib import sha256

from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.errors import AccessRefused
from datastorage.platform.logs.sparing import SparingWarnings
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.requests import Request

logger = logging.getLogger(__name__)

TOKEN_ID_DIGITS = 12


class Refusals:
    """Counts refusals and logs some of them.

    Args:
        metrics: counts them by reason.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = SparingWarnings(logger)

    def note(self, refusal: AccessRefused, request: Request, status: int) -> None:
        """Count and log one; the log has digits of the token's hash, never the token."""
        self._metrics.auth_refusals.labels(refusal.reason).inc()
        token = Credentials(request.environ).token
        self._log.warn(
            "Request refused",
            reason=refusal.reason,
            status=status,
            method=request.method,
            route=request.rule,
            permission=request.permission,
            mode=refusal.mode,
            user=request.caller.identity.name if request.caller else None,
            remote_addr=request.environ.get("REMOTE_ADDR"),
            token_id=sha256(token.encode()).hexdigest()[:TOKEN_ID_DIGITS] if token else None,
        )
