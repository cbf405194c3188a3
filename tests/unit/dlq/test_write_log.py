import logging

import pytest

from datastorage.dlq.write_log import LoggedWrite
from datastorage.errors import Conflict, InvalidInput, QueueUnusable

logger = logging.getLogger("datastorage.test")


@pytest.fixture
def write(caplog: pytest.LogCaptureFixture) -> LoggedWrite:
    caplog.set_level(logging.INFO)
    return LoggedWrite(logger, "Write finished", {"event_id": "7"})


def only(caplog: pytest.LogCaptureFixture) -> tuple[int, str]:
    """Level and outcome of the one line."""
    [record] = caplog.records
    said = vars(record)
    assert (record.message, said["event_id"]) == ("Write finished", "7")
    assert said["duration_ms"] >= 0
    return record.levelno, said["outcome"]


def test_write_is_logged_when_it_is_done(write: LoggedWrite, caplog: pytest.LogCaptureFixture) -> None:
    with write:
        assert caplog.records == []

    assert only(caplog) == (logging.INFO, "success")


def test_queued_write_is_a_warning_that_says_why(
    write: LoggedWrite, caplog: pytest.LogCaptureFixture
) -> None:
    with write as line:
        line.queued_for = "db_unreachable"

    assert only(caplog) == (logging.WARNING, "queued")
    assert vars(caplog.records[0])["db_reason"] == "db_unreachable"


@pytest.mark.parametrize(
    ("error", "level", "outcome"),
    [
        (InvalidInput.of("audit_event", {}), logging.INFO, "validation-error"),
        (
            Conflict("another event", resource="audit_event", field="event_id", value="7"),
            logging.INFO,
            "conflict",
        ),
        (QueueUnusable("no queue", reason="full"), logging.ERROR, "failure"),
        (RuntimeError("broken"), logging.ERROR, "failure"),
    ],
    ids=["invalid", "conflict", "nowhere", "unexpected"],
)
def test_write_that_is_not_acknowledged_is_an_error_unless_the_client_is_at_fault(
    write: LoggedWrite, caplog: pytest.LogCaptureFixture, error: Exception, level: int, outcome: str
) -> None:
    with pytest.raises(type(error)), write:
        raise error

    assert only(caplog) == (level, outcome)
