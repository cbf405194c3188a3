"""Which events of a batch would be their own ancestors."""

from uuid import UUID

from datastorage.audit.event import AuditEvent
from datastorage.audit.parents import own_ancestors
from tests.support.builders import an_audit_event


def batch(*links: tuple[int, int | None]) -> list[AuditEvent]:
    """Return events of ``(id, id of the parent)``."""
    return [
        an_audit_event(event_id=UUID(int=own), parent_event_id=None if parent is None else UUID(int=parent))
        for own, parent in links
    ]


def test_trees_have_none() -> None:
    assert own_ancestors(batch((1, None), (2, 1), (3, 1), (4, 3), (5, 99))) == []
    assert own_ancestors(batch((4, 3), (3, 1), (2, 1), (1, None))) == []


def test_event_that_names_itself_is_one() -> None:
    assert own_ancestors(batch((1, None), (2, 2))) == [1]


def test_every_circle_is_found_and_its_descendants_are_spared() -> None:
    assert own_ancestors(batch((9, 1), (1, 2), (2, 1), (8, 9), (5, 6), (6, 7), (7, 5))) == [1, 2, 4, 5, 6]


def test_line_as_long_as_a_batch_is_no_circle_until_it_closes() -> None:
    line = [(number, number + 1) for number in range(1, 1000)]

    assert own_ancestors(batch(*line, (1000, None))) == []
    assert own_ancestors(batch(*line, (1000, 1))) == list(range(1000))
