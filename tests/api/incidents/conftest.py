"""Three stands: twelve known incidents, many of them, and none."""

from collections.abc import Iterator

import pytest

from tests.support.http import Api
from tests.support.incident_stand import Stand, incident_stand, insert_many, insert_twelve
from tests.support.servers import Servers


@pytest.fixture(scope="session")
def twelve_stand(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A service whose database holds the twelve incidents, which no test changes."""
    with incident_stand(servers, tmp_path_factory.mktemp("twelve")) as stand:
        with stand.owner() as owner:
            insert_twelve(owner)
        yield stand


@pytest.fixture(scope="session")
def twelve(twelve_stand: Stand) -> Api:
    """A client of the service with twelve incidents."""
    return twelve_stand.api


@pytest.fixture(scope="session")
def many_stand(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A service whose database holds 10,500 incidents."""
    with incident_stand(servers, tmp_path_factory.mktemp("many")) as stand:
        with stand.owner() as owner:
            insert_many(owner, 10_500)
        yield stand


@pytest.fixture(scope="session")
def many(many_stand: Stand) -> Api:
    """A client of the service with 10,500 incidents."""
    return many_stand.api
