"""What we replace inside gunicorn is there: an upgrade that renames it would silently end its effect."""

import inspect

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from datastorage.platform.server.arbiter import REPLACED, ShutdownControl
from datastorage.platform.server.slow_clients import PatientConnection, PatientReader
from datastorage.platform.server.worker import OVERRIDDEN, LaneWorker


@pytest.mark.parametrize("name", REPLACED)
def test_replaced_method_of_the_arbiter_exists(name: str) -> None:
    assert callable(getattr(Arbiter, name))


@pytest.mark.parametrize("name", ["signal", "kill_workers", "stop", "reap_workers"])
def test_replacement_takes_what_the_arbiter_passes(name: str) -> None:
    theirs = list(inspect.signature(getattr(Arbiter, name)).parameters)
    ours = list(inspect.signature(getattr(ShutdownControl, name)).parameters)

    assert len(ours) == len(theirs)


@pytest.mark.parametrize("name", ["WORKERS", "LISTENERS", "SIGNALS", "wait_for_signals"])
def test_attribute_of_the_arbiter_exists(name: str) -> None:
    assert hasattr(Arbiter, name)


def test_every_override_of_the_worker_is_listed_and_overrides_something() -> None:
    defined = {name for name, value in vars(LaneWorker).items() if inspect.isfunction(value)}

    assert set(OVERRIDDEN) == {name for name in defined if hasattr(ThreadWorker, name)}
    assert {name for name in OVERRIDDEN if not hasattr(ThreadWorker, name)} == set()


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (PatientConnection, TConn, ("init", "close")),
        (PatientReader, SocketUnreader, ("chunk",)),
    ],
)
def test_overrides_of_connections_override_something(
    ours: type, theirs: type, names: tuple[str, ...]
) -> None:
    for name in names:
        assert name in vars(ours)
        assert hasattr(theirs, name)
