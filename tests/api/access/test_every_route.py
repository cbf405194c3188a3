"""Every route there is: what needs nothing, and what callers without token or permission are told."""

import re
from collections.abc import Iterator

import pytest
from werkzeug.routing import Rule

from datastorage.app import create_app
from datastorage.openapi import default_settings
from tests.api.access.conftest import Caller
from tests.support.http import assert_problem
from tests.support.service import ServiceProcess

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
OPEN = {
    "/health",
    "/health/live",
    "/health/ready",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/docs/",
    "/docs/<path:path>",
    "/docs/initializer.js",
    "/console/login",
    "/console/logout",
    "/console/static/<path:name>",
}
"""What needs nothing; everything else needs a permission, but for what tells callers about themselves."""

ABOUT_CALLERS = "/api/v1/whoami"
_SAMPLES = {"uuid": "00000000-0000-4000-8000-000000000001", "int": "1"}
_VARIABLE = re.compile(r"<(?:([a-z]+):)?[a-z_]+>")


def rules() -> Iterator[Rule]:
    yield from create_app(default_settings()).url_map.iter_rules()


def sample(rule: str) -> str:
    """Return a path that fits a rule."""
    return _VARIABLE.sub(lambda found: _SAMPLES.get(found[1] or "", "1"), rule)


def methods_by_rule() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in rules():
        found.setdefault(rule.rule, set()).update(rule.methods or ())
    return found


ROUTES = methods_by_rule()


@pytest.mark.parametrize("rule", ROUTES)
def test_route_tells_strangers_nothing_and_callers_only_what_they_lack(caller: Caller, rule: str) -> None:
    for method in METHODS:
        stranger, known = (
            caller.api.request(method, sample(rule), body=b"{}", headers=headers).status
            for headers in (TYPE, TYPE | {"Authorization": "Bearer N"})
        )
        if rule in OPEN:
            assert 401 not in {stranger, known}, method
        else:
            assert (stranger, known) == (401, expected_of(rule, method)), method
    assert caller.api.request("OPTIONS", sample(rule)).status == 200


TYPE = {"Content-Type": "application/json"}


def expected_of(rule: str, method: str) -> int:
    """Return what a caller without any permission is answered."""
    if method not in ROUTES[rule]:
        return 405
    return 200 if rule == ABOUT_CALLERS else 403


def test_every_open_route_is_there() -> None:
    assert ROUTES.keys() >= OPEN


@pytest.mark.parametrize("path", ["/api", "/api/v1/nothing", "/healthy", "/docs2", "/consoles", "//health"])
def test_unknown_path_is_unknown_to_known_callers_alone(caller: Caller, path: str) -> None:
    for method in METHODS:
        headers = {"Authorization": "Bearer N"}
        assert caller.api.request(method, path).status == 401
        assert caller.api.request(method, path, headers=headers).status == 404


def test_root_is_unknown_to_everybody(caller: Caller) -> None:
    assert_problem(caller.get("/"), 404, "not-found")


def test_metrics_port_serves_metrics_and_probes_alone(guarded: ServiceProcess) -> None:
    assert_problem(guarded.metrics_api.get(ABOUT_CALLERS), 404, "not-found")
