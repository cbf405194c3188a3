"""Values never become part of the statement's text."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_mock_engine
from sqlalchemy.sql import ClauseElement

from datastorage.incidents.aggregates import queries as aggregates
from datastorage.incidents.aggregates.model import LegacyRateRequest
from datastorage.incidents.reading import queries
from datastorage.incidents.reading.model import IncidentFilter
from datastorage.incidents.representations import View
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.stretches import Bound
from tests.support.incident_filters import executions, incidents

HOSTILE = "'; DROP TABLE resource_action_traces--"
AT = datetime(2026, 11, 20, tzinfo=UTC)
WANTED = incidents(namespace=HOSTILE, cluster=HOSTILE, alert_name=HOSTILE, since=AT, until=AT)
RATE = executions(incident_type=HOSTILE, workflow_id=HOSTILE, workflow_version=HOSTILE, action_type=HOSTILE)

DIALECT = create_mock_engine("postgresql+psycopg://", lambda *_: None).dialect


def text_of(statement: ClauseElement) -> str:
    return " ".join(str(statement.compile(dialect=DIALECT)).split())


def test_every_value_is_a_bound_parameter() -> None:
    statements = [
        queries.page(WANTED, view=View.FULL, limit=1234, after=Position(AT, 91011)),
        queries.key_of_row(WANTED, 5679),
        queries.count(WANTED),
        queries.one().params(incident_id=121314),
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

    # The lines of a large row are made of itself.
    assert "JOIN" not in text.replace("LEFT OUTER JOIN LATERAL (SELECT generate_series(", "")
    assert "action_histories" not in text


@pytest.mark.parametrize("name", ["incident_type", "workflow_id", "environment", "alert_name"])
def test_plan_of_a_filter_without_order_is_made_for_its_value(name: str) -> None:
    assert incidents(**{name: "rare"}).depends_on_value
    assert not incidents(namespace="n", since=AT).depends_on_value


BOUND = Bound(rows=2, max_bytes=1 << 20)
ALL: dict[str, str | datetime] = {
    "severity": "high", "status": "failed", "since": AT, "until": AT, "namespace": "n", "signal_name": "s",
    "alert_name": "a", "cluster": "c", "environment": "e", "action_type": "t", "incident_type": "i",
    "workflow_id": "w", "correlation_id": "r", "action_id": "x",
}  # fmt: skip


def test_statements_that_are_kept_say_the_same_as_those_that_are_built() -> None:
    wanted, after = incidents(**ALL), Position(AT, 7)
    pairs = [
        (
            queries.find_page(wanted, BOUND, view=View.FULL, after=after),
            queries.page(wanted, view=View.FULL, limit=3, units=BOUND.units, after=after),
        ),
        (queries.find_key(wanted, 5), queries.key_of_row(wanted, 5)),
        (queries.find_count(wanted), queries.count(wanted)),
    ]

    for bound, built in pairs:
        compiled = built.compile(dialect=DIALECT)
        assert bound.statement.text == str(compiled)
        assert bound.values == compiled.params


def test_order_of_parameters_makes_no_other_statement() -> None:
    one, other = incidents(namespace="a", status="failed"), incidents(status="failed", namespace="b")

    texts = {queries.find_count(wanted).statement for wanted in (one, other)}

    assert len(texts) == 1
    assert queries.find_count(one).values == {"namespace": "a", "status": "failed"}


@pytest.mark.parametrize("name", ALL)
def test_every_filter_is_part_of_page_position_and_count(name: str) -> None:
    wanted = incidents(**{name: ALL[name]})

    for bound in (
        queries.find_page(wanted, BOUND, view=View.SUMMARY),
        queries.find_key(wanted, 1),
        queries.find_count(wanted),
    ):
        assert f"%({name})s" in bound.statement.text
        assert bound.values[name] == wanted.conditions[0].value
