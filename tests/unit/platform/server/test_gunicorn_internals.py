"""What we replace inside gunicorn is there: an upgrade that renames it would silently end its effect."""

import inspect

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from datastorage.platform.server.arbiter import GracefulArbiter
from datastorage.platform.server.slow_clients import PatientConnection, PatientParser, PatientReader
from datastorage.platform.server.worker import LaneWorker

OF_ARBITER = {
    *("prepare", "finish", "_begin", "_start_watchdog", "_give_up", "_report_ignored", "_handle_resize"),
    *("_reap_killed", "_drain_in_child", "_run_in_child", "_try_again"),
}
OF_WORKER = {"_may_stay", "_handle_arrived", "_forget", "_levels"}
"""Methods that override nothing."""


def methods(cls: type) -> set[str]:
    return {name for name, value in vars(cls).items() if inspect.isfunction(value)}


@pytest.mark.parametrize(
    ("ours", "theirs", "added"),
    [
        (GracefulArbiter, Arbiter, {*OF_ARBITER, "handle_alrm"}),  # gunicorn has no SIGALRM
        (LaneWorker, ThreadWorker, OF_WORKER),
    ],
)
def test_every_other_method_overrides_one_of_gunicorn(ours: type, theirs: type, added: set[str]) -> None:
    assert {name for name in methods(ours) if not hasattr(theirs, name)} == added


@pytest.mark.parametrize("name", ["signal", "kill_workers", "stop", "reap_workers", "manage_workers"])
def test_override_takes_what_the_arbiter_passes(name: str) -> None:
    theirs = list(inspect.signature(getattr(Arbiter, name)).parameters)
    ours = list(inspect.signature(getattr(GracefulArbiter, name)).parameters)

    assert len(ours) == len(theirs)


def test_gunicorn_has_a_name_for_each_signal_that_the_arbiter_handles() -> None:
    assert {f"handle_{Arbiter.SIG_NAMES[each]}" for each in GracefulArbiter.SIGNALS} <= set(
        dir(GracefulArbiter)
    )


@pytest.mark.parametrize("name", ["WORKERS", "LISTENERS", "SIGNALS", "wait_for_signals"])
def test_attribute_of_the_arbiter_exists(name: str) -> None:
    assert hasattr(Arbiter, name)


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (PatientConnection, TConn, ("init", "close")),
        (PatientReader, SocketUnreader, ("chunk",)),
        (PatientParser, RequestParser, ("__next__",)),
    ],
)
def test_overrides_of_connections_override_something(
    ours: type, theirs: type, names: tuple[str, ...]
) -> None:
    for name in names:
        assert name in vars(ours)
        assert hasattr(theirs, name)
