"""One line among the parameters: page, count and export all honour a new filter by range."""

from typing import Any

import pytest

from tests.integration.changes.conftest import MakeCopy
from tests.support.builders import unique
from tests.support.servers import Servers, TestDatabase

FIRST = "REST = (\n"
LINE = (
    '    Parameter("min_duration_ms", "Shortest.", integer(0, 9999),'
    " finds=(Find(audit_events.c.duration_ms, AT_LEAST),)),\n"
)


@pytest.fixture(scope="module")
def found(make_copy: MakeCopy, servers: Servers, database: TestDatabase) -> Any:
    copy = make_copy("added_filter")
    copy.replace("datastorage/audit/parameters.py", FIRST, FIRST + LINE)
    return copy.run(
        "follow_filter.py",
        app_url=database.app_url.set(drivername="postgresql").render_as_string(hide_password=False),
        redis_url=servers.redis_url,
        correlation_id=unique(),
    )


@pytest.mark.parametrize(
    "way", ["page", "uncounted", "beside another filter", "inside the payload", "export"]
)
def test_every_way_of_reading_honours_the_filter(found: Any, way: str) -> None:
    assert found[way] == [6, 7, 8, 9]


def test_kept_statement_is_executed_with_the_value_of_each_request(found: Any) -> None:
    assert found["other value"] == [9]
    assert found["at an offset"] == 1


def test_count_honours_the_filter_wherever_the_page_lies(found: Any) -> None:
    assert found["totals"] == [4, 4, 4]


def test_value_out_of_range_is_refused(found: Any) -> None:
    assert found["refused"] == 400
