from collections.abc import Iterator

import pytest

from tests.support.isolated import IsolatedService, isolated_service


@pytest.fixture(scope="session")
def isolated_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedService]:
    """One service with servers of its own, for all tests that break them."""
    with isolated_service(tmp_path_factory.mktemp("isolated")) as isolated:
        yield isolated


@pytest.fixture
def isolated(isolated_session: IsolatedService) -> Iterator[IsolatedService]:
    """A service whose servers the test may stop, kill or freeze; they are brought back afterwards."""
    isolated_session.restore()
    yield isolated_session
    isolated_session.restore()
