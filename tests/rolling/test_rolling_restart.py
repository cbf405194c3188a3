"""Six replacements with the default delays under at least 20,000 requests; `make rolling`, some minutes."""

import logging

from sqlalchemy import Connection

from tests.support.rolling import roll
from tests.support.started import StartService

logger = logging.getLogger(__name__)


def test_no_request_fails_and_no_event_is_lost(start_service: StartService, owner: Connection) -> None:
    result = roll(
        lambda: start_service(SERVER_ENDPOINT_PROPAGATION_DELAY="5s"),
        updates=3,
        client_count=24,
        period_seconds=2,
        requests=20_000,
    )

    logger.info("Rolling restart: %s", result)
    assert result.ledger.failures == [], str(result)
    assert set(result.ledger.statuses) == {200, 201}
    assert result.refused == 0
    assert result.reader.is_without_gap
    assert result.exit_codes == [0] * 8
    assert result.ledger.count >= 20_000
    assert result.ledger.missing_from(owner) == set()
