"""Values never become part of the statement's text."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_mock_engine
from sqlalchemy.sql import ClauseElement

from datastorage.incidents.aggregates import queries as aggregates
from datastorage.incidents.aggregates.model import LegacyRateRequest, RateRequest
from datastorage.incidents.reading import queries
from datastorage.incidents.reading.model import IncidentFilter, Position, View

HOSTILE = "'; DROP TABLE resource_action_traces--"
AT = datetime(2026, 11, 20, tzinfo=UTC)
WANTED = IncidentFilter(
    equals={"namespace": HOSTILE, "signal_severity": HOSTILE}, alert_name=HOSTILE, since=AT, until=AT
)
RATE = RateRequest(
    incident_type=HOSTILE,
    workflow_id=HOSTILE,
    workflow_version=HOSTILE,
    action_type=HOSTILE,
    time_range="7d",
    window=timedelta(days=7),
    min_samples=1,
)

DIALECT = create_mock_engine("postgresql+psycopg://", lambda *_: None).dialect


def text_of(statement: ClauseElement) -> str:
    return " ".join(str(statement.compile(dialect=DIALECT)).split())


def test_every_value_is_a_bound_parameter() -> None:
    statements = [
        queries.page(WANTED, view=View.FULL, limit=1234, after=Position(AT, 91011)),
        queries.key_of_row(WANTED, 5679),
        queries.count(WANTED),
        queries.one(121314),
        aggregates.workflow_outcomes(LegacyRateRequest(HOSTILE, timedelta(days=7))),
        aggregates.outcomes_by_namespace(timedelta(days=7)),
        aggregates.counts_by_severity(timedelta(days=7)),
        aggregates.counts_by_day(AT),
        aggregates.outcomes(RATE),
        aggregates.outcomes_by_workflow(RATE),
        aggregates.outcomes_by_incident_type(RATE),
    ]

    for statement in statements:
        text = text_of(statement)
        assert "DROP" not in text
        assert not any(value in text for value in ("1234", "5678", "91011", "121314", "2026", "7 day"))


def test_page_after_a_position_also_bounds_the_time_by_itself() -> None:
    page = queries.page(IncidentFilter(), view=View.SUMMARY, limit=1, after=Position(AT, 1))

    text = text_of(page)

    assert "resource_action_traces.action_timestamp <= " in text
    assert "(resource_action_traces.action_timestamp, resource_action_traces.id) < (" in text


def test_no_read_joins_tables() -> None:
    text = text_of(queries.page(WANTED, view=View.FULL, limit=1))

    assert "JOIN" not in text
    assert "action_histories" not in text


@pytest.mark.parametrize("column", ["incident_type", "workflow_id", "environment"])
def test_plan_of_a_filter_without_order_is_made_for_its_value(column: str) -> None:
    assert IncidentFilter(equals={column: "rare"}).depends_on_value
    assert IncidentFilter(alert_name="rare").depends_on_value
    assert not IncidentFilter(equals={"namespace": "n"}, since=AT).depends_on_value
