"""Both pods behind a balancer are replaced under load: nobody notices, nothing is lost (BR-STORAGE-028)."""

from sqlalchemy import Connection

from tests.support.rolling import roll
from tests.support.started import StartService


def test_nobody_notices_that_both_pods_are_replaced(start_service: StartService, owner: Connection) -> None:
    result = roll(
        # Three pods, and the shared service: with 25 connections each, PostgreSQL might run out.
        lambda: start_service(SERVER_ENDPOINT_PROPAGATION_DELAY="2s", DATABASE_MAX_OPEN_CONNS="16"),
        updates=1,
        client_count=20,
        period_seconds=0.5,
        requests=2000,
    )

    assert result.ledger.failures == [], str(result)
    assert set(result.ledger.statuses) == {200, 201}, "\n".join(result.complaints[:20])
    assert result.refused == 0
    assert result.reader.is_without_gap
    assert result.exit_codes == [0] * 4
    assert result.ledger.missing_from(owner) == set()
