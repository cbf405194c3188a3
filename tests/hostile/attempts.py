"""The attempts of the hostile round: what a caller tries who may do nothing, as bytes.

``PLACE`` stands where an attempt shows something; the installation that is attacked says what it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from flask import Flask

from datastorage.app import create_app
from datastorage.openapi import default_settings
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.openapi.document import template
from datastorage.platform.web.routing import Endpoint, Routes
from tests.hostile.credentials import ANONYMOUS, NOBODY, SHOWN, UNKNOWN
from tests.hostile.framings import EVENT, HOST, PLACE, framings
from tests.support.builders import BATCH, EVENTS

GOOD: Final = b"@GOOD@"
"""Where a good token goes, that is shown where no token counts."""
WHOAMI: Final = "/api/v1/whoami"
REPLAY: Final = "/api/v1/dlq/events/dead/1-0/replay"
UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000001"
BODIES: Final = {EVENTS: EVENT, BATCH: b"[" + EVENT + b"]"}
BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True)
class Attempt:
    """One try.

    Attributes:
        what: what is special about it.
        data: the bytes, with ``PLACE`` where the credential goes.
        credential: its name.
        is_open: whether everybody may do this, so that only a fault of the service is a finding.
        comes_second: whether the first answer on the connection is that of a request that is allowed.
    """

    what: str
    data: bytes
    credential: str = ANONYMOUS
    is_open: bool = False
    comes_second: bool = False

    @property
    def line(self) -> str:
        """Its request line, as it can be shown."""
        return self.data.partition(b"\r\n")[0].decode("latin-1").encode("unicode_escape").decode()

    @property
    def is_for_a_page(self) -> bool:
        """Whether it asks the console, which refuses by pages."""
        return self.data.split(b" ", 2)[1].startswith(b"/console")


def attempts() -> list[Attempt]:
    """Return all of them."""
    return [
        *_every_route(create_app(default_settings())),
        *_every_credential(),
        *_every_path(),
        *_every_method(),
        *_every_framing(),
        *_every_header(),
        *_second_on_a_connection(),
    ]


def sending(method: str, target: str | bytes, extra: bytes = b"", body: bytes | None = None) -> bytes:
    """Return a request of good form."""
    path = target if isinstance(target, bytes) else target.encode("latin-1")
    if body is None and method in BODY_METHODS:
        body = BODIES.get(path.decode("latin-1"), b"{}")
    framing = b"" if body is None else b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    return (
        method.encode()
        + b" "
        + path
        + b" HTTP/1.1\r\n"
        + HOST
        + PLACE
        + extra
        + framing
        + b"\r\n"
        + (body or b"")
    )


def _every_route(app: Flask) -> Iterator[Attempt]:
    routes: Routes = app.extensions[EXTENSION][Routes]
    for endpoint, credential in product(routes, (ANONYMOUS, UNKNOWN, NOBODY)):
        for method in sorted(endpoint.methods):
            target = template(endpoint.rule)
            for variable in ("{", "}"):
                target = target.replace(variable, "")
            is_open = method == "OPTIONS" or _is_open(endpoint, credential)
            yield Attempt("each route", sending(method, target), credential, is_open)


def _is_open(endpoint: Endpoint, credential: str) -> bool:
    permission = endpoint.operation.permission
    return permission is Permission.NOTHING or (permission is Permission.IDENTITY and credential == NOBODY)


def _every_credential() -> Iterator[Attempt]:
    tried = [("POST", EVENTS), ("GET", EVENTS), ("POST", REPLAY), ("GET", "/metrics")]
    for credential, (method, target) in product(SHOWN, tried):
        yield Attempt("each credential", sending(method, target), credential)


PATHS: Final = (
    b"//api/v1/audit/events",
    b"///api/v1/audit/events",
    b"/api//v1/audit/events",
    b"/api/v1/audit//events",
    b"/api/v1/audit/events/",
    b"/api/v1/audit/events//",
    b"/./api/v1/audit/events",
    b"/x/../api/v1/audit/events",
    b"/health/../api/v1/audit/events",
    b"/health/live/../../api/v1/audit/events",
    b"/docs/../api/v1/audit/events",
    b"/docs/..%2fapi/v1/audit/events",
    b"/health%2f..%2fapi/v1/audit/events",
    b"/%2e%2e/api/v1/audit/events",
    b"/%61pi/v1/audit/events",
    b"/%41PI/v1/audit/events",
    b"/api%2fv1%2faudit%2fevents",
    b"/api%2Fv1%2Faudit%2Fevents",
    b"/api/v1/audit%2Fevents",
    b"/api/v1/audit/%65vents",
    b"/api/v1/audit/event%73",
    b"/api/v1/audit/events%2f",
    b"/api/v1/audit/events%00",
    b"/api/v1/audit/events%20",
    b"/api/v1/audit/events%0d%0a",
    b"/api/v1/audit/events%3Fx",
    b"/api/v1/audit/events%252f",
    b"/api/v1/audit/events%",
    b"/api/v1/audit/events%zz",
    b"/api/v1/audit/events;a=b",
    b"/api/v1/audit/events/.",
    b"/API/V1/AUDIT/EVENTS",
    b"/api/v1/audit/Events",
    b"\\api\\v1\\audit\\events",
    b"/api\\v1\\audit\\events",
    b"/api/v1/audit/events#x",
    b"/api/v1/audit/events\x00",
    b"/api/v1/audit/\xc0\xafevents",
    b"/api/v1/audit/events?access_token=" + GOOD,
    b"/api/v1/audit/events?token=" + GOOD + b"&authorization=Bearer%20" + GOOD,
    b"/api/v1/audit/events?format=ndjson",
    b"/api/v1/audit/events?format=%zz",
    b"http://localhost/api/v1/audit/events",
    b"HTTP://LOCALHOST/api/v1/audit/events",
    b"https://elsewhere.example:1/api/v1/audit/events",
    b"http://localhost//api/v1/audit/events",
    b"http://localhost/health/../api/v1/audit/events",
    b"http://user:password@localhost/api/v1/audit/events",
    b"http:///api/v1/audit/events",
    b"api/v1/audit/events",
    b"localhost/api/v1/audit/events",
    b"//metrics",
    b"/metrics/",
    b"/%6detrics",
    b"/metrics%2f",
    b"/metrics?name[]=python_info",
    b"/health/live/../../metrics",
    b"/healthz/../metrics",
    b"http://localhost/metrics",
    b"/health/nothing",
    b"/docs/../metrics",
    b"/console",
    b"/api",
    b"*",
)


def _every_path() -> Iterator[Attempt]:
    for path, method, credential in product(PATHS, ("GET", "POST"), (ANONYMOUS, NOBODY)):
        body = EVENT if method == "POST" else None
        yield Attempt("form of the path", sending(method, path, body=body), credential)


METHODS: Final = (
    "HEAD",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "Post",
    "QUERY",
    "GETX",
)


def _every_method() -> Iterator[Attempt]:
    for method, target in product(METHODS, (EVENTS, REPLAY, "/metrics", "/nowhere")):
        yield Attempt("method", sending(method, target))
    for method in ("OPTIONS", "HEAD"):
        yield Attempt("method that needs nothing", sending(method, "/health/live"), is_open=True)
    for wanted, header in product(("GET", "POST", "DELETE"), OVERRIDES):
        extra = b"%s: %s\r\n" % (header, wanted.encode())
        yield Attempt("overridden method", sending("OPTIONS", EVENTS, extra, EVENT), is_open=True)
        yield Attempt("overridden method", sending("GET", REPLAY, extra))
        yield Attempt("overridden method", sending("POST", EVENTS, extra))


OVERRIDES: Final = (b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override")


def _every_framing() -> Iterator[Attempt]:
    for (what, data), credential in product(framings().items(), (ANONYMOUS, UNKNOWN, NOBODY)):
        yield Attempt(what, data, credential)


HEADERS: Final = (
    b"Host: localhost:9090\r\n",
    b"X-Forwarded-For: 127.0.0.1\r\n",
    b"X-Forwarded-Port: 9090\r\nX-Forwarded-Proto: https\r\n",
    b"Forwarded: for=127.0.0.1;host=localhost\r\n",
    b"X-Original-URL: /health/live\r\n",
    b"X-Rewrite-URL: /health/live\r\n",
    b"SCRIPT_NAME: /api/v1\r\n",
    b"Script-Name: /api/v1\r\n",
    b"PATH_INFO: /health/live\r\n",
    b"SERVER_PORT: 9090\r\n",
    b"REMOTE_USER: root\r\nRemote-User: root\r\n",
    b"datastorage.admission: 1\r\nDatastorage-Admission: 1\r\n",
    b"X-Request-ID: " + b"x" * 200 + b"\r\n",
    b"traceparent: 00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01\r\n",
    b"X-Large: " + b"x" * 9000 + b"\r\n",
    b"X-Nul: a\x00b\r\n",
    b"X-Folded: a\r\n b\r\n",
    b"Bad Name: x\r\n",
    b": no name\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Accept: application/x-ndjson\r\n",
    b"Range: bytes=0-1\r\n",
    b"If-None-Match: *\r\n",
)


def _every_header() -> Iterator[Attempt]:
    for extra, (method, target) in product(HEADERS, [("GET", EVENTS), ("POST", EVENTS), ("GET", "/metrics")]):
        yield Attempt("header", sending(method, target, extra))
    hidden = b"PATH_INFO: %s\r\nX-Original-URL: %s\r\n" % (EVENTS.encode(), EVENTS.encode())
    yield Attempt("header on what needs nothing", sending("GET", "/health/live", hidden), is_open=True)


def _second_on_a_connection() -> Iterator[Attempt]:
    """Try whether what the first request showed counts for the next one."""
    first = b"GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % (
        WHOAMI.encode(),
        GOOD,
    )
    for method, target in (("GET", EVENTS), ("POST", EVENTS), ("POST", REPLAY)):
        for credential in (ANONYMOUS, UNKNOWN):
            yield Attempt(
                "after a good request", first + sending(method, target), credential, comes_second=True
            )
    inside = sending("POST", EVENTS).replace(PLACE, b"")
    yield Attempt("a request inside a body", sending("GET", "/health/live", body=inside), is_open=True)
