"""What follows from the declaration of a trace: nothing of it can be left out of one place."""

import pytest
from sqlalchemy import String

from datastorage.incidents.fields import Exact
from datastorage.incidents.reading.projection import MEMBERS
from datastorage.incidents.representations import COMPUTED, FULL, INCIDENT, LISTED, NAMES, SUMMARY
from datastorage.incidents.tables import resource_action_traces
from datastorage.incidents.trace import MEMBERS as DECLARED
from datastorage.incidents.trace import NEW_MEMBERS, OUTCOME_MEMBERS, SHOWN, Trace, TraceMember
from datastorage.incidents.writing.queries import TRACE_COLUMNS
from datastorage.incidents.writing.schemas import NewIncidentSchema, OutcomeSchema
from datastorage.platform.records import Shown
from tests.support.builders import now


@pytest.mark.parametrize("member", DECLARED, ids=lambda member: member.name)
def test_member_is_a_column_and_part_of_a_full_incident(member: TraceMember) -> None:
    names = [name for name, shown in SHOWN.items() if shown is member]

    assert member.name in resource_action_traces.c
    assert names
    assert set(names) <= set(FULL)
    assert member.meaning.endswith(".")


def test_rows_show_what_the_document_says_in_the_same_order() -> None:
    for view, names in NAMES.items():
        assert [column.key for column in MEMBERS[view]] == list(names)
    assert [member.wire for member in INCIDENT.members] == list(FULL)
    assert [member.wire for member in LISTED.members if member.shown is Shown.ALWAYS] == list(SUMMARY)
    assert {*SHOWN, *COMPUTED} == set(FULL)


@pytest.mark.parametrize("member", DECLARED, ids=lambda member: member.name)
def test_no_text_is_longer_than_its_column(member: TraceMember) -> None:
    if isinstance(member.judge, Exact) and isinstance(member.column, String) and member.column.length:
        assert member.judge.maximum == member.column.length


def test_requests_have_what_is_declared_for_them() -> None:
    new, outcome = NewIncidentSchema(now, maximum_bytes=1), OutcomeSchema(maximum_bytes=1)

    assert {each.wire for each in NEW_MEMBERS} | {"resource_uid", "resource_api_version"} == set(new.fields)
    assert {each.wire for each in OUTCOME_MEMBERS} == set(outcome.fields)
    assert [column.name for column in TRACE_COLUMNS] == [each.name for each in NEW_MEMBERS]
    assert {each.name for each in NEW_MEMBERS} <= set(Trace.__struct_fields__)
