"""The statements of reads: one text for each shape of a filter, and what it is executed with."""

import re

import pytest

from datastorage.platform.web.sent import Sent
from datastorage.workflows.model import PageRequest
from datastorage.workflows.parameters import WorkflowQuery
from datastorage.workflows.queries import NEAR_MISSES, ONE, VERSIONS, page
from datastorage.workflows.ranking import BEST

REMEMBERED_CHARACTERS = 4096
"""Longer statements are taken apart again for each execution by psycopg."""


def asked(**texts: str) -> PageRequest:
    return WorkflowQuery().read(Sent(texts))


@pytest.mark.parametrize(
    "text",
    [BEST.text, ONE.text, VERSIONS.text, NEAR_MISSES.text, page(asked())[0].text],
    ids=["best", "one", "versions", "near misses", "page"],
)
def test_driver_remembers_the_statement(text: str) -> None:
    assert len(text) < REMEMBERED_CHARACTERS


def test_filters_of_one_shape_share_a_text() -> None:
    one, values = page(asked(status="active", severity="high"))
    other, other_values = page(asked(severity="low", status="disabled", limit="3"))

    assert one is other
    assert (values["severity"], other_values["severity"]) == ('{"severity":"high"}', '{"severity":"low"}')


@pytest.mark.parametrize("name", ["status", "workflow_name", "severity", "custom_labels[team]"])
def test_every_filter_is_in_the_text(name: str) -> None:
    statement, values = page(asked(**{name: "active"}))

    named = re.findall(r"%\((\w+)\)s", statement.text)
    assert set(named) == values.keys()
    # Once for the page and once for the count.
    assert named.count(name.partition("[")[0]) == 2


def test_names_of_subdomains_are_values() -> None:
    statement, values = page(asked(**{"custom_labels[a)s b]": "x,y", "custom_labels[c]": "z"}))

    assert ")s b" not in statement.text
    assert values["custom_labels"] == '{"a)s b":["x","y"],"c":["z"]}'
