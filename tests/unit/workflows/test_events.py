"""What the catalogue says about itself."""

import pytest

from datastorage.workflows.events import query_hash
from tests.support.workflow_builders import labels


@pytest.mark.parametrize(
    ("mandatory", "hashed"),
    [
        ("NodeDiskPressure/high/node/production/P1", "f9bbd5221872827e"),
        ("NodeDiskPressure/high//production/P1", "59eeea2cee527904"),
    ],
)
def test_query_hash_stands_for_the_mandatory_labels(mandatory: str, hashed: str) -> None:
    assert query_hash(labels(mandatory)) == hashed
