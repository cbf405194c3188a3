from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from datastorage.audit.writer import GroupWriter
from tests.support.group_writes import PATIENCE_SECONDS, Statements, Submit, submitter


@pytest.fixture
def statements() -> Statements:
    return Statements()


@pytest.fixture
def writer(statements: Statements) -> GroupWriter:
    return GroupWriter(statements, max_wait_seconds=PATIENCE_SECONDS)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=16) as executor:
        yield executor


@pytest.fixture
def submit(writer: GroupWriter, threads: ThreadPoolExecutor) -> Submit:
    """Write an event in a thread, and return when it is under way or waits for its turn."""
    return submitter(writer, threads)
